/** What needs a person is seen in the console. */
import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { RateLimiter } from "../../src/acquisition/RateLimiter.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { browser, hasNone, logIn, need, opened } from "../support/browser.ts"
import { running, temporaryFolder } from "../support/running.ts"

describe("an alert", () => {
  it.live.skipIf(hasNone)(
    `stands at the top of the overview, in the navigation and among the alerts, from when it fires ${need}`,
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const file = join(folder, "weirgate.json")
        const acquisition = { hourly: 1 }
        writeFileSync(file, JSON.stringify({ acquisition }))
        const server = yield* running({ WEIRGATE_DATA: folder, WEIRGATE_CONFIG: file })
        const chrome = yield* browser
        const { page } = yield* Effect.promise(() => opened(chrome, server, { width: 1280, colorScheme: "dark" }))
        yield* Effect.promise(async () => {
          await logIn(page, server)
          await page.getByRole("link", { name: "Alerts", exact: true }).click()
          await page.getByText("Nothing needs you.").waitFor()
        })
        const store = Sqlite.layer(join(folder, "sandbox.db"))
        yield* RateLimiter.use((limiter) => limiter.reserve("warp", "synthetic")).pipe(
          Effect.provide(RateLimiter.layerWith(acquisition).pipe(Layer.provide(store)))
        )
        yield* Effect.promise(async () => {
          const active = page.getByRole("region", { name: "Alerts that hold" })
          await active.getByText("acquisition_budget").waitFor({ timeout: 45_000 })
          await page.getByRole("region", { name: "Alerts of before" }).getByText("fired").waitFor()
          await page.getByRole("link", { name: "Alerts (1)" }).click()
          await page.getByRole("link", { name: "Overview" }).click()
          await page.locator(".alarm").getByText("warp").waitFor()
        })
      }),
    90_000
  )
})
