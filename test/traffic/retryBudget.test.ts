import { assert, describe, it } from "@effect/vitest"
import * as RetryBudget from "../../src/traffic/retryBudget.ts"

describe("the retry budget", () => {
  it("lets a few repetitions pass when little is asked, and a fifth of what is asked beyond", () => {
    const budget = RetryBudget.make()
    for (let i = 0; i < 10; i++) assert.isTrue(budget.mayRepeat(0))
    assert.isFalse(budget.mayRepeat(0))
    for (let i = 0; i < 100; i++) budget.asked(1)
    for (let i = 0; i < 20; i++) assert.isTrue(budget.mayRepeat(2))
    assert.isFalse(budget.mayRepeat(2))
  })

  it("forgets what is over", () => {
    const budget = RetryBudget.make()
    for (let i = 0; i < 10; i++) budget.mayRepeat(0)
    assert.isFalse(budget.mayRepeat(19_999))
    assert.isTrue(budget.mayRepeat(20_000))
  })
})
