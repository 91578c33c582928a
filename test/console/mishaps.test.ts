/** What happens to whoever uses the console in a hurry, in two windows, or on a machine whose clock is wrong. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { browser, hasNone, logIn, need, opened, passwordOf } from "../support/browser.ts"
import { running } from "../support/running.ts"

const view = { width: 1280, colorScheme: "light" } as const

/** One server and one browser for all of it; each has a window of its own. */
class Desk extends Context.Service<
  Desk,
  { readonly server: Effect.Success<ReturnType<typeof running>>; readonly chrome: Effect.Success<typeof browser> }
>()("test/console/Desk") {
  static readonly layer = Layer.effect(Desk, Effect.all({ server: running(), chrome: browser }))
}

const atConsole = Effect.gen(function* () {
  const { chrome, server } = yield* Desk
  const { page, wrong } = yield* Effect.acquireRelease(
    Effect.promise(() => opened(chrome, server, view)),
    ({ page }) => Effect.promise(() => page.context().close())
  )
  return { page, server, wrong }
})

/** As when another window is put before it, or taken away. */
const hide = (isHidden: boolean) => `
  Object.defineProperty(document, "hidden", { configurable: true, get: () => ${isHidden} })
  document.dispatchEvent(new Event("visibilitychange"))`

const login = (password: string) => `fetch("/api/admin/login", {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: ${JSON.stringify(JSON.stringify({ password }))}
}).then(({ status }) => status)`

