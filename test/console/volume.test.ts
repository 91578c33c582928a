/** The console before 10,000 decisions, 2,000 tokens and 50 providers: what a page holds, asks for and is sent is bounded. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Browser, Page } from "playwright-core"
import { browser, hasNone, logIn, need, opened, titles } from "../support/browser.ts"
import { running, temporaryFolder } from "../support/running.ts"
import { counts, explained, seeded, storeOf, storm, tokenName } from "../support/volume.ts"

/** In a table: a page of 50 and its headings. */
const mostRows = 51
const mostTables = 2
/** Of an answer, in bytes. */
const mostBytes = 64 * 1_024
/** To what the page asks when it is shown, and then in a second: the two lists that are followed by the second, and one behind them. */
const mostAtOnce = 8
const mostPerSecond = 3

type Title = (typeof titles)[number]

/** The list that is longest, and how many pages it has when they are few enough to be walked through. */
const lists: Readonly<Record<Title, { readonly what: string; readonly pages?: number }>> = {
  Overview: { what: "provider", pages: 3 },
  Tokens: { what: "token" },
  Providers: { what: "provider", pages: 2 },
  Decisions: { what: "decision" },
  Requests: { what: "request", pages: 2 },
  Alerts: { what: "event" },
  Checks: { what: "check" },
  Keys: { what: "key", pages: counts.keys / 25 },
  Audit: { what: "change" }
}
/** What the live events are about. */
const live = ["Overview", "Tokens", "Providers", "Decisions", "Requests"] as const

class Stage extends Context.Service<
  Stage,
  {
    readonly server: { readonly url: string; readonly folder: string; readonly key: string }
    readonly chrome: Browser
  }
>()("test/console/volume/Stage") {
  static readonly layer = Layer.effect(
    Stage,
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const { env, key } = yield* seeded(folder)
      const server = { ...(yield* running(env)), key }
      const statuses = yield* explained(server, 60)
      assert.deepStrictEqual([...new Set(statuses)], [200])
      return { server, chrome: yield* browser }
    })
  )
}

/** A window at the overview, what it must not do, and the sizes of the answers to it since it was last asked. */
const visited = Effect.gen(function* () {
  const { chrome, server } = yield* Stage
  const opening = Effect.promise(() => opened(chrome, server, { width: 1280, colorScheme: "light" }))
  const { page, wrong } = yield* Effect.acquireRelease(opening, ({ page }) => Effect.promise(() => page.close()))
  let sizes: Array<Promise<number>> = []
  page.on("response", (response) => {
    if (response.url().includes("/api/admin/") && !response.url().endsWith("/events")) {
      sizes.push(
        response.body().then(
          ({ length }) => length,
          // The window was closed before the last answers were read.
          () => 0
        )
      )
    }
  })
  const answers = async () => {
    const before = sizes
    sizes = []
    return Promise.all(before)
  }
  yield* Effect.promise(() => logIn(page, server))
  return { server, page, wrong, answers }
})

const goTo = async (page: Page, title: Title) => {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: title }).click()
  await page.getByRole("heading", { name: title, level: 1 }).waitFor()
  await page.locator("main [role=table] tbody tr").first().waitFor()
  await page.getByText("Loading …").first().waitFor({ state: "detached" })
}

const bounded = async (page: Page, title: string) => {
  const tables = await page.locator("main [role=table]").all()
  assert.isAtMost(tables.length, mostTables, title)
  for (const table of tables) assert.isAtMost(await table.locator("tr").count(), mostRows, title)
}

const small = (sizes: ReadonlyArray<number>, title: string) =>
  assert.isAtMost(Math.max(0, ...sizes), mostBytes, `the largest answer to ${title}`)

interface Row {
  readonly cells: Iterable<{ readonly textContent: string; readonly querySelector: (selector: string) => unknown }>
}

/** What is in the rows but for times, which pass. */
const textsOf = (rows: ReadonlyArray<unknown>) =>
  (rows as ReadonlyArray<Row>).map(({ cells }) =>
    Array.from(cells)
      .filter((cell) => cell.querySelector("time") === null)
      .map((cell) => cell.textContent)
      .join(" | ")
  )

