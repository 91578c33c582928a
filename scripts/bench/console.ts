/**
 * Each page of the console with 10,000 decisions, 2,000 tokens and 50 providers in the store, without and with traffic:
 * `npm run bench:console [-- --seconds 5 --headings Tokens,Providers]`.
 */
import { Effect, Fiber } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { parseArgs } from "node:util"
import type { Page } from "playwright-core"
import { browser, logIn, opened, titles } from "../../test/support/browser.ts"
import { temporaryFolder } from "../../test/support/running.ts"
import { explained, seeded, storeOf, storm } from "../../test/support/volume.ts"
import { fixed, say, table, whole } from "./report.ts"

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "5" }, headings: { type: "string", default: titles.join() } }
})
const headings = values.headings.split(",")
const milliseconds = Number(values.seconds) * 1_000

interface Delays {
  readonly p99: number
  readonly max: number
  /** Of all its threads. */
  readonly cpu: number
  readonly wall: number
}

const started = (env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = spawn(
        process.execPath,
        [
          "--disable-warning=ExperimentalWarning",
          "--import",
          "./scripts/bench/console/eventLoop.ts",
          "src/main.ts",
          "serve"
        ],
        {
          env: { PATH: process.env["PATH"] ?? "", WEIRGATE_PORT: "0", WEIRGATE_SANDBOX_PORT: "0", ...env },
          stdio: ["ignore", "pipe", "pipe", "ipc"]
        }
      )
      const url = await new Promise<string>((resolve, reject) => {
        let printed = ""
        const read = (data: Buffer) => {
          printed += data.toString()
          const [, url] = /Weirgate listens on (http:\/\/[\d.:]+)/.exec(printed) ?? []
          if (url !== undefined) resolve(url)
        }
        child.stdout?.on("data", read)
        child.stderr?.on("data", read)
        child.once("exit", () => reject(new Error(printed)))
      })
      return { child, url }
    }),
    ({ child }) =>
      Effect.promise(async () => {
        const gone = new Promise((resolve) => child.once("exit", resolve))
        child.kill("SIGTERM")
        await gone
      })
  )

/** Since it was asked last. */
const delaysOf = (child: ChildProcess) =>
  new Promise<Delays>((resolve) => {
    child.once("message", (told) => resolve(told as Delays))
    child.send("delays")
  })

/** From the click until there is what the page is for. */
const shown = (page: Page, title: string) =>
  page.evaluate(
    `new Promise((resolve) => {
      const from = performance.now()
      const link = [...document.querySelectorAll("nav a")].find((a) => a.textContent.startsWith(${JSON.stringify(title)}))
      const look = () => {
        const isThere =
          document.querySelector("h1")?.textContent === ${JSON.stringify(title)} &&
          document.querySelector("main [role=table] tbody tr") !== null &&
          ![...document.querySelectorAll("main .notice")].some((notice) => notice.textContent === "Loading …")
        if (isThere || performance.now() - from > 20000) requestAnimationFrame(() => resolve(performance.now() - from))
        else requestAnimationFrame(look)
      }
      link.click()
      look()
    })`
  ) as Promise<number>

const watching = `
  window.long = []
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.long.push(duration)
  }).observe({ type: "longtask" })
`
const rows = (page: Page) => page.evaluate(`document.querySelectorAll("[role=table] tr").length`) as Promise<number>
/** Since it was asked last. */
const longTasks = (page: Page) => page.evaluate(`window.long.splice(0)`) as Promise<ReadonlyArray<number>>

