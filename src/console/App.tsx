/** Who is there, and which page is shown. */
import { useEffect, useState } from "preact/hooks"
import { Alerts } from "./pages/Alerts.tsx"
import { Audit } from "./pages/Audit.tsx"
import { Checks } from "./pages/Checks.tsx"
import { Keys } from "./pages/Keys.tsx"
import { Login } from "./pages/Login.tsx"
import { Providers } from "./pages/Providers.tsx"
import { Tokens } from "./pages/Tokens.tsx"
import { logOut, resumed } from "./server.ts"

const pages = [
  { path: "tokens", title: "Tokens", Page: Tokens },
  { path: "providers", title: "Providers", Page: Providers },
  { path: "alerts", title: "Alerts", Page: Alerts },
  { path: "checks", title: "Checks", Page: Checks },
  { path: "keys", title: "Keys", Page: Keys },
  { path: "audit", title: "Audit", Page: Audit }
] as const

const shownPath = () => location.hash.replace(/^#\/?/, "")

type Session = "unknown" | "none" | "there" | "offline"

export const App = () => {
  const [session, setSession] = useState<Session>("unknown")
  const [path, setPath] = useState(shownPath)

  useEffect(() => {
    const look = async () => {
      try {
        setSession((await resumed()) ? "there" : "none")
      } catch {
        // What is shown stays, with a word that it is old.
        setSession((before) => (before === "there" ? before : "offline"))
      }
    }
    void look()
    // A session that has ended, or a server that is back, is noticed without a click.
    const timer = setInterval(look, 15_000)
    const moved = () => setPath(shownPath())
    addEventListener("hashchange", moved)
    return () => {
      clearInterval(timer)
      removeEventListener("hashchange", moved)
    }
  }, [])

  if (session === "unknown") return <p class="notice">Loading …</p>
  if (session === "offline")
    return <p class="notice trouble">The server does not answer. It is asked again by itself.</p>
  if (session === "none") return <Login onDone={() => setSession("there")} />
  const { Page, title } = pages.find((page) => page.path === path) ?? pages[0]
  return (
    <div class="shell">
      <header>
        <a class="brand" href="#/">
          Weirgate
        </a>
        <nav aria-label="Pages">
          {pages.map((page) => (
            <a key={page.path} href={`#/${page.path}`} aria-current={page.title === title ? "page" : undefined}>
              {page.title}
            </a>
          ))}
        </nav>
        <button type="button" class="quiet" onClick={() => void logOut().finally(() => setSession("none"))}>
          Log out
        </button>
      </header>
      <main>
        <h1>{title}</h1>
        <Page />
      </main>
    </div>
  )
}
