/** The program as its users run it: a process of its own, which can be killed. */
import { Effect, Schedule } from "effect"
import { spawn } from "node:child_process"
import { randomInt } from "node:crypto"
import { createServer } from "node:net"

/**
 * A port that was free a moment ago, and below those that the system gives to outgoing connections: one of them would
 * take it again before the program listens.
 */
export const freePort: Effect.Effect<number> = Effect.callback<number>((resume) => {
  const server = createServer()
  const port = randomInt(10_000, 32_000)
  server.once("error", () => resume(freePort))
  server.listen(port, "0.0.0.0", () => server.close(() => resume(Effect.succeed(port))))
})

/** All that a child has of our environment: no setting of whoever runs the tests. */
export const inherited = Object.fromEntries(
  ["PATH", "HOME", "NODE_COMPILE_CACHE"].flatMap((name) => (name in process.env ? [[name, process.env[name]]] : []))
)

/** Starts `weirgate …`; killed when the scope closes. It reads `input` from a pipe that stays open, or nothing. */
export const started = (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>,
  input?: string,
  program = "src/main.ts"
) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [program, ...args], {
        env: { ...inherited, ...env },
        stdio: ["pipe", "pipe", "pipe"]
      })
      // It may have ended without a look at it.
      child.stdin.on("error", () => undefined)
      if (input === undefined) child.stdin.end()
      else child.stdin.write(input)
      const printed: Array<string> = []
      const answered: Array<string> = []
      child.stdout.on("data", (data) => answered.push(String(data)))
      child.stdout.on("data", (data) => printed.push(String(data)))
      child.stderr.on("data", (data) => printed.push(String(data)))
      const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)))
      return {
        output: () => printed.join(""),
        stdout: () => answered.join(""),
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

type Started = Effect.Success<ReturnType<typeof started>>

/** Waits until it answers; dies with what it printed when it has ended, or has not answered in 40 seconds. */
export const ready = (child: Started, url: string) =>
  Effect.tryPromise(() => fetch(url, { signal: AbortSignal.timeout(5_000) })).pipe(
    Effect.filterOrFail((response) => response.ok),
    Effect.retry({ schedule: everyMoment }),
    Effect.timeout("40 seconds"),
    Effect.raceFirst(Effect.flatMap(child.exited, (code) => Effect.fail(`ended with ${code}`))),
    Effect.catch((why) => Effect.die(`${url} is not ready: ${why}\n${child.output()}`))
  )

const everyMoment = Schedule.spaced("20 millis")