const measured = async (page: Page, child: ChildProcess, title: string) => {
  await page.evaluate(`location.hash = ${JSON.stringify(title === "Keys" ? "#/audit" : "#/keys")}`)
  await page.waitForTimeout(300)
  await longTasks(page)
  await delaysOf(child)
  const took = await shown(page, title)
  const sizes: Array<Promise<number>> = []
  page.on("response", (response) => {
    if (!response.url().includes("/api/") || response.url().endsWith("/events")) return
    sizes.push(
      response.body().then(
        ({ length }) => length,
        () => 0
      )
    )
  })
  await page.waitForTimeout(milliseconds)
  page.removeAllListeners("response")
  const tasks = await longTasks(page)
  const { cpu, max, p99, wall } = await delaysOf(child)
  return [
    title,
    whole(took),
    whole(await rows(page)),
    fixed(1)(sizes.length / (milliseconds / 1_000)),
    fixed(1)(Math.max(0, ...(await Promise.all(sizes))) / 1_024),
    `${tasks.length}`,
    whole(Math.max(0, ...tasks)),
    whole(p99),
    whole(max),
    `${whole((cpu / wall) * 100)} %`
  ]
}

const columns = [
  "page",
  "ms to its rows",
  "tr",
  "answers/s",
  "largest KB",
  "long tasks",
  "longest ms",
  "server p99 ms",
  "server max ms",
  "server CPU"
]

const paths = [
  "overview",
  "tokens?limit=50",
  "tokens?limit=50&find=token-19",
  "tokens?limit=50&provider=provider-03&state=active",
  "providers",
  "routes",
  "decisions?limit=50",
  "decisions?limit=50&step=predictor&answer=token",
  "requests?limit=50",
  "alerts?limit=50",
  "checks?limit=50",
  "keys",
  "audit?limit=50"
]
const times = 20

/** One after the other; what the server does beside them counts too. */
const costs = async (page: Page, child: ChildProcess) => {
  const rows: Array<ReadonlyArray<string>> = []
  for (const path of paths) {
    await delaysOf(child)
    const { bytes, took } = (await page.evaluate(`(async () => {
      let bytes = 0
      const from = performance.now()
      for (let n = 0; n < ${times}; n++) {
        const response = await fetch("/api/admin/${path}")
        if (!response.ok) throw new Error("${path}: " + response.status)
        bytes = (await response.arrayBuffer()).byteLength
      }
      return { bytes, took: performance.now() - from }
    })()`)) as { readonly bytes: number; readonly took: number }
    const { cpu } = await delaysOf(child)
    rows.push([path, fixed(1)(cpu / times), fixed(1)(took / times), fixed(1)(bytes / 1_024)])
  }
  return table(["GET /api/admin/…", "server CPU ms", "ms", "KB"], rows)
}

const bench = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const { env, key } = yield* seeded(folder)
  const { child, url } = yield* started(env)
  const statuses = yield* explained({ url, key }, 500)
  say(`500 requests were answered: ${statuses.filter((status) => status === 200).length} with 200`)
  const chrome = yield* browser
  const { page, wrong } = yield* Effect.promise(async () => {
    const window = await opened(chrome, { url, folder }, { width: 1280, colorScheme: "light" })
    await window.page.addInitScript(watching)
    await logIn(window.page, { url, folder })
    await window.page.waitForTimeout(3_000)
    return window
  })
  const pages = Effect.promise(async () => {
    const measures: Array<ReadonlyArray<string>> = []
    for (const title of headings) measures.push(await measured(page, child, title))
    return table(columns, measures)
  })
  const idle = yield* pages
  const answers = yield* Effect.promise(() => costs(page, child))
  // The store of the storm is the server's, as another process has it.
  const traffic = yield* Effect.forkChild(Effect.provide(storm({ url, key }), storeOf(folder)))
  yield* Effect.sleep("3 seconds")
  const busy = yield* pages
  yield* Fiber.interrupt(traffic)
  say(`\n### What an answer costs\n\n${answers}`)
  say(`\n### Idle\n\n${idle}`)
  say(`\n### With 30 requests and 10 decisions a second\n\n${busy}`)
  if (wrong.length > 0) say(wrong.join("\n"))
}).pipe(Effect.scoped)

await Effect.runPromise(bench)
