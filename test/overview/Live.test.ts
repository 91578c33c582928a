import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Acquisition, type Decision } from "../../src/acquisition/Acquisition.ts"
import { Predictor } from "../../src/acquisition/Predictor.ts"
import type { Overview as Shown } from "../../src/contract/overview.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { type Feed, Live, mostStreams } from "../../src/overview/Live.ts"
import { capacity } from "../../src/overview/mailbox.ts"
import { Overview } from "../../src/overview/Overview.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import type { TokenView } from "../../src/pool/tokenState.ts"
import { StoreUnavailable } from "../../src/store/Store.ts"
import { Traces } from "../../src/traffic/Traces.ts"

const view = (n: number, served = 0): TokenView => ({
  id: TokenId.make(`token-${n}`),
  provider: "warp",
  name: `token ${n}`,
  kind: "anonymous",
  state: { _tag: "active" },
  usable: true,
  createdAt: 0,
  lastUsedAt: undefined,
  accessExpiresAt: undefined,
  served,
  succeeded: served,
  failed: 0,
  quota: undefined,
  leased: 0,
  lastCheck: undefined,
  lastFailure: undefined,
  provenAt: undefined
})

const decision = (n: number): Decision => ({
  at: n,
  provider: "warp",
  caller: "synthetic",
  errorContext: "",
  step: "policy",
  answer: "denied",
  reason: `reason ${n}`,
  inputs: {}
})

/** What there is to be seen, which a test changes. */
const stage = () => {
  const world = { waiting: 0, decisions: [] as ReadonlyArray<Decision>, tokens: [] as ReadonlyArray<TokenView> }
  const nothing = { served: 0, limited: 0, refused: 0, failed: 0, left: 0 }
  const none = { requests: [], failures: [], waiting: [], throttled: [], acquisitions: [] }
  const read = (steps?: number): Shown => ({
    at: 0,
    version: "synthetic",
    started_at: 0,
    uptime: 0,
    requests: { per_second: nothing, total: nothing, under_way: 0, streaming: 0, latency: null },
    queue: { waiting: world.waiting, oldest_wait: null, in_use: 0 },
    upstream_throttled: { last_minute: 0, total: 0 },
    acquisitions: null,
    tokens: [],
    history: { step: 5_000, at: steps === undefined ? [1, 2, 3] : [3], ...none }
  })
  const layer = Live.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        Layer.mock(Overview)({ read: (steps) => Effect.sync(() => read(steps)) }),
        Layer.mock(Acquisition)({ decisions: (limit) => Effect.sync(() => world.decisions.slice(0, limit)) }),
        Layer.mock(TokenPool)({ take: () => undefined, list: () => Effect.sync(() => world.tokens) }),
        Layer.mock(Predictor)({
          predict: () => Effect.succeed({ level: "LOW", confidence: 0.5, chance: 0.25, reason: "synthetic" })
        }),
        Traces.layer
      )
    )
  )
  return { world, layer }
}

const watcher = { mayGoOn: Effect.succeed(true), cut: () => undefined }

interface Heard {
  readonly id: string
  readonly event: string
  // Tests look into events of every shape; what is not there fails the assertion.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly data: any
}

const heard = (text: string | undefined): ReadonlyArray<Heard> =>
  (text ?? "")
    .split("\n\n")
    .filter((block) => block.startsWith("id: "))
    .map((block) => {
      const [id = "", event = "", data = ""] = block.split("\n").map((line) => line.slice(line.indexOf(": ") + 2))
      return { id, event, data: JSON.parse(data) }
    })

/** What comes of the looks of so many seconds. */
const after = Effect.fnUntraced(function* (feed: Feed, seconds = 1) {
  const next = yield* Effect.forkChild(feed.next, { startImmediately: true })
  yield* TestClock.adjust(seconds * 1_000)
  return heard(yield* Fiber.join(next))
})

const names = (events: ReadonlyArray<Heard>) => events.map(({ event }) => event)

