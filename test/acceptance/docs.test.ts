import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { chromium } from "playwright-core"
import { running } from "../support/running.ts"

const browser = "/usr/bin/chromium"
const inCi = process.env["CI"] !== undefined
const quiet =
  "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"

describe("the documentation's page", () => {
  it.live.skipIf(!existsSync(browser) && !inCi)(
    `shows every route in a browser and needs no other host (skipped without ${browser})`,
    () =>
      Effect.gen(function* () {
        const { url } = yield* running()
        const page = yield* Effect.acquireRelease(
          Effect.promise(() => chromium.launch({ executablePath: browser, args: quiet.split(" ") })),
          (browser) => Effect.promise(() => browser.close())
        ).pipe(Effect.flatMap((browser) => Effect.promise(() => browser.newPage())))
        const asked: Array<string> = []
        const errors: Array<string> = []
        page.on("request", (request) => asked.push(request.url()))
        page.on("pageerror", (error) => errors.push(error.message))
        yield* Effect.promise(() => page.goto(`${url}/docs`))
        const paths = yield* Effect.promise(async () => {
          await page.locator(".opblock").first().waitFor()
          return page.locator(".opblock-summary-path").allInnerTexts()
        })
        assert.includeMembers(
          paths.map((path) => path.replaceAll("\u200B", "")),
          ["/v1/chat/completions", "/v1/models", "/v1/performance", "/healthz", "/readyz"]
        )
        assert.deepStrictEqual(errors, [])
        for (const address of asked) assert.isTrue(address.startsWith(url) || address.startsWith("data:"), address)
      }),
    60_000
  )
})
