import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import {
  AccessRejected,
  AccountBlocked,
  QuotaExhausted,
  Throttled,
  UpstreamUnavailable
} from "../../src/domain/Failure.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { DeadlineExceeded } from "../../src/traffic/GatewayFailure.ts"
import { SlotRefused } from "../../src/traffic/Governor.ts"
import { NoCapacity } from "../../src/traffic/lend.ts"
import { toldInLine, toldOf, waitOf } from "../../src/traffic/told.ts"

const provider = "p"
const retryAfter = Duration.seconds(7)
const shortage = new NoCapacity({ provider, reason: "synthetic", retryAfter })
const usedUp = new QuotaExhausted({ provider, token: TokenId.make("token-1") })
const throttled = new Throttled({ provider, signature: "synthetic" })
const down = new UpstreamUnavailable({ provider, reason: "status", detail: "synthetic" })
const rejected = new AccessRejected({ provider })
const blocked = new AccountBlocked({ provider, reason: "synthetic" })

describe("what a caller is told when no target is left", () => {
  it("is when there will be a token, rather than that the last was used up", () => {
    assert.strictEqual(toldOf(usedUp, shortage), shortage)
    assert.strictEqual(toldOf(throttled, shortage), shortage)
    assert.strictEqual(toldOf(usedUp, undefined), usedUp)
  })

  it("is the failure that waiting for a token does not mend", () => {
    for (const failure of [down, rejected, blocked]) assert.strictEqual(toldOf(failure, shortage), failure)
  })

  it("is the shortage alone when nothing was called", () => {
    assert.strictEqual(toldOf(undefined, shortage), shortage)
  })
})

describe("what a caller is told when there is no slot", () => {
  it("is how long it will be, unless a call failed of what is no limit", () => {
    const refused = new SlotRefused({ reason: "wait", detail: "synthetic", retryAfter })
    assert.strictEqual(toldInLine(undefined, refused), refused)
    assert.strictEqual(toldInLine(throttled, refused), refused)
    assert.strictEqual(toldInLine(down, refused), down)
  })
})

describe("waitOf", () => {
  it("is what was stated, and for ever where nothing was", () => {
    assert.strictEqual(waitOf(shortage), 7_000)
    assert.strictEqual(waitOf(new NoCapacity({ provider, reason: "synthetic" })), Number.POSITIVE_INFINITY)
    const late = new DeadlineExceeded({ timeout: retryAfter, detail: "synthetic" })
    assert.strictEqual(waitOf(late), Number.POSITIVE_INFINITY)
  })
})
