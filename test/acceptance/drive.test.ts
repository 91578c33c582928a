/** D4's WoPan service over sockets: folders, files and addresses, live and from what is remembered. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { digest } from "../../src/sandbox/seed.ts"
import { fileOf, treeOf, type Folder } from "../../src/sandbox/wopan/tree.ts"
import { type Answer, get, running } from "../support/running.ts"
import { eventually, keyOf, sandboxAt, send, staged } from "../support/staged.ts"

const driveAt = (server: string, headers: Readonly<Record<string, string>>) => {
  const asked = (path: string, query: Readonly<Record<string, string>>) =>
    get(`${server}${path}?${new URLSearchParams(query)}`, headers)
  return {
    folders: (query: Readonly<Record<string, string>> = {}) => asked("/api/folders", query),
    files: (folder: string, query: Readonly<Record<string, string>> = {}) =>
      asked("/api/files", { ...(folder !== "" && { folder }), ...query }),
    download: (url: string, query: Readonly<Record<string, string>> = {}) => asked("/api/download/", { url, ...query })
  }
}

const opened = Effect.fnUntraced(function* () {
  const server = yield* running()
  const headers = yield* keyOf(server, "inference")
  const admin = yield* keyOf(server, "admin")
  return { ...driveAt(server.url, headers), server, headers, admin, sandbox: sandboxAt(server.sandbox) }
})

const live = { realtime: "true" }
const names = (data: { readonly files: ReadonlyArray<{ readonly name: string }> }) => data.files.map(({ name }) => name)
const told = ({ json, status }: Answer) => `${status} ${JSON.stringify(json)?.slice(0, 500)}`

/** The answer's data, of one that came from the drive itself unless it is said otherwise. */
const listed = (answer: Answer, source: "realtime" | "cache" = "realtime") => {
  assert.strictEqual(answer.status, 200, told(answer))
  assert.deepInclude(answer.json, { code: 200, success: true })
  const { data, timestamp } = answer.json
  assert.strictEqual(data.source, source, told(answer))
  assert.approximately(data.age, (Date.parse(timestamp) - Date.parse(data.listed_at)) / 1_000, 1)
  assert.strictEqual(data.file_count, data.files.length)
  return data
}

const bytesOf = (answer: Answer) =>
  Effect.promise(async () => {
    assert.strictEqual(answer.status, 200, told(answer))
    const content = await fetch(answer.json.url)
    assert.strictEqual(content.status, 200)
    return Buffer.from(await content.arrayBuffer()).toString("hex")
  })

/** What the sandbox serves of that file, by its seed. */
const contentOf = (account: string, path: string) => {
  const way = path.split("/")
  let folder: Folder | undefined = treeOf("weirgate", account)
  for (const name of way.slice(0, -1)) folder = folder?.folders.find((inner) => inner.name === name)
  const file = folder?.files.find(({ name }) => name === way.at(-1))
  assert.isDefined(file)
  assert.isDefined(fileOf(treeOf("weirgate", account), file.fid))
  return Buffer.concat(Array.from({ length: 32 }, (_, i) => digest("weirgate", "content", file.fid, i))).toString("hex")
}

