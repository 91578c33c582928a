/** The dispatcher over a socket, spoken to by hand: what is not signed or encrypted right is refused. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { decrypt, encrypt, signatureOf } from "../../../src/upstream/wopan/cipher.ts"
import { get, post } from "../../support/running.ts"
import { withSandbox } from "../warpCaller.ts"

interface Spoken {
  readonly channel?: string
  readonly operation?: string
  readonly params?: object
  readonly access?: string
  readonly sign?: string
  readonly resTime?: number
  readonly reqSeq?: number
  readonly param?: string
  readonly clientId?: string
}

const account = (index: 0 | 1) =>
  Effect.map(Sandbox, ({ wopan }) => {
    const token = wopan.tokens[index]
    assert.isDefined(token)
    return { access: Redacted.value(token!.access), refresh: Redacted.value(token!.refresh ?? Redacted.make("")) }
  })

/** The answer's code and its data, decrypted where it is not in clear. */
const speak = Effect.fnUntraced(function* (spoken: Spoken) {
  const { wopan } = yield* Sandbox
  const iv = Redacted.value(wopan.iv)
  const {
    access = "",
    channel = "wohome",
    operation = "QueryAllFiles",
    reqSeq = 101_010,
    resTime = Date.now()
  } = spoken
  const key = channel === "wohome" ? access.slice(0, 16) : Redacted.value(wopan.clientSecret)
  const header = { key: operation, resTime, reqSeq, channel, version: "" }
  const clientId = spoken.clientId ?? wopan.clientId
  const params = JSON.stringify({ ...(channel === "wohome" && { clientId }), ...spoken.params })
  const { json, status } = yield* post(
    `${wopan.baseUrl}/${channel}/dispatcher`,
    {
      header: { ...header, sign: spoken.sign ?? signatureOf(header) },
      body: {
        param: spoken.param ?? encrypt(params, key, iv),
        secret: true,
        ...(channel === "api-user" && { clientId })
      }
    },
    access === "" ? {} : { accesstoken: access }
  )
  assert.strictEqual(status, 200)
  const { DATA, RSP_CODE, RSP_DESC } = json.RSP
  const data = typeof DATA === "string" && DATA !== "" ? JSON.parse(decrypt(DATA, key, iv) ?? "null") : DATA
  return { code: String(RSP_CODE), reason: String(RSP_DESC), data }
})

const page = (params: object = {}) => ({
  spaceType: "0",
  parentDirectoryId: "0",
  pageNum: 0,
  pageSize: 100,
  sortRule: 0,
  ...params
})

