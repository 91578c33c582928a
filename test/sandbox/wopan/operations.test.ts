import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { encrypt } from "../../../src/upstream/wopan/cipher.ts"
import { at, stats, text, withSandbox } from "../warpCaller.ts"
import {
  filesIn,
  folderId,
  list,
  type Listed,
  namesIn,
  queryUser,
  renew,
  speak,
  type Spoken,
  tokenOf
} from "./wopanCaller.ts"

/** Whatever is wrong, the answer is an envelope that holds no data, and says what. */
const assertRefused = Effect.fnUntraced(function* (spoken: Spoken, code: string, reason: RegExp) {
  const answer = yield* speak(spoken)
  const shown = JSON.stringify(spoken.header ?? spoken.body ?? spoken.operation)
  assert.deepStrictEqual([answer.status, answer.code, answer.data], [200, code, ""], shown)
  assert.match(String(answer.reason), reason, shown)
  assert.notInclude(answer.text, spoken.access === undefined ? "nothing to hide" : spoken.access)
})

const page = { spaceType: "0", parentDirectoryId: "0", pageNum: 0, pageSize: 100, sortRule: 0 }

describe("the envelope of a call to the emulated drive", () => {
  it.effect("is refused with the field that is wrong", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(100_000_000)
      const { access } = yield* tokenOf(0)
      for (const [header, reason] of [
        [{ sign: "0".repeat(32) }, /^header\.sign/],
        [{ sign: undefined }, /^header\.sign/],
        [{ key: "" }, /^header\.key/],
        [{ reqSeq: 99_999 }, /^header\.reqSeq/],
        [{ reqSeq: 101_010.5 }, /^header\.reqSeq/],
        [{ reqSeq: "101010" }, /^header\.reqSeq/],
        [{ resTime: 100_000_000 - 600_001 }, /^header\.resTime/],
        [{ resTime: 100_000_000 + 600_001 }, /^header\.resTime/],
        [{ channel: "api-user" }, /^header\.channel/],
        [{ version: undefined }, /^header\.version/]
      ] as const) {
        yield* assertRefused({ access, header, params: page }, "1000", reason)
      }
      for (const resTime of [100_000_000 - 600_000, 100_000_000 + 600_000]) {
        assert.strictEqual((yield* speak({ access, header: { resTime }, params: page })).code, "0000")
      }
      yield* assertRefused({ access, body: { secret: undefined } }, "1000", /^body\.secret/)
      yield* assertRefused({ access, body: { param: 5 } }, "1000", /^body\.param/)
    }).pipe(withSandbox())
  )

  it.effect("may be as late as the sandbox is told", () =>
    Effect.gen(function* () {
      const { access } = yield* tokenOf(0)
      yield* TestClock.setTime(10_000)
      assert.strictEqual((yield* speak({ access, header: { resTime: 9_000 }, params: page })).code, "0000")
      yield* assertRefused({ access, header: { resTime: 8_999 } }, "1000", /resTime/)
    }).pipe(withSandbox({ wopanClockSkew: "1 second" }))
  )

  it.effect("holds parameters that are encrypted with the call's own key, or is refused", () =>
    Effect.gen(function* () {
      const { wopan } = yield* Sandbox
      const iv = Redacted.value(wopan.iv)
      const [mine, other] = [yield* tokenOf(0), yield* tokenOf(1)]
      const key = mine.access.slice(0, 16)
      const params = JSON.stringify({ ...page, clientId: wopan.clientId })
      const good = encrypt(params, key, iv)
      for (const param of [
        undefined,
        "",
        params,
        Buffer.from(params).toString("base64"),
        encrypt(params, other.access.slice(0, 16), iv),
        encrypt(params, Redacted.value(wopan.clientSecret), iv),
        good.slice(0, -1),
        `${good}\n`,
        good.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
      ]) {
        const { code } = yield* speak({ access: mine.access, body: { param } })
        assert.notStrictEqual(code, "0000", param)
      }
      // What these are decrypted to does not depend on chance.
      for (const param of [undefined, "", params, good.slice(0, -1), `${good}\n`]) {
        yield* assertRefused({ access: mine.access, body: { param } }, "9002", /^body\.param/)
      }
      const json = ["no json", "[]", "null", '"text"']
      for (const other of json) {
        yield* assertRefused({ access: mine.access, body: { param: encrypt(other, key, iv) } }, "1000", /JSON object/)
      }
      assert.strictEqual((yield* speak({ access: mine.access, body: { param: good } })).code, "0000")
    }).pipe(withSandbox())
  )

  it.effect("names the client, and knows its secret", () =>
    Effect.gen(function* () {
      const { access, refresh } = yield* tokenOf(0)
      yield* assertRefused({ access, params: { ...page, clientId: "synthetic" } }, "1000", /^clientId/)
      yield* assertRefused({ access, params: { ...page, clientId: undefined } }, "1000", /^clientId/)
      const renewal = { channel: "api-user", operation: "AppRefreshToken" } as const
      const params = { refreshToken: refresh }
      yield* assertRefused({ ...renewal, params, body: { clientId: "synthetic" } }, "1000", /^clientId/)
      yield* assertRefused({ ...renewal, params: { ...params, clientSecret: "synthetic" } }, "1000", /^clientSecret/)
      for (const refreshToken of [undefined, "", 5, { toString: 5, valueOf: 5 }]) {
        yield* assertRefused({ ...renewal, params: { refreshToken } }, "1000", /^refreshToken/)
      }
      yield* assertRefused({ ...renewal, params: { refreshToken: "synthetic" } }, "8005", /login failed/)
      assert.strictEqual((yield* renew(refresh)).code, "0000")
    }).pipe(withSandbox())
  )

  it.effect("asks for an operation of its channel, whatever it is called", () =>
    Effect.gen(function* () {
      const { access } = yield* tokenOf(0)
      for (const operation of ["Synthetic", "AppQueryUser", "constructor", "__proto__", "toString"]) {
        yield* assertRefused({ access, operation }, "1000", /^header\.key/)
      }
      yield* assertRefused({ access, channel: "api-user", operation: "QueryAllFiles" }, "1000", /^header\.key/)
      assert.strictEqual(at(yield* stats, "wopan", "other", "total"), 4)
    }).pipe(withSandbox())
  )

  it.effect("comes with a token that is good: 1001 of one that is none, before anything is decrypted", () =>
    Effect.gen(function* () {
      const { access, refresh } = yield* tokenOf(0)
      for (const token of ["", "short", "synthetic-synthetic-synthetic", refresh, `${access.slice(0, -1)}x`]) {
        const answer = yield* list(token)
        assert.deepStrictEqual([answer.code, answer.data], ["1001", ""])
        assert.strictEqual((yield* queryUser(token)).code, "1001")
      }
      yield* TestClock.adjust("604799 seconds")
      assert.strictEqual((yield* list(access)).code, "9999")
      assert.strictEqual((yield* queryUser(access)).code, "9999")
    }).pipe(withSandbox())
  )
})

