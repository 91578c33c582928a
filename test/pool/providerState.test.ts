import { assert, describe, it } from "@effect/vitest"
import { fold, type ProviderEvent, type ProviderRecord, providerStanding } from "../../src/pool/providerState.ts"
import { hour, minute, second } from "./records.ts"

const limited = (options: { readonly until?: number; readonly probe?: string } = {}): ProviderEvent => ({
  _tag: "Limited",
  signature: "limit",
  ...options
})
const after = (...events: ReadonlyArray<readonly [at: number, event: ProviderEvent]>) =>
  events.reduce<ProviderRecord | undefined>((record, [at, event]) => fold(record, at, event), undefined)

describe("the rule of a provider", () => {
  it("a stated limit is over at its end", () => {
    const record = after([0, limited({ until: 5_000 })])
    assert.strictEqual(providerStanding(record, 4_999), "out")
    assert.strictEqual(providerStanding(record, 5_000), "ready")
  })

  it("a guessed limit is probed after half a minute, then after gaps that double to a quarter of an hour", () => {
    let record = after([0, limited()])
    let at = 0
    for (const gap of [30, 60, 120, 240, 480, 900, 900].map((seconds) => seconds * second)) {
      assert.strictEqual(providerStanding(record, at + gap - 1), "out")
      assert.strictEqual(providerStanding(record, at + gap), "due")
      at += gap
      record = fold(record, at, limited({ probe: "us" }))
    }
  })

  it("an end only moves later", () => {
    const record = after([0, limited({ until: minute })], [1, limited({ until: second })], [2, limited()])
    assert.strictEqual(record?.cooling?.until, minute)
  })

  it("one limit met by many at once is guessed once", () => {
    const record = after([0, limited()], [1, limited()], [2, limited()])
    assert.strictEqual(record?.cooling?.until, 2 + 30 * second)
    assert.strictEqual(record?.relapses, 1)
  })

  it("more than a day is probed after a day", () => {
    const record = after([0, limited({ until: 48 * hour })])
    assert.strictEqual(providerStanding(record, 24 * hour), "due")
  })

  it("a success ends it, but not that of a call under way before", () => {
    assert.isDefined(after([0, limited()], [1, { _tag: "Served" }]))
    assert.isUndefined(after([0, limited()], [30 * second, { _tag: "Served" }]))
  })

  it("one process probes at a time", () => {
    const claim = (by: string, at: number): ProviderEvent => ({
      _tag: "ProbeClaimed",
      claim: { by, until: at + minute }
    })
    const at = 30 * second
    const ours = after([0, limited()], [at, claim("us", at)], [at + 1, claim("them", at)])
    assert.strictEqual(ours?.probe?.by, "us")
    assert.strictEqual(fold(ours, at + minute, claim("them", at + minute))?.probe?.by, "them")
    assert.isUndefined(fold(ours, at + 2, { _tag: "ProbeReleased", by: "us" })?.probe)
    assert.isUndefined(after([0, limited()], [at - 1, claim("us", at)])?.probe)
    assert.isUndefined(fold(undefined, 0, claim("us", 0)))
  })
})