describe("the emulated dispatcher", () => {
  it.live("refuses what is not signed right, and what is not now", () =>
    Effect.gen(function* () {
      const { access } = yield* account(0)
      const good = { access, params: page() }
      assert.strictEqual((yield* speak(good)).code, "0000")
      const wrong: ReadonlyArray<Spoken> = [
        { sign: "0".repeat(32) },
        { sign: "" },
        { resTime: Date.now() - 3_600_000 },
        { reqSeq: 1 },
        { clientId: "synthetic" }
      ]
      for (const spoken of wrong) {
        const { code, data } = yield* speak({ ...good, ...spoken })
        assert.deepStrictEqual([code, data], ["1000", ""], JSON.stringify(spoken))
      }
    }).pipe(withSandbox())
  )

  it.live("refuses what is not encrypted, or with the key of another", () =>
    Effect.gen(function* () {
      const { wopan } = yield* Sandbox
      const [mine, other] = [yield* account(0), yield* account(1)]
      const iv = Redacted.value(wopan.iv)
      const params = JSON.stringify({ ...page(), clientId: wopan.clientId })
      const wrong = [
        params,
        Buffer.from(params).toString("base64"),
        encrypt(params, other.access.slice(0, 16), iv),
        encrypt(params, Redacted.value(wopan.clientSecret), iv),
        encrypt(params, mine.access.slice(0, 16), "0".repeat(16)),
        ""
      ]
      for (const param of wrong) {
        const { code } = yield* speak({ access: mine.access, param })
        assert.include(["9002", "1000"], code, param.slice(0, 40))
        assert.notStrictEqual(code, "0000")
      }
    }).pipe(withSandbox())
  )

  it.live("knows its tokens, and no others", () =>
    Effect.gen(function* () {
      const { access } = yield* account(0)
      const unknown = [
        `0${access.slice(1)}`.replace(/^0/, access[0] === "0" ? "1" : "0"),
        "synthetic-synthetic-synthetic"
      ]
      for (const token of unknown) assert.strictEqual((yield* speak({ access: token, params: page() })).code, "1001")
      assert.strictEqual((yield* speak({ params: page(), param: "AAAA" })).code, "1001")
      const { url } = yield* Sandbox
      yield* post(`${url}/_sandbox/wopan/expire`, { account: "account-1" })
      const expired = yield* speak({ access, params: page() })
      assert.deepStrictEqual([expired.code, expired.data], ["9999", ""])
      assert.strictEqual((yield* speak({ access: (yield* account(1)).access, params: page() })).code, "0000")
    }).pipe(withSandbox())
  )

  it.live("renews by rotation: both old tokens are void", () =>
    Effect.gen(function* () {
      const { wopan } = yield* Sandbox
      const { access, refresh } = yield* account(0)
      const clientSecret = Redacted.value(wopan.clientSecret)
      const renew = (refreshToken: string) =>
        speak({ channel: "api-user", operation: "AppRefreshToken", params: { refreshToken, clientSecret } })
      const { code, data } = yield* renew(refresh)
      assert.strictEqual(code, "0000")
      assert.isAtLeast(data.expires_in, 604_790)
      assert.strictEqual((yield* speak({ access, params: page() })).code, "1001")
      assert.strictEqual((yield* speak({ access: data.access_token, params: page() })).code, "0000")
      assert.strictEqual((yield* renew(refresh)).code, "8005")
      assert.strictEqual((yield* renew(data.refresh_token)).code, "0000")
      const wrong = yield* speak({
        channel: "api-user",
        operation: "AppRefreshToken",
        params: { refreshToken: refresh, clientSecret: "synthetic" }
      })
      assert.strictEqual(wrong.code, "1000")
    }).pipe(withSandbox())
  )

  it.live("honours after a restart what it issued before", () =>
    Effect.gen(function* () {
      const renewed = yield* Effect.gen(function* () {
        const { wopan } = yield* Sandbox
        const { refresh } = yield* account(0)
        const params = { refreshToken: refresh, clientSecret: Redacted.value(wopan.clientSecret) }
        return (yield* speak({ channel: "api-user", operation: "AppRefreshToken", params })).data
      }).pipe(withSandbox())
      yield* Effect.gen(function* () {
        const { access } = yield* account(0)
        assert.strictEqual((yield* speak({ access: renewed.access_token, params: page() })).code, "0000")
        // A newer one has been seen.
        assert.strictEqual((yield* speak({ access, params: page() })).code, "1001")
      }).pipe(withSandbox())
    })
  )

  it.live("lists over 1,000 files in nested folders, a page at a time", () =>
    Effect.gen(function* () {
      const { access } = yield* account(0)
      const names: Array<string> = []
      const passedOver: Array<string> = []
      const walk = (id: string, path: string): Effect.Effect<void, never, Sandbox> =>
        Effect.gen(function* () {
          for (let pageNum = 0; ; pageNum++) {
            const { code, data } = yield* speak({ access, params: page({ parentDirectoryId: id, pageNum }) })
            assert.strictEqual(code, "0000")
            for (const file of data.files) {
              if (file.type === 0) yield* walk(file.id, `${path}${file.name}/`)
              else (file.type === 1 ? names : passedOver).push(path + file.name)
            }
            if (data.files.length < 100) return
          }
        })
      yield* walk("0", "")
      assert.isAtLeast(names.length, 1_000)
      assert.strictEqual(new Set(names).size, names.length)
      assert.includeMembers(names, ["readme.txt", "photos/2025/08/beach-100.heic", "视频/家庭 电影.mkv"])
      assert.lengthOf(passedOver, 2)
    }).pipe(withSandbox())
  )

  it.live("sorts as it is asked to", () =>
    Effect.gen(function* () {
      const { access } = yield* account(0)
      const root = yield* speak({ access, params: page() })
      const music = root.data.files.find(({ name }: { name: string }) => name === "music").id
      const by = (sortRule: number) =>
        Effect.map(speak({ access, params: page({ parentDirectoryId: music, sortRule }) }), ({ data }) => data.files)
      const names = (files: ReadonlyArray<{ name: string }>) => files.map(({ name }) => name)
      assert.deepStrictEqual(names(yield* by(1)).slice(0, 2), ["track 001.mp3", "track 002.mp3"])
      assert.deepStrictEqual(names(yield* by(2)).slice(0, 2), ["track 200.mp3", "track 199.mp3"])
      const sizes = (yield* by(4)).map(({ size }: { size: number | string }) => Number(size))
      assert.deepStrictEqual(
        sizes,
        sizes.toSorted((a: number, b: number) => b - a)
      )
    }).pipe(withSandbox())
  )

  it.live("gives an address for a file of the account, and for none of another's", () =>
    Effect.gen(function* () {
      const [mine, other] = [yield* account(0), yield* account(1)]
      const fidOf = (access: string) =>
        Effect.map(
          speak({ access, params: page() }),
          ({ data }) => data.files.find(({ name }: { name: string }) => name === "readme.txt").fid
        )
      const [fid, theirs] = [yield* fidOf(mine.access), yield* fidOf(other.access)]
      assert.notStrictEqual(fid, theirs)
      const ask = (fid: string) =>
        speak({ access: mine.access, operation: "GetDownloadUrlV2", params: { type: "1", fidList: [fid] } })
      assert.strictEqual((yield* ask(theirs)).code, "1000")
      const { downloadUrl } = (yield* ask(fid)).data.list[0]
      const whole = yield* Effect.promise(() => fetch(downloadUrl))
      assert.strictEqual(whole.status, 200)
      const bytes = new Uint8Array(yield* Effect.promise(() => whole.arrayBuffer()))
      const part = yield* Effect.promise(() => fetch(downloadUrl, { headers: { range: "bytes=10-19" } }))
      assert.strictEqual(part.status, 206)
      assert.deepStrictEqual(new Uint8Array(yield* Effect.promise(() => part.arrayBuffer())), bytes.slice(10, 20))
      for (const [url, headers] of [
        [downloadUrl, { referer: "https://another.example/" }],
        [downloadUrl.replace(/.$/, (last: string) => (last === "0" ? "1" : "0")), {}]
      ] as const) {
        assert.strictEqual((yield* get(url, headers)).status, 403)
      }
    }).pipe(withSandbox())
  )

  it.live("counts its calls by status and by code, and starts over", () =>
    Effect.gen(function* () {
      const { url } = yield* Sandbox
      const { access } = yield* account(0)
      yield* speak({ access, params: page() })
      yield* speak({ access, params: page({ parentDirectoryId: "synthetic" }) })
      yield* post(`${url}/_sandbox/wopan/files`, { account: "account-1", path: "new/deep/a.bin", size: 7 })
      const added = yield* speak({ access, params: page() })
      assert.include(
        added.data.files.map(({ name }: { name: string }) => name),
        "new"
      )
      const { json } = yield* get(`${url}/_sandbox/stats`)
      assert.deepInclude(json.wopan.list, { total: 3, byStatus: { 200: 3 }, byCode: { "0000": 2, "1000": 1 }, open: 0 })
      yield* post(`${url}/_sandbox/reset`, {})
      const over = yield* get(`${url}/_sandbox/stats`)
      assert.deepInclude(over.json.wopan.list, { total: 0, byCode: {} })
      const again = yield* speak({ access, params: page() })
      assert.notInclude(
        again.data.files.map(({ name }: { name: string }) => name),
        "new"
      )
    }).pipe(withSandbox())
  )

  it.live("refuses a change of what there is not, by the field", () =>
    Effect.gen(function* () {
      const { url } = yield* Sandbox
      for (const [body, field] of [
        [{ account: "nobody", path: "a" }, "account"],
        [{ account: "account-1", path: "/a" }, "path"],
        [{ account: "account-1", path: "a", size: -1 }, "size"]
      ] as const) {
        const { json, status } = yield* post(`${url}/_sandbox/wopan/files`, body)
        assert.deepStrictEqual([status, json.error.field], [400, field])
      }
      assert.strictEqual((yield* post(`${url}/_sandbox/wopan/expire`, { account: "nobody" })).status, 400)
    }).pipe(withSandbox())
  )

  it.live.each([
    [{ kind: "expired" }, 200, "9999"],
    [{ kind: "not_logged_in" }, 200, "1001"],
    [{ kind: "rsp_code", code: "6006", message: "captcha" }, 200, "6006"],
    [{ kind: "bad_cipher" }, 200, "0000"],
    [{ kind: "rate_limit", retryAfter: 7 }, 429, undefined],
    [{ kind: "server_error", status: 503 }, 503, undefined],
    [{ kind: "unauthorized" }, 401, undefined],
    [{ kind: "html" }, 200, undefined],
    [{ kind: "slow", delay: "10 millis" }, 200, "1001"]
  ] as const)("can be asked for %j", ([fault, status, code]) =>
    Effect.gen(function* () {
      const { url, wopan } = yield* Sandbox
      const set = yield* post(`${url}/_sandbox/faults`, { provider: "wopan", call: "list", ...fault })
      assert.strictEqual(set.status, 200, set.text)
      const header = { key: "QueryAllFiles", resTime: Date.now(), reqSeq: 101_010, channel: "wohome", version: "" }
      const body = { header: { ...header, sign: signatureOf(header) }, body: { param: "AAAA", secret: true } }
      const answer = yield* post(`${wopan.baseUrl}/wohome/dispatcher`, body)
      assert.strictEqual(answer.status, status)
      assert.strictEqual(answer.json?.RSP.RSP_CODE, code)
      if ("retryAfter" in fault) assert.strictEqual(answer.headers.get("retry-after"), "7")
    }).pipe(withSandbox())
  )

  it.live("strikes one account alone, and refuses a fault that could never strike", () =>
    Effect.gen(function* () {
      const { url } = yield* Sandbox
      const [one, two] = [yield* account(0), yield* account(1)]
      const fault = { provider: "wopan", call: "list", kind: "expired", account: "account-2", times: null }
      yield* post(`${url}/_sandbox/faults`, fault)
      assert.strictEqual((yield* speak({ access: one.access, params: page() })).code, "0000")
      assert.strictEqual((yield* speak({ access: two.access, params: page() })).code, "9999")
      for (const [wrong, field] of [
        [{ call: "list", kind: "refresh_rejected" }, "kind"],
        [{ call: "refresh", kind: "bad_cipher" }, "kind"],
        [{ call: "list", kind: "html", status: 500 }, "status"],
        [{ call: "list", kind: "html", model: "m" }, "model"],
        [{ call: "login", kind: "html", account: "account-1" }, "account"]
      ] as const) {
        const { json, status } = yield* post(`${url}/_sandbox/faults`, { provider: "wopan", ...wrong })
        assert.deepStrictEqual([status, json.error.field], [400, field])
      }
    }).pipe(withSandbox())
  )
})