layer(Desk.layer, { excludeTestServices: true, timeout: 30_000 })("the console", (it) => {
  it.effect.skipIf(hasNone)(
    `removes nothing by a double click, says what was done, and keeps the focus where it was done ${need}`,
    () =>
      Effect.gen(function* () {
        const { page, server, wrong } = yield* atConsole
        yield* Effect.promise(async () => {
          await logIn(page, server)
          const said = page.getByRole("status", { name: "What was done" })
          const button = (name: string) => page.getByRole("button", { name, exact: true })
          const isFocused = (name: string) =>
            button(name).evaluate((element) => element === element.ownerDocument.activeElement)
          await page.goto(`${server.url}/#/tokens`)
          await button("Remove sandbox-1").dblclick()
          await button("Really remove sandbox-1").waitFor()

          await button("Disable sandbox-2").focus()
          await page.keyboard.press("Enter")
          await said.getByText("sandbox-2 disabled").waitFor()
          await button("Enable sandbox-2").waitFor()
          assert.isTrue(await isFocused("Enable sandbox-2"))
          await button("Check sandbox-1").first().click()
          await said.getByText(/^sandbox-1 is good/).waitFor()

          await button("Remove sandbox-2").focus()
          await page.keyboard.press("Enter")
          await page.keyboard.press("Enter")
          await said.getByText("sandbox-2 removed").waitFor()
          await button("Enable sandbox-2").waitFor({ state: "detached" })
          const focused = page.getByRole("region", { name: "Tokens" })
          assert.isTrue(await focused.evaluate((element) => element === element.ownerDocument.activeElement))

          const find = page.getByLabel("Find")
          await find.pressSequentially("a b")
          assert.strictEqual(await find.inputValue(), "a b")
          assert.deepStrictEqual(wrong, [])
        })
      }),
    60_000
  )

  it.effect.skipIf(hasNone)(
    `holds the requests still when it is told to, shows none in place of one that is gone, and a page at an address that is none ${need}`,
    () =>
      Effect.gen(function* () {
        const { page, server } = yield* atConsole
        assert.strictEqual((yield* server.chat("hi")).status, 200)
        yield* Effect.promise(async () => {
          await logIn(page, server)
          await page.goto(`${server.url}/#/requests`)
          const links = page.getByRole("cell").getByRole("link")
          await links.first().waitFor()
          const known = await links.count()
          await page.getByLabel("Hold still").check()
          await Effect.runPromise(server.chat("hi"))
          // It is told of, and not shown.
          const asked = await page.waitForRequest((request) => request.url().includes("/api/admin/requests?"))
          await (await asked.response())?.finished()
          await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
          assert.strictEqual(await links.count(), known)
          await page.getByLabel("Hold still").uncheck()
          await links.nth(known).waitFor()
          await links.first().click()
          await page.getByRole("heading", { name: /^Request / }).waitFor()
          await page.goto(`${server.url}/#/requests/gone`)
          await page.getByRole("status").getByText("gone").waitFor()
          assert.strictEqual(await page.getByRole("heading", { name: /^Request req-/ }).count(), 0)
          await page.goto(`${server.url}/#/requests/%E0`)
          await page.reload()
          await page.getByRole("heading", { name: "Requests" }).waitFor()
        })
      }),
    60_000
  )

  it.effect.skipIf(hasNone)(
    `shows the other pages when there is one that cannot be shown ${need}`,
    () =>
      Effect.gen(function* () {
        const { page, server } = yield* atConsole
        yield* Effect.promise(async () => {
          await logIn(page, server)
          const key = { id: "wg-x", name: "x", role: "token", state: "live", source: "made", created_at: 0 }
          // An instant that no date can tell.
          const never = { ...key, expires_at: 9e15, revoked_at: null, last_used_at: null }
          await page.route("**/api/admin/keys", (route) => route.fulfill({ json: { keys: [never] } }))
          await page.goto(`${server.url}/#/keys`)
          await page.getByText("This page cannot be shown").waitFor()
          await page.getByRole("link", { name: "Overview" }).click()
          await page.getByRole("img", { name: /^Requests: / }).waitFor()
        })
      }),
    60_000
  )

  it.effect.skipIf(hasNone)(
    `goes on with the session that its browser has begun in another window, and says so when one has ended ${need}`,
    () =>
      Effect.gen(function* () {
        const { page, server } = yield* atConsole
        yield* Effect.promise(async () => {
          await logIn(page, server)
          await page.goto(`${server.url}/#/tokens`)
          await page.getByRole("button", { name: "Disable sandbox-1" }).waitFor()
          const other = await page.context().newPage()
          await other.goto(`${server.url}/`)
          await other.getByRole("heading", { name: "Overview" }).waitFor()
          // A session of its own, whose cookie takes the place of the other's.
          assert.strictEqual(await other.evaluate(login(passwordOf(server))), 200)
          await page.getByRole("button", { name: "Disable sandbox-1" }).click()
          await page.getByRole("button", { name: "Enable sandbox-1" }).waitFor()

          await other.getByRole("button", { name: "Log out" }).click()
          await page.getByText("The session has ended.").waitFor()
          await logIn(other, server)
          await page.evaluate(hide(false))
          await page.getByRole("heading", { name: "Tokens" }).waitFor()
        })
      }),
    60_000
  )

  it.effect.skipIf(hasNone)(
    `tells times by its server's clock, and listens only while it is seen ${need}`,
    () =>
      Effect.gen(function* () {
        const { page, server } = yield* atConsole
        yield* Effect.promise(async () => {
          const streams: Array<"open" | "over"> = []
          const isStream = (url: string) => url.endsWith("/api/admin/events")
          page.on("request", (request) => isStream(request.url()) && streams.push("open"))
          page.on("requestfailed", (request) => isStream(request.url()) && streams.push("over"))
          await page.clock.install({ time: new Date("2040-01-01T00:00:00Z") })
          await logIn(page, server)
          await page.getByText(/started (now|\d+ seconds? ago)/).waitFor()
          await page.getByText("live", { exact: true }).waitFor()

          const over = page.waitForEvent("requestfailed", (request) => isStream(request.url()))
          await page.evaluate(hide(true))
          await page.clock.fastForward(6_000)
          await over
          const again = page.waitForEvent("request", (request) => isStream(request.url()))
          await page.evaluate(hide(false))
          await again
          assert.deepStrictEqual(streams, ["open", "over", "open"])
          await page.getByText("live", { exact: true }).waitFor()
        })
      }),
    60_000
  )

  it.effect.skipIf(hasNone)(
    `makes a key with its limits, and keeps nothing of it once it is taken ${need}`,
    () =>
      Effect.gen(function* () {
        const { page, server } = yield* atConsole
        yield* Effect.promise(async () => {
          await logIn(page, server)
          await page.goto(`${server.url}/#/keys`)
          await page.getByLabel("Name").fill("limited")
          await page.getByText("Limit it").click()
          await page.getByLabel("Requests a minute").fill("7")
          await page.getByLabel("Priority").fill("9")
          await page.getByLabel("Models").fill("one, two")
          await page.getByLabel("Expires").fill("2099-01-01T10:00")
          await page.getByRole("button", { name: "Make a key" }).click()
          const secret = await page.locator(".secret").innerText()
          assert.isFalse(
            await page.getByRole("button", { name: "Make a key" }).isVisible(),
            "it is not replaced unread"
          )
          const row = page.getByRole("row").filter({ hasText: "limited" })
          await row.getByText("one, two").waitFor()
          await row.locator("[data-title='A minute']").getByText("7", { exact: true }).waitFor()
          await row
            .locator("[data-title=Expires]")
            .getByText(/^in \d/)
            .waitFor()
          const { keys } = (await page.evaluate("fetch('/api/admin/keys').then((answer) => answer.json())")) as {
            readonly keys: ReadonlyArray<{ readonly name: string; readonly priority?: number }>
          }
          assert.strictEqual(keys.find(({ name }) => name === "limited")?.priority, 9)
          await page.getByRole("button", { name: "I have it" }).click()
          assert.notInclude(await page.content(), secret)
          const name = page.getByLabel("Name")
          assert.isTrue(await name.evaluate((element) => element === element.ownerDocument.activeElement))
        })
      }),
    60_000
  )
})
