import { assert, describe, it } from "@effect/vitest"
import { Redacted, Schema } from "effect"
import { renewedCredential } from "../../../src/upstream/wopan/credential.ts"
import { addressOf } from "../../../src/upstream/wopan/download.ts"
import { createdAtOf, pageOf } from "../../../src/upstream/wopan/listing.ts"

const folder = { id: "d1", fid: "0", name: "照片", type: 0, size: 0, createTime: "20260102030405", fileType: "0" }
const file = { id: "f1", fid: "fid-1", name: "a.jpg", type: 1, size: 12, createTime: "20260102030405", fileType: "1" }
const createdAt = "2026-01-02 03:04:05"
const asFile = { id: "f1", fid: "fid-1", name: "a.jpg", type: "file", size: 12, createdAt, fileType: "image" } as const
const one = (raw: object) => pageOf({ files: [raw], systemDirs: [] })?.entries[0]

describe("a listing", () => {
  it("tells folders from files", () => {
    assert.deepStrictEqual(pageOf({ files: [folder, file], systemDirs: [] }), {
      entries: [
        { id: "d1", fid: undefined, name: "照片", type: "folder", size: 0, createdAt, fileType: "folder" },
        asFile
      ],
      isLast: true
    })
  })

  it("takes numbers in words and words in numbers", () => {
    assert.deepStrictEqual(one({ ...file, type: "1", size: "12", fileType: 1, createTime: 20260102030405 }), asFile)
    assert.strictEqual(one({ ...file, size: "5000000000" })?.size, 5_000_000_000)
  })

  it("names the kind of a file", () => {
    const kinds = ["1", "2", "3", "4", "5", "9", "constructor", null].map(
      (fileType) => one({ ...file, fileType })?.fileType
    )
    assert.deepStrictEqual(kinds, ["image", "video", "audio", "document", "other", "other", "other", "other"])
  })

  it("does without a time or a size that it cannot read", () => {
    for (const createTime of ["", null, "yesterday", "2026"])
      assert.strictEqual(one({ ...file, createTime })?.createdAt, "")
    for (const size of [null, "many", -1]) assert.strictEqual(one({ ...file, size })?.size, 0)
  })

  it("leaves out what is neither file nor folder", () => {
    const files = [7, 9, "7", 2].map((type) => ({ ...file, type }))
    assert.deepStrictEqual(pageOf({ files: [...files, file] })?.entries, [asFile])
  })

  it("is the last page when it came with fewer than 100, those left out included", () => {
    const files = (count: number, of: object) => Array.from({ length: count }, () => of)
    assert.isTrue(pageOf({ files: files(99, file) })?.isLast)
    assert.isFalse(pageOf({ files: files(100, file) })?.isLast)
    const odd = pageOf({ files: files(100, { ...file, type: 7 }) })
    assert.deepStrictEqual(odd, { entries: [], isLast: false })
    assert.deepStrictEqual(pageOf({ files: [] }), { entries: [], isLast: true })
    assert.deepStrictEqual(pageOf({ files: null }), { entries: [], isLast: true })
  })

  it("is none when something in it could not be found again", () => {
    for (const lack of [{ id: "" }, { name: "" }, { fid: null }, { type: undefined }, { id: 7 }]) {
      assert.isUndefined(pageOf({ files: [file, { ...file, ...lack }] }), JSON.stringify(lack))
    }
  })

  it.prop("of anything else is none, and never throws", [Schema.Json], ([value]) => {
    assert.isUndefined(pageOf({ files: [value] })?.entries[0])
    assert.isUndefined(pageOf({ files: value })?.entries[0])
    pageOf(value)
  })

  it.prop(
    "times are told digit by digit",
    [Schema.Int.check(Schema.isBetween({ minimum: 1e13, maximum: 1e14 - 1 }))],
    ([n]) => {
      assert.strictEqual(createdAtOf(String(n)).replace(/\D/g, ""), String(n))
      assert.match(createdAtOf(String(n)), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
    }
  )
})

describe("a download address", () => {
  const url = "https://zone.drive.test:8443/openapi/download?fid=signed%2Bfid"
  const address = (data: unknown) => {
    const read = addressOf(data, "fid-1")
    return Redacted.isRedacted(read) ? Redacted.value(read) : read
  }

  it("is passed on as it was signed", () => {
    assert.strictEqual(address({ type: 1, list: [{ fid: "fid-1", downloadUrl: url }] }), url)
    const two = [
      { fid: "fid-0", downloadUrl: "https://drive.test/other" },
      { fid: "fid-1", downloadUrl: url }
    ]
    assert.strictEqual(address({ list: two }), url)
  })

  it("is not given for a file that is not there", () => {
    for (const list of [[], null, [{ fid: "fid-1", downloadUrl: "" }], [{ fid: "fid-1", downloadUrl: null }]]) {
      assert.strictEqual(address({ type: 1, list }), "NoSuchFile")
    }
  })

  it("is never that of another file, nor one that is not for a browser to fetch", () => {
    for (const entry of [
      { fid: "fid-0", downloadUrl: url },
      { fid: "fid-1", downloadUrl: "javascript:alert(1)" },
      { fid: "fid-1", downloadUrl: "no address" }
    ]) {
      assert.isUndefined(address({ list: [entry] }))
    }
    assert.isUndefined(address([]))
  })
})

describe("a renewed credential", () => {
  const old = Redacted.make("synthetic-old")
  const read = (data: unknown) => {
    const credential = renewedCredential(data, old, 5_000)
    return (
      credential && {
        access: Redacted.value(credential.access),
        refresh: credential.refresh && Redacted.value(credential.refresh),
        expiresAt: credential.expiresAt
      }
    )
  }

  it("ends so long after it was asked for", () => {
    for (const expires_in of [604_799, "604799"]) {
      assert.deepStrictEqual(
        read({ access_token: "a", token_type: "bearer", refresh_token: "r", expires_in, scope: "x" }),
        {
          access: "a",
          refresh: "r",
          expiresAt: 604_804_000
        }
      )
    }
  })

  it("is kept when it lacks its end or its refresh secret, since the old one may be void", () => {
    for (const expires_in of [undefined, null, "soon", 0]) {
      assert.deepStrictEqual(read({ access_token: "a", refresh_token: "", expires_in }), {
        access: "a",
        refresh: "synthetic-old",
        expiresAt: undefined
      })
    }
  })

  it("is none without an access secret", () => {
    for (const data of [{}, { access_token: "" }, { refresh_token: "r", expires_in: 1 }, "a", null]) {
      assert.isUndefined(read(data))
    }
  })
})
