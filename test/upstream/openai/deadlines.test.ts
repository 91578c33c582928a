import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { type Course, dueOf, limitsOf } from "../../../src/upstream/openai/deadlines.ts"

const limits = limitsOf({
  connect: Duration.seconds(10),
  headers: Duration.seconds(120),
  firstToken: Duration.seconds(90),
  idle: Duration.seconds(60),
  total: Duration.seconds(600)
})
const begun = 1_000_000

const course = (more: Partial<Course>): Course => ({
  limits,
  startedAt: begun,
  deadline: begun + 3_600_000,
  stream: true,
  phase: "connecting",
  sentAt: 0,
  heardAt: 0,
  hasContent: false,
  isPaused: false,
  ...more
})
const due = (more: Partial<Course>) => {
  const { at, why } = dueOf(course(more))
  return [(at - begun) / 1_000, why.split(":")[0]]
}
const sent = { sentAt: begun + 5_000 }
const answering = { ...sent, phase: "answering", heardAt: begun + 50_000 } as const

describe("deadlines", () => {
  it("give a connection its own time, and only until the request leaves", () => {
    assert.deepStrictEqual(due({}), [10, "connect"])
    assert.deepStrictEqual(due({ ...sent, phase: "sent", stream: false }), [125, "headers"])
  })

  it("count the first content from the request's leaving, through the headers, until it comes", () => {
    assert.deepStrictEqual(due({ ...sent, phase: "sent" }), [95, "firstToken"])
    assert.deepStrictEqual(due({ ...answering, heardAt: begun + 94_000 }), [95, "firstToken"])
    assert.deepStrictEqual(due({ ...answering, hasContent: true }), [110, "idle"])
    assert.deepStrictEqual(due({ ...answering, stream: false }), [110, "idle"])
  })

  it("count silence from the last byte, unless it is we who do not read", () => {
    assert.deepStrictEqual(due({ ...answering, hasContent: true, heardAt: begun + 70_000 }), [130, "idle"])
    assert.deepStrictEqual(due({ ...answering, hasContent: true, isPaused: true }), [600, "total"])
  })

  it("let nothing outlast the whole, nor the request that asked", () => {
    assert.deepStrictEqual(due({ ...answering, hasContent: true, heardAt: begun + 580_000 }), [600, "total"])
    assert.deepStrictEqual(due({ deadline: begun + 3_000 }), [3, "the request's own time was over"])
    assert.deepStrictEqual(due({ ...answering, hasContent: true, deadline: begun + 55_000 }), [
      55,
      "the request's own time was over"
    ])
  })

  it("do not wait long for the reason of an error, nor for a connection to end", () => {
    assert.deepStrictEqual(due({ ...answering, phase: "refused" }), [55, "the error's reason did not come"])
    assert.deepStrictEqual(due({ ...answering, phase: "complete" }), [50.25, "the connection did not end"])
  })
})
