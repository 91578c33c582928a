/** Who is there, and whether the server is. */
import { useEffect, useState } from "preact/hooks"
import { Login } from "./pages/Login.tsx"
import { resumed, whenSessionEnds } from "./server.ts"
import { Shell } from "./Shell.tsx"

/** That the server does not answer is told when a password is sent to it. */
const ignored = () => undefined

type Session = "unknown" | "none" | "ended" | "there" | "offline"

export const App = () => {
  const [session, setSession] = useState<Session>("unknown")

  useEffect(() => whenSessionEnds(() => setSession((session) => (session === "none" ? session : "ended"))), [])

  useEffect(() => {
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

  useEffect(() => {
    if (session !== "none" && session !== "ended") return
    // Somebody may have logged in beside it meanwhile.
    const look = () => {
      if (!document.hidden) void resumed().then((is) => is && setSession("there"), ignored)
    }
    document.addEventListener("visibilitychange", look)
    addEventListener("focus", look)
    return () => {
      document.removeEventListener("visibilitychange", look)
      removeEventListener("focus", look)
    }
  }, [session])

  if (session === "unknown") return <p class="notice">Loading …</p>
  if (session === "offline")
    return <p class="notice trouble">The server does not answer. It is asked again by itself.</p>
  if (session !== "there") return <Login hasEnded={session === "ended"} onDone={() => setSession("there")} />
  return <Shell onLeft={() => setSession("none")} />
}
