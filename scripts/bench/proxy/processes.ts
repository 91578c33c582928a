/** The processes of a bench: started, pinned, watched and stopped by it alone. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { availableParallelism, setPriority } from "node:os"
import { setTimeout as sleep } from "node:timers/promises"
import type { Order, Result } from "./client.ts"

/** What is measured has a core to itself; the upstream and the client share the next one. */
export const isPinned =
  availableParallelism() > 1 && spawnSync("taskset", ["-c", "0", "true"], { stdio: "ignore" }).status === 0

export interface Running {
  readonly child: ChildProcess
  readonly pid: number
}

const running: Array<ChildProcess> = []

let priority: number | undefined
/** For all that start from here on: a negative one keeps what else runs on the machine out of the figures. */
export const prioritise = (value: number) => {
  priority = value
}

export const start = (
  core: 0 | 1,
  args: ReadonlyArray<string>,
  options: { readonly env?: NodeJS.ProcessEnv; readonly ipc?: boolean; readonly quiet?: boolean } = {}
): Running => {
  const [command = "", ...rest] = [...(isPinned ? ["taskset", "-c", String(core)] : []), process.execPath, ...args]
  const child = spawn(command, rest, {
    env: { ...process.env, NODE_ENV: "production", ...options.env },
    stdio: [
      "ignore",
      "ignore",
      options.quiet === true ? "ignore" : "inherit",
      ...(options.ipc === true ? ["ipc" as const] : [])
    ]
  })
  running.push(child)
  if (child.pid === undefined) throw new Error(`${args.join(" ")} did not start`)
  if (priority !== undefined) setPriority(child.pid, priority)
  return { child, pid: child.pid }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null

export const stop = async ({ child }: Running) => {
  if (hasEnded(child)) return
  const ended = new Promise((resolve) => child.once("exit", resolve))
  child.kill("SIGTERM")
  await Promise.race([ended, sleep(3_000, undefined, { ref: false })])
  if (hasEnded(child)) return
  child.kill("SIGKILL")
  await ended
}

export const stopAll = () => Promise.all(running.map((child) => stop({ child, pid: child.pid ?? 0 })))

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

let lastPort = 20_000 + (process.pid % 10_000)
/** Below the ports that the system gives out by itself. */
export const freePort = async (): Promise<number> => {
  do lastPort = lastPort >= 31_999 ? 20_000 : lastPort + 1
  while (!(await isFree(lastPort)))
  return lastPort
}

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => resolve(true))
    socket.once("error", () => resolve(false))
    socket.once("connect", () => socket.destroy())
  })

export const listening = async (port: number, { child }: Running) => {
  for (let tried = 0; tried < 300; tried++) {
    if (hasEnded(child)) throw new Error(`${child.spawnargs.join(" ")} has ended`)
    if (await answers(port)) return
    await sleep(100)
  }
  throw new Error(`nothing listens on ${port} after 30 seconds: ${child.spawnargs.join(" ")}`)
}

/** Linux counts processor time in hundredths of a second. */
const tick = 10_000

/** Microseconds of processor time, of the process and the kernel for it. */
export const processorTime = ({ pid }: Running): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? []
  return (Number(fields[11]) + Number(fields[12])) * tick
}

/** Resident memory in bytes. */
export const resident = ({ pid }: Running): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024

export const order = <O extends Order>({ child }: Running, what: O): Promise<Result<O["_tag"]>> =>
  new Promise((resolve, reject) => {
    child.once("message", (answer: { value: Result<O["_tag"]>; error?: string }) =>
      answer.error === undefined ? resolve(answer.value) : reject(new Error(answer.error))
    )
    child.send(what)
  })