describe("the live events", () => {
  it.effect("begin with a whole snapshot, and tell what changes after it, once", () => {
    const { layer, world } = stage()
    return Effect.gen(function* () {
      world.tokens = [view(1), view(2)]
      world.decisions = [decision(1)]
      const live = yield* Live
      const feed = yield* live.open(watcher)
      const [first, ...others] = heard(yield* feed.next)
      assert.strictEqual(first?.event, "overview")
      assert.strictEqual(first?.data.history.at.length, 3)
      assert.deepStrictEqual(others, [])

      // The first look of all.
      assert.deepStrictEqual(names(yield* after(feed)), ["overview"])
      world.tokens = [view(1, 5)]
      world.decisions = [decision(3), decision(2), decision(1)]
      world.waiting = 7
      yield* Traces.useSync((traces) =>
        traces.put({
          id: "req-1",
          startedAt: "",
          why: "asked",
          model: "auto",
          client: "local",
          priority: 5,
          timeout: 1,
          attempts: 1,
          queuedMs: 0,
          target: null,
          outcome: "answered",
          ended: "served",
          status: 200,
          took: 1,
          steps: [{ at: 0, step: "slot" }]
        })
      )
      const told = yield* after(feed)
      assert.deepStrictEqual(names(told), ["overview", "decision", "decision", "request", "token", "token"])
      const [overview, second, third, request, changed, removed] = told
      assert.strictEqual(overview?.data.queue.waiting, 7)
      assert.strictEqual(overview?.data.history.at.length, 1)
      assert.strictEqual(second?.data.reason, "reason 2")
      assert.strictEqual(third?.data.reason, "reason 3")
      assert.strictEqual(request?.data.id, "req-1")
      assert.notProperty(request?.data, "steps")
      assert.deepInclude(changed?.data, { id: "token-1", served: 5, success_rate: 1 })
      assert.deepInclude(changed?.data.predicted, { level: "LOW", confidence: 0.5 })
      assert.deepStrictEqual(removed?.data, { id: "token-2", removed: true })
      assert.strictEqual(new Set(told.map(({ id }) => id)).size, told.length)

      world.waiting = 8
      assert.deepStrictEqual(names(yield* after(feed)), ["overview"], "nothing else is told again")
      feed.close()
      assert.isUndefined(yield* feed.next)
    }).pipe(Effect.provide(layer))
  })

  it.effect("begin with a whole snapshot again after a reconnection, and repeat nothing that came before it", () => {
    const { layer, world } = stage()
    return Effect.gen(function* () {
      const live = yield* Live
      const before = yield* live.open(watcher)
      const [first] = heard(yield* before.next)
      before.close()
      world.decisions = [decision(1)]
      yield* TestClock.adjust("1 minute")
      const feed = yield* live.open(watcher)
      const [again, ...others] = heard(yield* feed.next)
      assert.strictEqual(again?.data.history.at.length, 3)
      assert.notStrictEqual(again?.id, first?.id)
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(names(yield* after(feed)), ["overview"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("say after 15 seconds of silence that they are still there", () => {
    const { layer } = stage()
    return Effect.gen(function* () {
      const feed = yield* Effect.flatMap(Live, (live) => live.open(watcher))
      yield* feed.next
      yield* after(feed)
      const next = yield* Effect.forkChild(feed.next, { startImmediately: true })
      yield* TestClock.adjust("14 seconds")
      assert.isUndefined(next.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.match((yield* Fiber.join(next)) ?? "", /^:.*\n\n$/)
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "keep a bounded number for one who is slow, who then begins anew, and cut off one who takes nothing",
    () => {
      const { layer, world } = stage()
      return Effect.gen(function* () {
        const live = yield* Live
        let cut = 0
        const feed = yield* live.open({ ...watcher, cut: () => void cut++ })
        yield* feed.next
        for (let second = 0; second < 50; second++) {
          world.tokens = Array.from({ length: 20 }, (_, n) => view(n, second))
          yield* TestClock.adjust("1 second")
        }
        assert.isAbove(50 * 20, capacity)
        const [snapshot, ...others] = heard(yield* feed.next)
        assert.strictEqual(snapshot?.event, "overview")
        assert.strictEqual(snapshot?.data.history.at.length, 3)
        assert.deepStrictEqual(others, [])
        world.waiting = 1
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual(cut, 0)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(cut, 1)
        assert.strictEqual(live.watching(), 0)
        assert.isUndefined(yield* feed.next)
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect(`are refused beyond ${mostStreams} at once, until one is closed, and once all are ended`, () => {
    const { layer } = stage()
    return Effect.gen(function* () {
      const live = yield* Live
      const feeds = yield* Effect.forEach(Array.from({ length: mostStreams }), () => live.open(watcher))
      assert.strictEqual((yield* Effect.flip(live.open(watcher))).reason, "full")
      feeds[0]?.close()
      feeds[0]?.close()
      const last = yield* live.open(watcher)
      yield* last.next
      const waiting = yield* Effect.forkChild(last.next, { startImmediately: true })
      live.end()
      assert.isUndefined(yield* Fiber.join(waiting))
      assert.strictEqual((yield* Effect.flip(live.open(watcher))).reason, "closing")
    }).pipe(Effect.provide(layer))
  })

  it.effect("end with what they were let in by, but not because that cannot be told", () => {
    const { layer } = stage()
    return Effect.gen(function* () {
      const live = yield* Live
      let goesOn = true
      const mayGoOn = Effect.sync(() => goesOn)
      const away = Effect.fail(new StoreUnavailable({ operation: "read", detail: "synthetic" }))
      const feed = yield* live.open({ ...watcher, mayGoOn })
      yield* live.open({ ...watcher, mayGoOn: away })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(live.watching(), 2)
      goesOn = false
      yield* TestClock.adjust("1 second")
      assert.strictEqual(live.watching(), 1)
      assert.isUndefined(yield* feed.next)
    }).pipe(Effect.provide(layer))
  })
})
