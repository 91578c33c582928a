/** A sandbox in a process of its own, and servers beside it that can be killed: the sandbox remembers what they asked it. */
import { Effect, Schedule } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Answer, get, post, temporaryFolder } from "./running.ts"
import { freePort, ready, started } from "./subprocess.ts"

/** Asks with any method; a body is sent as JSON, and a text as it stands. */
export const send = (
  url: string,
  method: string,
  headers: Readonly<Record<string, string>> = {},
  body?: unknown
): Effect.Effect<Answer> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, {
      method,
      signal,
      headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) })
    })
    const text = await response.text()
    const isJson = response.headers.get("content-type")?.includes("json") === true
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined }
  })

/** Looks again until it is so, for some seconds; dies with what it saw last. */
export const eventually = <A, E, R>(look: Effect.Effect<A, E, R>, isSo: (seen: A) => boolean, what: string) =>
  look.pipe(
    Effect.filterOrElse(isSo, (seen) => Effect.fail(seen)),
    Effect.retry({ schedule: everyMoment, times: 500 }),
    Effect.catch((seen) => Effect.die(new Error(`${what}: ${JSON.stringify(seen)}`)))
  )

const everyMoment = Schedule.spaced("20 millis")

/** Logs in at the console with the password that the first start has left in the data folder. */
export const login = Effect.fnUntraced(function* (server: { readonly url: string; readonly folder: string }) {
  const password = readFileSync(join(server.folder, "console-password"), "utf8").trim()
  const { headers, json } = yield* post(`${server.url}/api/admin/login`, { password })
  const cookie = (headers.get("set-cookie") ?? "").split(";")[0] ?? ""
  return { password, cookie, csrf: String(json.csrf), headers: { cookie, "x-csrf-token": String(json.csrf) } }
})

export type Role = "inference" | "token" | "admin"

/** Makes a key; answers the headers to ask with. */
export const keyOf = Effect.fnUntraced(function* (
  server: { readonly url: string; readonly folder: string },
  role: Role,
  name: string = role
) {
  const { headers } = yield* login(server)
  const { json } = yield* send(`${server.url}/api/admin/keys`, "POST", headers, { name, role })
  return { authorization: `Bearer ${json.key}` }
})

/** What is asked of a sandbox, wherever it runs. */
export const sandboxAt = (url: string) => ({
  stats: Effect.map(get(`${url}/_sandbox/stats`), ({ json }) => json),
  credentials: Effect.map(get(`${url}/_sandbox/credentials`), ({ json }) => json),
  expire: (account: string) => post(`${url}/_sandbox/wopan/expire`, { account }),
  addFile: (account: string, path: string) => post(`${url}/_sandbox/wopan/files`, { account, path, size: 7 }),
  /** All at once, and instead of those that were there. */
  faults: (...faults: ReadonlyArray<object>) =>
    Effect.gen(function* () {
      yield* send(`${url}/_sandbox/faults`, "DELETE")
      const set = yield* post(`${url}/_sandbox/faults`, { faults })
      return set.status === 200 ? undefined : yield* Effect.die(new Error(set.text))
    }),
  reset: post(`${url}/_sandbox/reset`, {})
})

/** `config` is what the configuration file of the servers holds. */
export const staged = Effect.fnUntraced(function* (config: object = {}, ...args: ReadonlyArray<string>) {
  const folder = yield* temporaryFolder
  const sandboxPort = yield* freePort
  const sandbox = `http://127.0.0.1:${sandboxPort}`
  const upstream = yield* started(["sandbox"], { WEIRGATE_SANDBOX_PORT: String(sandboxPort) })
  const file = join(folder, "weirgate.json")
  writeFileSync(file, JSON.stringify(config))
  /** Has tried itself out when it is there, so that nothing but a test asks anything from then on. */
  const server = Effect.gen(function* () {
    const port = yield* freePort
    const child = yield* started(["serve", ...args], {
      WEIRGATE_CONFIG: file,
      WEIRGATE_PORT: String(port),
      WEIRGATE_DATA: folder,
      WEIRGATE_SANDBOX_URL: sandbox
    })
    const url = `http://127.0.0.1:${port}`
    yield* ready(child, `${url}/readyz`)
    yield* eventually(Effect.sync(child.output), (output) => /Self-test . Server/.test(output), "the self-test")
    return { ...child, url, folder }
  })
  yield* ready(upstream, `${sandbox}/_sandbox/stats`)
  return { folder, sandboxUrl: sandbox, sandbox: sandboxAt(sandbox), server }
})