describe("an operation of the emulated drive", () => {
  it.effect("PcWebLogin wants a code by message, and no account has a password", () =>
    Effect.gen(function* () {
      const login = { channel: "api-user", params: { phone: "13000000000", password: "synthetic" } } as const
      const first = yield* speak({ ...login, operation: "PcWebLogin" })
      assert.deepStrictEqual([first.code, first.data], ["0000", { needSmsCode: "1" }])
      yield* assertRefused({ ...login, operation: "PcLoginVerifyCode" }, "8001", /not registered/)
    }).pipe(withSandbox())
  )

  it.effect("AppRefreshToken answers in clear, with another pair", () =>
    Effect.gen(function* () {
      const { access, refresh } = yield* tokenOf(0)
      const { data } = yield* renew(refresh)
      assert.deepInclude(data, { token_type: "bearer", expires_in: 604_799, scope: "all" })
      assert.notStrictEqual(text(data, "access_token"), access)
      assert.notStrictEqual(text(data, "refresh_token"), refresh)
      assert.strictEqual((yield* list(text(data, "access_token"))).code, "0000")
      assert.strictEqual((yield* list(access)).code, "1001")
    }).pipe(withSandbox())
  )

  it.effect("AppQueryUser tells the account, encrypted with the client's secret", () =>
    Effect.gen(function* () {
      const { access } = yield* tokenOf(1)
      const { data, json } = yield* queryUser(access)
      assert.isString(at(json, "RSP", "DATA"))
      assert.deepInclude(data, { userId: "130****0002", userName: "account-2" })
      const user = { channel: "api-user", operation: "AppQueryUser", access } as const
      yield* assertRefused({ ...user, params: { accessToken: "synthetic" } }, "1000", /^accessToken/)
    }).pipe(withSandbox())
  )

  it.effect("AppLogout answers with nothing, and voids both tokens", () =>
    Effect.gen(function* () {
      const { access, refresh } = yield* tokenOf(0)
      const params = { accessToken: access }
      const out = yield* speak({ channel: "api-user", operation: "AppLogout", access, params })
      assert.deepStrictEqual([out.code, out.data], ["0000", ""])
      assert.strictEqual((yield* list(access)).code, "1001")
      assert.strictEqual((yield* renew(refresh)).code, "8005")
      assert.strictEqual((yield* list((yield* tokenOf(1)).access)).code, "0000")
    }).pipe(withSandbox())
  )

  it.effect("QueryAllFiles tells a page of a folder, and takes pages of 1 to 100", () =>
    Effect.gen(function* () {
      const { access } = yield* tokenOf(0)
      const parentDirectoryId = yield* folderId(access, "photos")
      const names: Array<string> = []
      for (const pageNum of [0, 1, 2, 3]) {
        const { data } = yield* list(access, { parentDirectoryId, pageNum, sortRule: 1 })
        names.push(...namesIn(data))
      }
      assert.lengthOf(names, 251)
      assert.strictEqual(new Set(names).size, 251)
      assert.deepStrictEqual(names.slice(0, 3), ["2025", "IMG_001.jpg", "IMG_002.jpg"])
      const empty = yield* list(access, { parentDirectoryId: yield* folderId(access, "empty") })
      assert.deepStrictEqual(empty.data, { files: [], systemDirs: [] })
      for (const wrong of [
        { pageSize: 0 },
        { pageSize: 101 },
        { pageSize: "100" },
        { pageNum: -1 },
        { sortRule: 7 },
        { spaceType: "1" },
        { parentDirectoryId: "synthetic" },
        { parentDirectoryId: undefined }
      ]) {
        assert.strictEqual((yield* list(access, wrong)).code, "1000", JSON.stringify(wrong))
      }
    }).pipe(withSandbox())
  )

  it.effect("QueryAllFiles sorts by each rule, folders first", () =>
    Effect.gen(function* () {
      const { access } = yield* tokenOf(0)
      const parentDirectoryId = yield* folderId(access, "photos")
      const pages = (sortRule: number) =>
        Effect.map(
          Effect.forEach([0, 1, 2], (pageNum) => list(access, { parentDirectoryId, pageNum, sortRule })),
          (all) => all.flatMap(({ data }) => filesIn(data))
        )
      const whole = yield* pages(0)
      const sortings = [
        [1, ({ name }: Listed) => name, 1],
        [2, ({ name }: Listed) => name, -1],
        [3, ({ size }: Listed) => Number(size), 1],
        [4, ({ size }: Listed) => Number(size), -1],
        [5, ({ createTime }: Listed) => createTime, 1],
        [6, ({ createTime }: Listed) => createTime, -1]
      ] as const
      for (const [rule, of, direction] of sortings) {
        const [folder, ...files] = yield* pages(rule)
        assert.strictEqual(folder?.name, "2025", `rule ${rule}`)
        assert.sameMembers(
          [folder?.id, ...files.map(({ id }) => id)],
          whole.map(({ id }) => id)
        )
        for (const [i, file] of files.slice(1).entries()) {
          const [before, after] = [of(files[i] ?? file), of(file)]
          assert.isTrue(direction === 1 ? before <= after : before >= after, `rule ${rule}: ${before}, ${after}`)
        }
      }
    }).pipe(withSandbox())
  )

  it.effect(
    "QueryAllFiles says a size in digits or in text, and of what is no file a type that clients do not know",
    () =>
      Effect.gen(function* () {
        const { access } = yield* tokenOf(0)
        const music = yield* list(access, { parentDirectoryId: yield* folderId(access, "music") })
        const kinds = new Set(filesIn(music.data).map(({ size }) => typeof size))
        assert.deepStrictEqual([...kinds].toSorted(), ["number", "string"])
        const root = yield* list(access)
        const types = new Set(filesIn(root.data).map(({ type }) => type))
        assert.deepStrictEqual([...types].toSorted(), [0, 1, 7, 9])
        for (const { fid, type } of filesIn(root.data)) assert.strictEqual(fid === "0", type === 0)
      }).pipe(withSandbox())
  )

  it.effect("GetDownloadUrl and its second version answer in a shape of their own, for the account's files alone", () =>
    Effect.gen(function* () {
      const [mine, other] = [yield* tokenOf(0), yield* tokenOf(1)]
      const fidOf = (access: string) =>
        Effect.map(list(access), ({ data }) => filesIn(data).find(({ name }) => name === "readme.txt")?.fid ?? "none")
      const [fid, theirs] = [yield* fidOf(mine.access), yield* fidOf(other.access)]
      assert.notStrictEqual(fid, theirs)
      const ask = (operation: string, params: object) => speak({ access: mine.access, operation, params })
      const first = yield* ask("GetDownloadUrl", { fidList: [fid], spaceType: "0" })
      const second = yield* ask("GetDownloadUrlV2", { fidList: [fid], type: "1" })
      assert.strictEqual(at(first.data, 0, "fid"), fid)
      assert.deepStrictEqual(second.data, { type: 1, list: first.data })
      for (const params of [
        { fidList: [theirs], type: "1" },
        { fidList: [fid, theirs], type: "1" },
        { fidList: [], type: "1" },
        { fidList: [fid] },
        { type: "1" }
      ]) {
        assert.strictEqual((yield* ask("GetDownloadUrlV2", params)).code, "1000", JSON.stringify(params))
      }
    }).pipe(withSandbox())
  )

  it.effect("CreateDirectory makes a folder in the account alone, and none of a name that is taken", () =>
    Effect.gen(function* () {
      const [mine, other] = [yield* tokenOf(0), yield* tokenOf(1)]
      const create = (parentDirectoryId: string, directoryName: unknown) =>
        speak({
          access: mine.access,
          operation: "CreateDirectory",
          params: { spaceType: "0", familyId: 0, parentDirectoryId, directoryName }
        })
      const made = yield* create(yield* folderId(mine.access, "photos"), "新 folder")
      const id = text(made.data, "id")
      assert.deepStrictEqual(namesIn((yield* list(mine.access, { parentDirectoryId: id })).data), [])
      assert.strictEqual((yield* list(other.access, { parentDirectoryId: id })).code, "1000")
      const directory = yield* speak({
        access: mine.access,
        operation: "GetSearchDirectory",
        params: { directoryId: id }
      })
      assert.deepStrictEqual(
        [at(directory.data, "directoryInfo", 0, "directoryName"), at(directory.data, "directoryInfo", 1)],
        ["photos", { directoryId: id, directoryName: "新 folder" }]
      )
      for (const [parent, name] of [
        ["0", "photos"],
        ["0", "readme.txt"],
        ["synthetic", "a"],
        ["0", ""],
        ["0", "a/b"],
        ["0", 5]
      ] as const) {
        assert.strictEqual((yield* create(parent, name)).code, "1000", `${parent} ${name}`)
      }
    }).pipe(withSandbox())
  )

  it.effect("QueryCloudUsageInfo tells the room that is left, to who knows the account's number", () =>
    Effect.gen(function* () {
      const { access } = yield* tokenOf(0)
      const phoneNum = text((yield* queryUser(access)).data, "userId")
      const usage = { access, operation: "QueryCloudUsageInfo" }
      const { data } = yield* speak({ ...usage, params: { phoneNum } })
      assert.isString(at(data, "usageInfo", "byteTotalSize"))
      assert.isAbove(Number(at(data, "usageInfo", "byteUsedSize")), 1_000_000)
      yield* assertRefused({ ...usage, params: { phoneNum: "synthetic" } }, "1000", /^phoneNum/)
    }).pipe(withSandbox())
  )
})