describe("the drive", () => {
  it.live("lists folders and files with D4's fields, and its addresses lead to the bytes", () =>
    Effect.gen(function* () {
      const { download, files, folders, sandbox } = yield* opened()
      const root = (yield* folders(live)).json
      assert.deepInclude(root, {
        code: 200,
        success: true,
        data: ["documents", "empty", "music", "photos", "视频"],
        count: 5,
        source: "realtime",
        failure: null
      })
      const data = listed(yield* files("", live))
      assert.includeMembers(names(data), ["readme.txt", `only-${data.account.replace("sandbox", "account")}.txt`])
      for (const file of data.files) {
        assert.hasAllKeys(file, ["name", "size", "create_time", "file_type", "type"])
        assert.match(file.create_time, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
        assert.include(["file", "folder"], file.type)
      }
      assert.strictEqual(listed(yield* files("empty", live)).file_count, 0)

      const nasty = ["中文/50% + “x”/a&b=c #1?.txt", '中文/it\'s "quoted"/%2e%2e/100%25.md', "a+b c/😀.bin"]
      for (const path of nasty) assert.strictEqual((yield* sandbox.addFile("account-1", path)).status, 200, path)
      const paths = [
        "documents/100 % sure+certain.txt",
        `documents/it's "quoted".md`,
        "视频/家庭 电影.mkv",
        "readme.txt"
      ]
      const deep = ["photos/2025/08/beach-007.heic", "photos/2025/holiday 100.jpg"]
      const seen = new Set<string>()
      for (const path of [...paths, ...deep]) {
        const answer = yield* download(path, { account: "sandbox-1" })
        const bytes = yield* bytesOf(answer)
        assert.strictEqual(bytes, contentOf("account-1", path), path)
        seen.add(bytes)
      }
      assert.strictEqual(seen.size, paths.length + deep.length, "each file has bytes of its own")
      for (const path of nasty) {
        const folder = path.slice(0, path.lastIndexOf("/"))
        const inside = listed(yield* files(folder, { ...live, account: "sandbox-1" }))
        assert.strictEqual(inside.folder, folder)
        assert.deepStrictEqual(names(inside), [path.slice(folder.length + 1)])
        assert.lengthOf(yield* bytesOf(yield* download(path, { account: "sandbox-1" })), 2_048)
      }
      const missing = ["nothing", "documents/nothing", "readme.txt/x", "..", "documents/../readme.txt", "photos//2025"]
      for (const path of missing) {
        for (const answer of [yield* files(path, live), yield* download(path)]) {
          assert.strictEqual(answer.status, 404, `${path}: ${told(answer)}`)
          assert.deepInclude(answer.json, { code: 404, success: false, type: "path_unknown" })
        }
      }
    })
  )

  it.live("a walk over all folders finds each of the more than 1,000 files once", () =>
    Effect.gen(function* () {
      const { files } = yield* opened()
      const found: Array<string> = []
      const walk = (path: string): Effect.Effect<void> =>
        Effect.gen(function* () {
          const data = listed(yield* files(path, { ...live, account: "sandbox-1" }))
          for (const { name, type } of data.files) {
            const inside = path === "" ? name : `${path}/${name}`
            if (type === "folder") yield* walk(inside)
            else found.push(inside)
          }
        })
      yield* walk("")
      const pathsIn = (folder: Folder, above: string): ReadonlyArray<string> => [
        ...folder.files.filter(({ type }) => type === 1).map(({ name }) => above + name),
        ...folder.folders.flatMap((inner) => pathsIn(inner, `${above}${inner.name}/`))
      ]
      assert.sameMembers(found, [...pathsIn(treeOf("weirgate", "account-1"), "")])
      assert.isAtLeast(found.length, 1_000)
    })
  )

  it.live("what fails live is answered from what is remembered, with its age and the failure", () =>
    Effect.gen(function* () {
      const { download, files, folders, sandbox } = yield* opened()
      const before = listed(yield* files("music", live))
      yield* folders(live)
      const failing = (kind: string) => ({ provider: "wopan", call: "list", kind, times: null })
      for (const kind of ["reset", "server_error", "html", "bad_cipher", "malformed", "rate_limit", "system_error"]) {
        yield* sandbox.faults(failing(kind))
        const data = listed(yield* files("music", { ...live, account: before.account }), "cache")
        assert.isNotEmpty(data.failure, kind)
        assert.strictEqual(data.listed_at, before.listed_at)
        assert.deepStrictEqual(data.files, before.files)
        const top = (yield* folders(live)).json
        assert.deepInclude(top, { source: "cache", count: 5 }, kind)
        assert.isNotEmpty(top.failure)
        // Of what was never seen there is nothing to answer with.
        for (const none of [yield* files("documents", live), yield* download("documents/report-001.pdf")]) {
          assert.include([429, 502, 503, 504], none.status, `${kind}: ${told(none)}`)
          assert.deepInclude(none.json, { code: none.status, success: false })
          assert.isNotEmpty(none.json.error)
        }
        if (kind === "reset" || kind === "server_error" || kind === "html") {
          assert.strictEqual((yield* files("documents", live)).status, 502, kind)
        }
      }
    })
  )

  it.live("a caller who leaves while the drive is silent leaves nothing behind", () =>
    Effect.gen(function* () {
      const { admin, headers, sandbox, server } = yield* opened()
      yield* sandbox.faults({ provider: "wopan", call: "list", kind: "silence", times: null })
      const asked = send(`${server.url}/api/files?folder=music&realtime=true`, "GET", headers)
      const caller = yield* Effect.forkChild(asked, { startImmediately: true })
      yield* eventually(sandbox.stats, ({ wopan }) => wopan.list.open === 1, "it is not asked")
      yield* Fiber.interrupt(caller)
      yield* eventually(sandbox.stats, ({ wopan }) => wopan.list.open === 0, "the call goes on")
      const statistics = Effect.map(get(`${server.url}/api/token/stats`, admin), ({ json }) => json.data)
      const leased = ({ tokens }: { tokens: ReadonlyArray<{ leased: number }> }) =>
        tokens.every((token) => token.leased === 0)
      yield* eventually(statistics, leased, "the token is kept")
      assert.strictEqual((yield* statistics).active_tokens, 2)
    })
  )

  it.live("an expiry in the middle of a long listing refreshes once, whoever asks", () =>
    Effect.gen(function* () {
      const { files, sandbox } = yield* opened()
      const account = "sandbox-1"
      assert.strictEqual((yield* sandbox.stats).wopan.refresh.total, 0)
      yield* sandbox.faults({ provider: "wopan", call: "list", kind: "slow", delay: "300 millis", skip: 2 })
      const before = (yield* sandbox.stats).wopan.list.total
      const walk = yield* Effect.forkChild(files("photos", { ...live, account }), { startImmediately: true })
      // The root, its first page; the second page is on its way.
      yield* eventually(sandbox.stats, ({ wopan }) => wopan.list.total === before + 3, "no second page")
      yield* sandbox.expire("account-1")
      const data = listed(yield* Fiber.join(walk))
      assert.strictEqual(new Set(names(data)).size, 251)
      assert.strictEqual(data.file_count, 251)
      const once = (yield* sandbox.stats).wopan
      assert.strictEqual(once.refresh.total, 1)
      assert.strictEqual(once.list.byCode["9999"], 1)

      yield* sandbox.expire("account-1")
      const folders = ["", "documents", "empty", "music", "photos", "photos/2025", "photos/2025/08", "视频"]
      const answers = yield* Effect.forEach(
        [...folders, "music", "photos"],
        (path) => files(path, { ...live, account }),
        {
          concurrency: "unbounded"
        }
      )
      for (const answer of answers) assert.strictEqual(listed(answer).account, account)
      const twice = (yield* sandbox.stats).wopan
      assert.strictEqual(twice.refresh.total, 2)
      assert.deepStrictEqual(twice.refresh.byCode, { "0000": 2 })
    })
  )

  it.live("a listing and the addresses of its files are of one account", () =>
    Effect.gen(function* () {
      const { download, files, headers, sandbox, server } = yield* opened()
      for (const n of [1, 2]) yield* sandbox.addFile(`account-${n}`, `private-${n}/secret.bin`)
      yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => (i % 2) + 1),
        Effect.fnUntraced(function* (n) {
          // Whoever borrows tokens meanwhile does not change whose drive it is.
          yield* get(`${server.url}/api/token/get`, headers)
          const data = listed(yield* files(`private-${n}`, live))
          assert.strictEqual(data.account, `sandbox-${n}`)
          assert.strictEqual((yield* download(`private-${n}/secret.bin`)).json.account, `sandbox-${n}`)
          const only = yield* download(`only-account-${n}.txt`)
          assert.strictEqual(only.json.account, `sandbox-${n}`)
          assert.strictEqual(yield* bytesOf(only), contentOf(`account-${n}`, `only-account-${n}.txt`))
          const whose = listed(yield* files("", { ...live, account: `sandbox-${n}` }))
          assert.include(names(whose), `only-account-${n}.txt`)
          assert.notInclude(names(whose), `only-account-${3 - n}.txt`)
          const stranger = yield* files(`private-${n}`, { ...live, account: `sandbox-${3 - n}` })
          assert.strictEqual(stranger.status, 404, told(stranger))
        }),
        { concurrency: 4 }
      )
      const { wopan } = yield* sandbox.stats
      assert.deepStrictEqual(Object.keys(wopan.download.byCode), ["0000"], "no address is asked with another's token")
      assert.strictEqual((yield* files("", { account: "nobody" })).status, 404)
    })
  )

  it.live(
    "what is remembered outlives a kill of the process",
    () =>
      Effect.gen(function* () {
        const { sandbox, server } = yield* staged()
        const before = yield* Effect.scoped(
          Effect.gen(function* () {
            const first = yield* server
            const headers = yield* keyOf(first, "admin")
            const data = listed(yield* driveAt(first.url, headers).files("photos/2025", live))
            yield* first.signal("SIGKILL")
            return { headers, data }
          })
        )
        yield* sandbox.faults({ provider: "wopan", call: "list", kind: "server_error", times: null })
        const { url } = yield* server
        const drive = driveAt(url, before.headers)
        const data = listed(yield* drive.files("photos/2025", live), "cache")
        assert.deepInclude(data, {
          files: before.data.files,
          listed_at: before.data.listed_at,
          account: before.data.account
        })
        assert.isNotEmpty(data.failure)
        assert.strictEqual(listed(yield* drive.files("photos/2025"), "cache").failure, null, "it is fresh")
        const never = yield* drive.files("documents", live)
        assert.strictEqual(never.status, 502, told(never))
        assert.strictEqual(never.json.type, "upstream_status")
      }),
    60_000
  )
})
