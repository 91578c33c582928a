import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import type { BatchProgress } from "../../src/batch/Batch.ts"
import * as ProgressText from "../../src/batch/progressText.ts"

const progress: BatchProgress = {
  answered: 400,
  failed: { "400 context_length_exceeded": 2, batch_expired: 1 },
  rejected: 4,
  before: { answered: 5, failed: 0 },
  changed: 0,
  retries: 7,
  tokens: { prompt: 10, completion: 20 },
  elapsed: Duration.seconds(90),
  total: 1_000,
  done: 412,
  atWork: 11,
  inLine: 5,
  pausing: 0,
  rate: 85 / 60,
  left: Duration.seconds(415),
  waitsFor: ["nvidia1, nvidia2: their minute is full (40 of 40)", "zhipu: 1 of 1 at work"],
  trouble: undefined
}
const files = { input: "in", output: "out", errors: "err", rejected: "rej" }

describe("the progress of a batch", () => {
  it("tells how far it is, how fast it goes, how long it will take and what it waits for", () => {
    const text =
      "▕█████████▉              ▏ 412/1000 41 % · 3 failed · 4 set aside · 85/min · 6 min 55 s left · 11 at work, 5 in line" +
      " · nvidia1, nvidia2: their minute is full (40 of 40) · zhipu: 1 of 1 at work"
    assert.strictEqual(ProgressText.bar(progress, 500), text)
    assert.strictEqual(
      ProgressText.logged(progress),
      "412 of 1000 done, 3 failed, 4 set aside, 85/min, 6 min 55 s left, 11 at work, 5 in line, " +
        "nvidia1, nvidia2: their minute is full (40 of 40), zhipu: 1 of 1 at work"
    )
  })

  it("never takes more than the line it has", () => {
    for (let columns = 0; columns < 200; columns++) {
      assert.isAtMost(ProgressText.bar(progress, columns).length, Math.max(1, columns))
    }
  })

  it("says nothing of limits when nobody waits for them, and why a request has to be tried again", () => {
    const free = { ...progress, inLine: 0, failed: {}, rejected: 0, total: undefined, left: undefined, rate: 20 }
    assert.strictEqual(ProgressText.logged(free), "412 done, 20/s, 11 at work")
    assert.strictEqual(ProgressText.bar(free, 100), "412 done · 20/s · 11 at work")
    assert.include(ProgressText.logged({ ...free, pausing: 2, trouble: "a is down" }), "2 between tries, nvidia1")
    assert.match(ProgressText.logged({ ...free, pausing: 2, trouble: "a is down" }), /a is down$/)
  })

  it("ends in what it came to, with the files where to find it", () => {
    const lines = ProgressText.summary({ ...progress, files, isComplete: true }).split("\n")
    assert.deepStrictEqual(lines, [
      "answered    400, and 5 before",
      "failed      3 (2 × 400 context_length_exceeded, 1 × batch_expired)",
      "set aside   4 that are no requests",
      "tried again 7 times",
      "tokens      10 in, 20 out",
      "took        1 min 30 s",
      "answers     out",
      "errors      err (without it, they are asked again)",
      "rejected    rej"
    ])
    const clean = { ...progress, failed: {}, rejected: 0, retries: 0, changed: 2, before: { answered: 0, failed: 3 } }
    assert.deepStrictEqual(
      ProgressText.summary({ ...clean, files, isComplete: true })
        .split("\n")
        .slice(0, 3),
      [
        "answered    400",
        "failed      0, and 3 before",
        "changed     2 answered before with another body: the old answer stays"
      ]
    )
  })
})
