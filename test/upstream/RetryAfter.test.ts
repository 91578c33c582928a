import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import * as RetryAfter from "../../src/upstream/RetryAfter.ts"

/** 1994-11-06T08:49:37Z, the example of the HTTP standard. */
const now = 784_111_777_000

const millis = (headers: Record<string, string>, at = now) => {
  const wait = RetryAfter.parse(headers, at)
  return wait === undefined ? undefined : Duration.toMillis(wait)
}

const rows: ReadonlyArray<readonly [why: string, headers: Record<string, string>, expected: number | undefined]> = [
  ["whole seconds", { "retry-after": "7" }, 7_000],
  ["a fraction of seconds", { "retry-after": "1.5" }, 1_500],
  ["a fraction without a leading zero", { "retry-after": ".25" }, 250],
  ["a fraction of a millisecond, rounded up", { "retry-after": "0.0004" }, 1],
  ["blanks around it", { "retry-after": "  30 " }, 30_000],
  ["a duration instead of a number", { "retry-after": "20s" }, 20_000],
  ["an HTTP date", { "retry-after": "Sun, 06 Nov 1994 08:50:07 GMT" }, 30_000],
  ["an RFC 850 date", { "retry-after": "Sunday, 06-Nov-94 08:50:07 GMT" }, 30_000],
  ["an asctime date, which is in GMT by definition", { "retry-after": "Sun Nov  6 08:50:07 1994" }, 30_000],
  ["nothing", {}, undefined],
  ["an empty value", { "retry-after": "" }, undefined],
  ["zero", { "retry-after": "0" }, undefined],
  ["a negative number", { "retry-after": "-5" }, undefined],
  ["a date that has passed", { "retry-after": "Sun, 06 Nov 1994 08:49:36 GMT" }, undefined],
  ["more than a year", { "retry-after": "99999999" }, undefined],
  ["not a number", { "retry-after": "NaN" }, undefined],
  ["infinity", { "retry-after": "Infinity" }, undefined],
  ["an exponent", { "retry-after": "1e3" }, undefined],
  ["hexadecimal", { "retry-after": "0x10" }, undefined],
  ["words", { "retry-after": "soon" }, undefined],
  ["a date without a zone", { "retry-after": "1994-11-06T08:50:07" }, undefined],
  ["an impossible date", { "retry-after": "Sun, 99 Nov 1994 08:50:07 GMT" }, undefined],
  ["milliseconds", { "retry-after-ms": "1250" }, 1_250],
  ["milliseconds before seconds", { "retry-after-ms": "1250", "retry-after": "2" }, 1_250],
  ["seconds when the milliseconds are nonsense", { "retry-after-ms": "-1", "retry-after": "2" }, 2_000],
  ["retry-after before a reset", { "retry-after": "2", "x-ratelimit-reset": "9" }, 2_000],
  ["the reset when retry-after is nonsense", { "retry-after": "0", "x-ratelimit-reset": "9" }, 9_000],
  ["a reset in seconds", { "x-ratelimit-reset": "9.5" }, 9_500],
  ["a reset as a Go duration", { "x-ratelimit-reset-requests": "1h2m3.5s" }, 3_723_500],
  ["a reset in milliseconds with a unit", { "x-ratelimit-reset-tokens": "88ms" }, 88],
  ["a reset as minutes and no seconds", { "x-ratelimit-reset-requests": "6m0s" }, 360_000],
  ["a reset as an RFC 3339 time", { "x-ratelimit-reset": "1994-11-06T08:50:07Z" }, 30_000],
  ["a reset as an RFC 3339 time with an offset", { "x-ratelimit-reset": "1994-11-06T09:50:07.500+01:00" }, 30_500],
  ["the standard's draft, in seconds", { "ratelimit-reset": "12" }, 12_000],
  ["a reset that says it counts from now", { "x-ratelimit-reset-after": "3.25" }, 3_250],
  [
    "the longest of the limits that are used up",
    {
      "x-ratelimit-reset-requests": "20s",
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-tokens": "5s",
      "x-ratelimit-remaining-tokens": "0",
      "x-ratelimit-reset": "40",
      "x-ratelimit-remaining": "3"
    },
    20_000
  ],
  [
    "the shortest of several when none is said to be used up",
    { "x-ratelimit-reset-requests": "2m59.56s", "x-ratelimit-reset-tokens": "7.66s" },
    7_660
  ]
]

describe("RetryAfter", () => {
  for (const [why, headers, expected] of rows) {
    it(`reads ${why}`, () => {
      assert.strictEqual(millis(headers), expected)
    })
  }

  it("reads an epoch in seconds and in milliseconds as the time until then", () => {
    const today = 1_760_000_000_000
    for (const name of ["retry-after", "x-ratelimit-reset"]) {
      assert.strictEqual(millis({ [name]: "1760000030" }, today), 30_000)
      assert.strictEqual(millis({ [name]: "1760000030250" }, today), 30_250)
      assert.strictEqual(millis({ [name]: "1760000000" }, today), undefined)
    }
  })

  it.prop(
    "whatever the headers say, the wait is positive and at most a year",
    [Schema.String, Schema.Finite],
    ([text, number]) => {
      for (const value of [text, String(number)]) {
        for (const name of ["retry-after", "retry-after-ms", "x-ratelimit-reset", "ratelimit-reset"]) {
          const wait = millis({ [name]: value })
          if (wait !== undefined) assert.isTrue(wait > 0 && wait <= 366 * 86_400_000, `${name}: ${value} → ${wait}`)
        }
      }
    }
  )
})
