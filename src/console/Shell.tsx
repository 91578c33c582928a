/** What stands around the pages, and which of them is shown. */
import type { ComponentChildren } from "preact"
import { useEffect, useErrorBoundary, useRef, useState } from "preact/hooks"
import { listen, useLive } from "./live.ts"
import { activeAlerts, Alerts } from "./pages/Alerts.tsx"
import { Audit } from "./pages/Audit.tsx"
import { Checks } from "./pages/Checks.tsx"
import { Decisions } from "./pages/Decisions.tsx"
import { Keys } from "./pages/Keys.tsx"
import { Overview } from "./pages/Overview.tsx"
import { Providers } from "./pages/Providers.tsx"
import { Requests } from "./pages/Requests.tsx"
import { Tokens } from "./pages/Tokens.tsx"
import { Said, say } from "./Said.tsx"
import { logOut, messageOf } from "./server.ts"
import { clock } from "./time.ts"
import { useAsked } from "./useAsked.ts"

const pages = [
  { path: "overview", title: "Overview", Page: Overview },
  { path: "tokens", title: "Tokens", Page: Tokens },
  { path: "providers", title: "Providers", Page: Providers },
  { path: "decisions", title: "Decisions", Page: Decisions },
  { path: "requests", title: "Requests", Page: Requests },
  { path: "alerts", title: "Alerts", Page: Alerts },
  { path: "checks", title: "Checks", Page: Checks },
  { path: "keys", title: "Keys", Page: Keys },
  { path: "audit", title: "Audit", Page: Audit }
] as const

/** `#/PAGE/WHAT` */
const shownPath = () => {
  const [path = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/")
  return { path, what: rest.map(decoded).join("/") }
}

/** As it is written where that is no encoding of anything. */
const decoded = (part: string) => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

export const Shell = ({ onLeft }: { readonly onLeft: () => void }) => {
  const [{ path, what }, setPath] = useState(shownPath)
  const { away, overview } = useLive()
  const { answer: alerts = [] } = useAsked(activeAlerts)
  const { Page, title } = pages.find((page) => page.path === path) ?? pages[0]

  useEffect(listen, [])
  // On a narrow screen not all of them have room.
  useEffect(() => document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest" }), [title])
  const isFirst = useRef(true)
  useEffect(() => {
    // The link that led here may be gone, and the focus with it.
    if (!isFirst.current && document.activeElement === document.body)
      document.getElementById("content")?.focus({ preventScroll: true })
    isFirst.current = false
  }, [title, what])
  useEffect(() => {
    const moved = () => setPath(shownPath())
    addEventListener("hashchange", moved)
    return () => removeEventListener("hashchange", moved)
  }, [])
  useEffect(() => {
    document.title = `${title} · Weirgate`
  }, [title])

  const left = async () => {
    try {
      await logOut()
      onLeft()
    } catch (reason) {
      say(`Not logged out: ${messageOf(reason)}`)
    }
  }

  return (
    <div class="shell">
      <a class="skip" href="#content" onClick={skipped}>
        Skip to the content
      </a>
      <header>
        <a class="brand" href="#/">
          Weirgate
        </a>
        <nav aria-label="Pages">
          {pages.map((page) => (
            <a key={page.path} href={`#/${page.path}`} aria-current={page.title === title ? "page" : undefined}>
              {page.title}
              {page.path === "alerts" && <Count of={alerts.length} />}
            </a>
          ))}
        </nav>
        <span class="standing" role="status">
          <span
            class={away !== undefined ? "dot bad" : overview === undefined ? "dot" : "dot good"}
            aria-hidden="true"
          />
          {away !== undefined ? "away" : overview === undefined ? "connecting" : "live"}
        </span>
        <button type="button" class="quiet" onClick={() => void left()}>
          Log out
        </button>
      </header>
      {away !== undefined && (
        <p class="notice trouble away" role="alert">
          {away.trouble.message} What is shown is what was known at {clock(away.since)}; the server is asked again by
          itself.
        </p>
      )}
      <main id="content" tabIndex={-1}>
        <h1>{title}</h1>
        <Guarded key={`${title} ${what}`}>
          <Page key={title} what={what} />
        </Guarded>
      </main>
      <Said />
    </div>
  )
}

/** What cannot be shown takes nothing else with it. */
const Guarded = ({ children }: { readonly children: ComponentChildren }) => {
  const [error, again] = useErrorBoundary()
  if (error === undefined) return <>{children}</>
  return (
    <p class="notice trouble" role="alert">
      This page cannot be shown: {messageOf(error)}{" "}
      <button type="button" class="small" onClick={again}>
        Try again
      </button>
    </p>
  )
}

const Count = ({ of }: { readonly of: number }) => (of === 0 ? null : <strong class="count"> ({of})</strong>)

/** The fragment is the page's address here. */
const skipped = (event: MouseEvent) => {
  event.preventDefault()
  document.getElementById("content")?.focus()
}
