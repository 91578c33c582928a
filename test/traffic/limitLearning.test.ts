import { assert, describe, it } from "@effect/vitest"
import * as Learning from "../../src/traffic/limitLearning.ts"

const { concurrency: course } = Learning
const hour = 3_600_000

describe("learning a limit", () => {
  it("starts careful, and doubles with each round until it is refused", () => {
    let learned = Learning.begin(course)
    assert.strictEqual(Learning.allowed(learned), 2)
    for (let call = 0; call < 2; call++) learned = Learning.grown(learned, course, 0)
    assert.strictEqual(Learning.allowed(learned), 4)
    for (let call = 0; call < 4; call++) learned = Learning.grown(learned, course, 0)
    assert.strictEqual(Learning.allowed(learned), 8)
  })

  it("halves when it is refused, and a minute later grows by one a round", () => {
    let learned = Learning.halved({ ...Learning.begin(course), limit: 8 }, 5, 10)
    assert.strictEqual(Learning.allowed(learned), 4)
    learned = Learning.grown(learned, course, 60_009)
    assert.strictEqual(learned.limit, 4)
    for (let call = 0; call < 4; call++) learned = Learning.grown(learned, course, 60_010)
    assert.strictEqual(Learning.allowed(learned), 4)
    learned = Learning.grown(learned, course, 60_010)
    assert.strictEqual(Learning.allowed(learned), 5)
  })

  it("halves once for all that were out when it did", () => {
    const once = Learning.halved({ ...Learning.begin(course), limit: 8 }, 5, 10)
    assert.strictEqual(Learning.halved(once, 10, 12), once)
    assert.strictEqual(Learning.allowed(Learning.halved(once, 11, 12)), 2)
  })

  it("never falls under one, nor rises over its most", () => {
    let learned = Learning.begin(course)
    for (let i = 1; i < 20; i++) learned = Learning.halved(learned, i * 2, i * 2 + 1)
    assert.strictEqual(Learning.allowed(learned), 1)
    const full = { ...Learning.begin(course), limit: course.most }
    assert.strictEqual(Learning.allowed(Learning.grown(full, course, 0)), course.most)
  })

  it("tries faster again a day after it was last refused: the limit may have been lifted", () => {
    const refused = Learning.halved({ ...Learning.begin(course), limit: 20 }, 5, 10)
    assert.strictEqual(Learning.grown(refused, course, 10 + 23 * hour).limit, 10.1)
    assert.strictEqual(Learning.grown(refused, course, 10 + 24 * hour).limit, 11)
  })

  it("finds a limit it does not know, and stays near it", () => {
    const real = 13
    let learned = Learning.begin(course)
    let now = 0
    const seen: Array<number> = []
    for (let round = 0; round < 200; round++) {
      const out = Learning.allowed(learned)
      now += 1_000
      for (let call = 0; call < out; call++) {
        learned = call < real ? Learning.grown(learned, course, now) : Learning.halved(learned, now - 500, now)
      }
      seen.push(Learning.allowed(learned))
    }
    const late = seen.slice(50)
    assert.isAtLeast(Math.min(...late), Math.floor(real / 2))
    assert.isAtMost(Math.max(...late), real + 2)
  })
})
