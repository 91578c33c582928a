/** The program as its users run it: a process of its own, which can be killed. */
import { Effect, Schedule } from "effect"
import { spawn } from "node:child_process"
import { createServer } from "node:net"

/** A port that was free a moment ago. */
export const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** Starts `weirgate …`; killed when the scope closes. */
export const started = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, ["src/main.ts", ...args], {
        env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      const printed: Array<string> = []
      child.stdout.on("data", (data) => printed.push(String(data)))
      child.stderr.on("data", (data) => printed.push(String(data)))
      const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)))
      return {
        output: () => printed.join(""),
        exited: Effect.promise(() => exited),
        signal: (signal: NodeJS.Signals) =>
          Effect.andThen(
            Effect.sync(() => child.kill(signal)),
            Effect.promise(() => exited)
          )
      }
    }),
    (child) => child.signal("SIGKILL")
  )

/** Waits until it answers; dies when it has not in a minute. */
export const ready = (url: string) =>
  Effect.tryPromise(() => fetch(url)).pipe(
    Effect.filterOrFail((response) => response.ok),
    Effect.retry({ times: 600, schedule: everyTenth }),
    Effect.orDie
  )

const everyTenth = Schedule.spaced("100 millis")
