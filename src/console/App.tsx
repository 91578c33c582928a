/** Who is there, whether the server is, and which page is shown. */
import { useEffect, useState } from "preact/hooks"
import { listen, useLive } from "./live.ts"
import { activeAlerts, Alerts } from "./pages/Alerts.tsx"
import { Audit } from "./pages/Audit.tsx"
import { Checks } from "./pages/Checks.tsx"
import { Decisions } from "./pages/Decisions.tsx"
import { Keys } from "./pages/Keys.tsx"
import { Login } from "./pages/Login.tsx"
import { Overview } from "./pages/Overview.tsx"
import { Providers } from "./pages/Providers.tsx"
import { Requests } from "./pages/Requests.tsx"
import { Tokens } from "./pages/Tokens.tsx"
import { logOut, resumed, whenSessionEnds } from "./server.ts"
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
  return { path, what: rest.map(decodeURIComponent).join("/") }
}

type Session = "unknown" | "none" | "there" | "offline"

export const App = () => {
  const [session, setSession] = useState<Session>("unknown")

  useEffect(() => {
    whenSessionEnds(() => setSession("none"))
    if (session !== "unknown" && session !== "offline") return
    const look = async () => {
      try {
        setSession((await resumed()) ? "there" : "none")
      } catch {
        setSession("offline")
      }
    }
    void look()
    const timer = setInterval(look, 2_000)
    return () => clearInterval(timer)
  }, [session])

  if (session === "unknown") return <p class="notice">Loading …</p>
  if (session === "offline")
    return <p class="notice trouble">The server does not answer. It is asked again by itself.</p>
  if (session === "none") return <Login onDone={() => setSession("there")} />
  return <Shell onLeft={() => setSession("none")} />
}

const Shell = ({ onLeft }: { readonly onLeft: () => void }) => {
  const [{ path, what }, setPath] = useState(shownPath)
  const { away, overview } = useLive()
  const { answer: alerts = [] } = useAsked(activeAlerts)
  const { Page, title } = pages.find((page) => page.path === path) ?? pages[0]

  useEffect(listen, [])
  useEffect(() => {
    const moved = () => setPath(shownPath())
    addEventListener("hashchange", moved)
    return () => removeEventListener("hashchange", moved)
  }, [])
  useEffect(() => {
    document.title = `${title} · Weirgate`
  }, [title])

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
        <button type="button" class="quiet" onClick={() => void logOut().finally(onLeft)}>
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
        <Page key={title} what={what} />
      </main>
    </div>
  )
}

const Count = ({ of }: { readonly of: number }) => (of === 0 ? null : <strong class="count"> ({of})</strong>)

/** The fragment is the page's address here. */
const skipped = (event: MouseEvent) => {
  event.preventDefault()
  document.getElementById("content")?.focus()
}
