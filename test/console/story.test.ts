/** A day at the console, in a browser: at both widths, in both colours, with a pointer and by keyboard alone. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Page } from "playwright-core"
import {
  browser,
  faultsOf,
  type Hands,
  hasNone,
  keyboard,
  need,
  opened,
  overflowOf,
  passwordOf,
  pointer,
  titles
} from "../support/browser.ts"
import { post, running, temporaryFolder } from "../support/running.ts"

const views = [
  { width: 1280, colorScheme: "light", by: "a pointer" },
  { width: 1280, colorScheme: "dark", by: "keyboard alone" },
  { width: 375, colorScheme: "light", by: "keyboard alone" },
  { width: 375, colorScheme: "dark", by: "a pointer" }
] as const

const provider = "nvidia1"
const config = {
  providers: [
    {
      name: provider,
      kind: "openai",
      baseUrl: `sandbox:/${provider}/v1`,
      keys: ["sandbox-nvidia1-a"],
      concurrency: 2,
      models: ["llama-3.3-70b"]
    }
  ]
}
const secret = "sandbox-nvidia1-b"

/** Kept beside the tests when they are asked to: `npm run screenshots`. */
const pictures = process.env["WEIRGATE_SCREENSHOTS"] === undefined ? undefined : "test/console/screenshots"

const started = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const file = join(folder, "weirgate.json")
  writeFileSync(file, JSON.stringify(config))
  return yield* running({ WEIRGATE_DATA: folder, WEIRGATE_CONFIG: file })
})

type Server = Effect.Success<typeof started>

const chat = (server: Server, headers: Readonly<Record<string, string>> = {}) =>
  Effect.runPromise(
    post(
      `${server.url}/v1/chat/completions`,
      { model: "llama-3.3-70b", messages: [{ role: "user", content: "hi" }] },
      headers
    )
  )

