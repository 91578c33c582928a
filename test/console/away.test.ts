/** The console while its server is away. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { browser, hasNone, logIn, need, opened } from "../support/browser.ts"
import { running, temporaryFolder } from "../support/running.ts"
import { freePort } from "../support/subprocess.ts"

describe("the console", () => {
  it.live.skipIf(hasNone)(
    `says that its server is away, keeps what it showed, and is live again by itself ${need}`,
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const env = { WEIRGATE_DATA: folder, WEIRGATE_PORT: String(yield* freePort) }
        const started = Effect.gen(function* () {
          const scope = yield* Scope.fork(yield* Effect.scope)
          return { server: yield* Scope.provide(running(env), scope), stop: Scope.close(scope, Exit.void) }
        })
        const { server, stop } = yield* started
        const chrome = yield* browser
        const { page } = yield* Effect.promise(() => opened(chrome, server, { width: 1280, colorScheme: "light" }))
        const away = page.getByText("What is shown is what was known at")
        const requests = page.getByRole("img", { name: /^Requests: / })
        yield* Effect.promise(() => logIn(page, server))
        assert.strictEqual((yield* server.chat("hi")).status, 200)
        yield* Effect.promise(async () => {
          await page.getByRole("region", { name: "Tokens by provider" }).getByText("warp").waitFor()
          await requests.waitFor()
        })

        yield* stop
        yield* Effect.promise(async () => {
          await away.waitFor()
          await page.getByText("away", { exact: true }).waitFor()
          await page.getByRole("region", { name: "Tokens by provider" }).getByText("warp").waitFor()
          await page.getByRole("link", { name: "Tokens" }).first().click()
          await page.getByText("Loading …").waitFor()
          await page.getByRole("link", { name: "Overview" }).click()
          await requests.waitFor()
        })

        const again = yield* started
        yield* Effect.promise(async () => {
          await away.waitFor({ state: "detached" })
          await page.getByText("live", { exact: true }).waitFor()
          await page.getByRole("link", { name: "Tokens" }).first().click()
          await page.getByRole("button", { name: "Disable sandbox-1" }).click()
          await page.getByRole("button", { name: "Enable sandbox-1" }).waitFor()
        })
        yield* again.stop
        yield* Effect.promise(async () => {
          await away.waitFor()
          await page.getByRole("button", { name: "Enable sandbox-1" }).click()
          await page.getByRole("cell").getByRole("alert").getByText("The server does not answer.").waitFor()
        })
      }),
    60_000
  )

  it.live.skipIf(hasNone)(
    `asks for the password again when its session has ended elsewhere ${need}`,
    () =>
      Effect.gen(function* () {
        const server = yield* running()
        const chrome = yield* browser
        yield* Effect.promise(async () => {
          const { page } = await opened(chrome, server, { width: 375, colorScheme: "dark" })
          await logIn(page, server)
          const other = await page.context().newPage()
          await other.goto(`${server.url}/`)
          await other.getByRole("button", { name: "Log out" }).click()
          await page.getByLabel("Password", { exact: true }).waitFor()
        })
      }),
    60_000
  )
})
