/** Those that are compared, each in its own process and asked in its own way. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Kind, question } from "./script.ts"
import { freePort, listening, type Running, start } from "./processes.ts"

export type Name = "weirgate" | "bare" | "dispatch" | "pipe" | "portkey"

export const titles: Readonly<Record<Name | "direct", string>> = {
  weirgate: "weirgate, everything on",
  bare: "(a) node:http + undici Pool.request",
  dispatch: "(b) node:http + undici dispatch",
  portkey: "(c) @portkey-ai/gateway 1.15.2",
  pipe: "(d) node:http pipe",
  direct: "no gateway at all"
}

export interface Contender {
  readonly name: Name | "direct"
  readonly port: number
  readonly process: Running
  request(kind: Kind): string
}

export const wire = (port: number, headers: Readonly<Record<string, string>>, body: string) =>
  [
    "POST /v1/chat/completions HTTP/1.1",
    `host: 127.0.0.1:${port}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "",
    body
  ].join("\r\n")

const here = (file: string) => join(import.meta.dirname, file)
/** As JavaScript, so that the memory of what reads TypeScript is not counted. */
const script = (name: string) => {
  const compiled = here("../node_modules/.bench")
  mkdirSync(compiled, { recursive: true })
  const file = join(compiled, `${name}.mjs`)
  writeFileSync(file, stripTypeScriptTypes(readFileSync(here(`${name}.ts`), "utf8")))
  return file
}
const root = join(import.meta.dirname, "../../..")

/** Gone when the bench ends. */
export const folder = mkdtempSync(join(tmpdir(), "weirgate-bench-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

const clientKeys = { BENCH_CLIENT_A: "wg-synthetic-bench-client-a", BENCH_CLIENT_B: "wg-synthetic-bench-client-b" }

/** Two providers over which a route goes, with several keys each; every kind of limit is counted and none binds. */
const settings = (upstream: number) => ({
  server: { apiKeys: Object.keys(clientKeys).map((env) => ({ env })) },
  providers: ["first", "second"].map((name) => ({
    name,
    kind: "openai",
    baseUrl: `http://127.0.0.1:${upstream}/v1`,
    keys: [1, 2, 3].map((n) => `synthetic-${name}-${n}`),
    concurrency: 2_000,
    rpm: 100_000_000,
    tpm: 1_000_000_000_000,
    models: ["m"]
  })),
  routes: [{ model: "routed", targets: ["first/m", "second/m"] }]
})

/** As its users run it: built, with the default log, store and metrics. `watched` lets its memory be asked for. */
export const weirgate = async (upstream: number, watched?: string): Promise<Contender> => {
  const port = await freePort()
  const data = join(folder, `weirgate-${port}`)
  const config = `${data}.json`
  writeFileSync(config, JSON.stringify(settings(upstream)))
  const env = { ...clientKeys, WEIRGATE_CONFIG: config, WEIRGATE_DATA: data, WEIRGATE_PORT: String(port) }
  return begun("weirgate", port, [join(root, "dist/main.js"), "serve"], watched, env, (kind) =>
    wire(port, { authorization: `Bearer ${clientKeys.BENCH_CLIENT_A}` }, question(kind, "routed"))
  )
}

export const portkey = async (upstream: number, watched?: string): Promise<Contender> => {
  const port = await freePort()
  const main = here("../node_modules/@portkey-ai/gateway/build/start-server.js")
  const headers = {
    authorization: "Bearer synthetic",
    "x-portkey-provider": "openai",
    "x-portkey-custom-host": `http://127.0.0.1:${upstream}/v1`
  }
  return begun("portkey", port, [main, "--headless", `--port=${port}`], watched, {}, (kind) =>
    wire(port, headers, question(kind, "m"))
  )
}

export const plain = async (
  name: "bare" | "dispatch" | "pipe",
  upstream: number,
  watched?: string
): Promise<Contender> => {
  const port = await freePort()
  return begun(name, port, [script(name), String(port), String(upstream)], watched, {}, (kind) =>
    wire(port, { authorization: "Bearer synthetic" }, question(kind, "m"))
  )
}

const begun = async (
  name: Name,
  port: number,
  args: ReadonlyArray<string>,
  watched: string | undefined,
  env: NodeJS.ProcessEnv,
  request: Contender["request"]
): Promise<Contender> => {
  const hook = watched === undefined ? [] : ["--expose-gc", "--import", script("memoryHook")]
  const process = start(0, [...hook, ...args], {
    env: { ...env, ...(watched !== undefined && { BENCH_MEMORY: watched }) },
    // It complains of each stream.
    quiet: name === "portkey"
  })
  await listening(port, process)
  return { name, port, process, request }
}

export const mock = async (): Promise<Contender> => {
  const port = await freePort()
  const process = start(1, [here("mock.ts"), String(port)])
  await listening(port, process)
  const request = (kind: Kind) => wire(port, { authorization: "Bearer synthetic" }, question(kind, "m"))
  return { name: "direct", port, process, request }
}

export const client = () => start(1, [here("client.ts")], { ipc: true })