const story = async (page: Page, server: Server, hands: Hands, view: string) => {
  const { choose, pick, press, upload, write } = hands
  const button = (name: string | RegExp) => page.getByRole("button", { name, exact: true })
  const rowOf = (name: string) => page.getByRole("row").filter({ hasText: name })
  const goTo = async (title: string) => {
    await press(page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: title }))
    await page.getByRole("heading", { name: title, level: 1 }).waitFor()
  }

  await page.goto(`${server.url}/`)
  assert.deepStrictEqual(await faultsOf(page), [], "the login")
  await write(page.getByLabel("Password", { exact: true }), "not the password")
  await press(button("Log in"))
  await page.getByRole("alert").waitFor()
  await page.getByLabel("Password", { exact: true }).fill("")
  await write(page.getByLabel("Password", { exact: true }), passwordOf(server))
  await press(button("Log in"))
  await page.getByRole("heading", { name: "Overview" }).waitFor()
  await page.getByText("live", { exact: true }).waitFor()

  // A token is added, and seen to be used the moment it is.
  await goTo("Tokens")
  await press(page.getByText("Add a token"))
  const form = page.getByRole("form", { name: "Add a token" })
  await choose(form.getByLabel("Provider"), provider)
  await write(form.getByLabel("Name"), "mine")
  await choose(form.getByLabel("Kind"), "anonymous")
  await write(form.getByLabel("Token", { exact: true }), secret)
  await press(form.getByRole("button", { name: "Add" }))
  await rowOf("mine").getByText("unused").waitFor()
  assert.strictEqual((await chat(server)).status, 200)
  await rowOf("mine").getByText("of 1").waitFor()

  // It is taken out of use: the other one takes over.
  await press(button("Disable mine"))
  await rowOf("mine").getByText("disabled", { exact: true }).waitFor()
  assert.strictEqual((await chat(server)).status, 200)
  await rowOf("literal:1").getByText("of 1").waitFor()
  await press(button("Enable mine"))
  await button("Disable mine").waitFor()
  await press(button("Reset mine"))
  await press(button("Check mine"))

  await press(page.getByText("Import a file"))
  const rows = [{ token: "synthetic-imported", name: "imported", provider: "wopan", is_active: false }]
  const field = page.getByLabel("tokens.json")
  await upload(field, "tokens.json", JSON.stringify([...rows, { name: "none", provider: "wopan" }], null, 1))
  await press(button("Look into it"))
  await page.getByText("nothing was imported").waitFor()
  await page.getByText(/line \d+: token: /).waitFor()
  await upload(field, "tokens.json", JSON.stringify({ tokens: rows }))
  await press(button("Look into it"))
  await page.getByText("1 token would be added").waitFor()
  await press(button("Import them"))
  await rowOf("imported").getByText("disabled", { exact: true }).waitFor()
  await press(button("Remove imported"))
  await press(button("Really remove imported"))
  await rowOf("imported").waitFor({ state: "detached" })
  await choose(page.getByLabel("State"), "dead")
  await page.getByText("No token is like that.").waitFor()
  await choose(page.getByLabel("State"), "all")
  await write(page.getByLabel("Find"), "MIN")
  await rowOf("literal:1").waitFor({ state: "detached" })
  await rowOf("mine").waitFor()

  // A provider is paused: its line grows, and drains when it goes on.
  await goTo("Providers")
  await press(button(`Pause ${provider}`))
  await rowOf(provider).getByText("paused", { exact: true }).first().waitFor()
  const asked = [1, 2, 3].map(() => chat(server, { "x-weirgate-explain": "1" }))
  await rowOf(provider).locator("[data-title=Queue]").getByText("3", { exact: true }).waitFor()
  await goTo("Overview")
  await page.getByRole("img", { name: "Queue: 3 waiting" }).waitFor()
  await goTo("Providers")
  await press(button(`Resume ${provider}`))
  for (const answer of await Promise.all(asked)) assert.strictEqual(answer.status, 200)
  await page.getByText("in order").waitFor()
  await press(button(`Reset ${provider}`))
  await goTo("Overview")
  await page.getByRole("img", { name: "Queue: 0 waiting" }).waitFor()
  await pick(page.getByRole("radio", { name: "hour" }))

  await goTo("Requests")
  await press(page.getByRole("cell").getByRole("link").first())
  await page.getByText("sent", { exact: true }).waitFor()
  assert.deepStrictEqual(await faultsOf(page), [], "an explained request")
  await shot(page, view, "request")

  await goTo("Keys")
  await write(page.getByLabel("Name"), "alice")
  await choose(page.getByLabel("Role"), "admin")
  await press(button("Make a key"))
  const key = await page.locator(".secret").innerText()
  assert.match(key, /^wg-/)
  await press(button("I have it"))
  const listed = () => fetch(`${server.url}/api/admin/keys`, { headers: { authorization: `Bearer ${key}` } })
  assert.strictEqual((await listed()).status, 200)
  await press(button("Revoke alice"))
  await press(button("Really revoke alice"))
  await page.getByText("revoked", { exact: true }).waitFor()
  assert.strictEqual((await listed()).status, 401)

  for (const title of titles) {
    await goTo(title)
    await page.locator("table, .notice, .panel").first().waitFor()
    await page.getByText("Loading …").first().waitFor({ state: "detached" })
    assert.deepStrictEqual(await faultsOf(page), [], title)
    assert.strictEqual(await overflowOf(page), 0, `${title} is as wide as the window`)
    const html = await page.content()
    for (const value of [secret, key, "sandbox-nvidia1-a"]) assert.notInclude(html, value, title)
    await shot(page, view, title.toLowerCase())
  }
  await page.getByText("key.revoke").first().waitFor()
  await page.reload()
  await page.getByRole("heading", { name: "Audit" }).waitFor()

  // Whoever changes the password begins anew, with the new one.
  await goTo("Keys")
  await press(page.getByText("Change the console's password"))
  await write(page.getByLabel("The password now"), passwordOf(server))
  await write(page.getByLabel("The new one"), "a synthetic new password")
  await press(button("Change it"))
  await write(page.getByLabel("Password", { exact: true }), "a synthetic new password")
  await press(button("Log in"))
  await page.getByRole("heading", { name: "Keys" }).waitFor()
  await press(button("Log out"))
  await page.getByLabel("Password", { exact: true }).waitFor()
  await shot(page, view, "login")
}

const shot = async (page: Page, view: string, name: string) => {
  if (pictures !== undefined) await page.screenshot({ path: join(pictures, view, `${name}.png`), fullPage: true })
}

const refused = (status: string) => `Failed to load resource: the server responded with a status of ${status}`

const unauthorized = refused("401 (Unauthorized)")

describe("the console", () => {
  for (const { by, ...view } of views) {
    it.live.skipIf(hasNone)(
      `is used at ${view.width} pixels in the ${view.colorScheme}, by ${by} ${need}`,
      () =>
        Effect.gen(function* () {
          const server = yield* started
          const chrome = yield* browser
          yield* Effect.promise(async () => {
            const { page, wrong } = await opened(chrome, server, view)
            const hands = by === "a pointer" ? pointer : keyboard(page)
            await story(page, server, hands, `${view.width}-${view.colorScheme}`)
            // The browser tells of what was refused on purpose: a password, a file, and who goes on in a session that has ended.
            const [password, file, ...ended] = wrong
            assert.deepStrictEqual([password, file], [unauthorized, refused("422 (Unprocessable Entity)")])
            assert.deepStrictEqual(
              ended.filter((text) => text !== unauthorized),
              []
            )
          })
        }),
      120_000
    )
  }
})