/** The list with these pages, and the way through them. */
const listOf = (page: Page, what: string) => {
  const pager = page.getByRole("navigation", { name: `Pages of ${what}s` })
  const tables = page.locator("main [role=table]")
  const list = what === "provider" ? tables.first() : tables.last()
  const rows = (): Promise<ReadonlyArray<string>> => list.locator("tbody tr").evaluateAll(textsOf)
  const at = (number: number) => pager.getByText(new RegExp(`^Page ${number}(, |$)`)).waitFor()
  const next = pager.getByRole("button", { name: "Next" })
  return {
    at,
    next: () => next.click(),
    isLast: () => pager.getByRole("button", { name: "Next", disabled: true }).waitFor(),
    rows,
    /** Goes on to the second, and answers when its rows are there: a list that shows the same again never gets on. */
    second: async () => {
      await at(1)
      const first = (await rows()).join()
      await next.click()
      await at(2)
      while ((await rows()).join() === first) await page.evaluate("new Promise(requestAnimationFrame)")
    }
  }
}

layer(Stage.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "the console before a great many of everything",
  (it) => {
    it.effect.skipIf(hasNone)(
      `has pages of at most 50 rows on each page, of which one leads to the next ${need}`,
      () =>
        Effect.gen(function* () {
          const { answers, page, wrong } = yield* visited
          yield* Effect.promise(async () => {
            for (const title of titles) {
              await goTo(page, title)
              await bounded(page, title)
              const { pages, what } = lists[title]
              const { at, isLast, next, second } = listOf(page, what)
              await second()
              await bounded(page, `${title}, page 2`)
              if (pages !== undefined) {
                for (let number = 3; number <= pages; number++) {
                  await next()
                  await at(number)
                }
                await isLast()
              }
              small(await answers(), title)
            }
            assert.deepStrictEqual(wrong, [])
          })
        }),
      60_000
    )

    it.effect.skipIf(hasNone)(
      `finds one token among ${counts.tokens}, and tells how many are like what is asked for ${need}`,
      () =>
        Effect.gen(function* () {
          const { page } = yield* visited
          yield* Effect.promise(async () => {
            await goTo(page, "Tokens")
            const told = (count: string) => page.getByText(`${count} tokens`)
            // With one key of each provider, and the drive's two.
            await told("2,052").waitFor()
            await page.getByLabel("State").selectOption("disabled")
            await told("286").waitFor()
            await bounded(page, "disabled tokens")
            await page.getByRole("search").getByLabel("Provider").selectOption("provider-03")
            await told("28").waitFor()
            await page.getByLabel("State").selectOption("all")
            await told("201").waitFor()
            await page.getByRole("search").getByLabel("Provider").selectOption("all")
            await page.getByLabel("Find").fill(tokenName(1_234).toUpperCase())
            await page.getByText("1 token", { exact: true }).waitFor()
            assert.strictEqual(await page.locator("tbody tr").count(), 1)
          })
        }),
      60_000
    )

    it.effect.skipIf(hasNone)(
      `asks as often in a storm of changes as in a breeze, shows what is new, and moves no page that is read ${need}`,
      () =>
        Effect.gen(function* () {
          const { answers, page, server, wrong } = yield* visited
          const storming = (turns: number) => Effect.provide(storm(server, turns), storeOf(server.folder))
          for (const title of live) {
            yield* Effect.promise(async () => {
              await answers()
              await goTo(page, title)
            })
            const from = performance.now()
            yield* storming(8)
            const seconds = (performance.now() - from) / 1_000
            yield* Effect.promise(async () => {
              const sizes = await answers()
              assert.isAtMost(sizes.length, mostAtOnce + mostPerSecond * seconds, title)
              small(sizes, title)
              await bounded(page, title)
            })
          }
          yield* Effect.promise(() => goTo(page, "Decisions"))
          yield* storming(1)
          const { rows, second } = listOf(page, "decision")
          const before = yield* Effect.promise(async () => {
            await page.getByText("the reason of decision 3,", { exact: false }).first().waitFor()
            await second()
            return rows()
          })
          yield* storming(5)
          yield* Effect.promise(async () => {
            await page.waitForResponse((response) => response.url().includes("/decisions?"))
            assert.deepStrictEqual(await rows(), before)
            assert.deepStrictEqual(wrong, [])
          })
        }),
      60_000
    )

    it.effect.skipIf(hasNone)(
      `has one question open at a time, and shows the answers of a server that takes longer than the questions are apart ${need}`,
      () =>
        Effect.gen(function* () {
          const { page } = yield* visited
          yield* Effect.promise(async () => {
            let open = 0
            let most = 0
            await page.route("**/api/admin/providers", async (route) => {
              most = Math.max(most, ++open)
              const response = await route.fetch()
              await page.waitForTimeout(1_500)
              open -= 1
              await route.fulfill({ response })
            })
            await goTo(page, "Providers")
            await page.waitForResponse("**/api/admin/providers")
            assert.strictEqual(most, 1)
            await page.unrouteAll({ behavior: "ignoreErrors" })
          })
        }),
      60_000
    )
  }
)
