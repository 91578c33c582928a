import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Metric, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { TokenFault, WeirgateError } from "../../src/client/index.ts"
import { done, lent, paths, refusal, refused, type Reply, reset, server, silent } from "./scripted.ts"

const scripted = (reports: ReadonlyArray<Reply>, gets: ReadonlyArray<Reply> = [lent(1), lent(2), lent(3), lent(4)]) =>
  server({ [paths.get]: gets, [paths.report]: reports })
const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
/** How it ends, given all the time it may take. */
const ended = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* begin(Effect.exit(effect))
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.join(fiber)
  })
const report = (n: number, outcome: string, more: object = {}) => ({
  lease: `lease-${n}`,
  provider: "wopan",
  success: outcome === "succeeded",
  outcome,
  ...more
})

describe("withToken", () => {
  it.effect("lends the token that was asked for and reports the success of the call under its lease", () =>
    Effect.gen(function* () {
      const { bodies, seen, use } = scripted([done])
      const exit = yield* ended(
        use(({ withToken }) =>
          withToken({ strategy: "priority", provider: "warp" }, ({ id, name, token }) =>
            Effect.succeed([id, name, Redacted.value(token)])
          )
        )
      )
      assert.deepStrictEqual(exit, Exit.succeed(["token-1", "Token-1", "synthetic-token-1"]))
      assert.strictEqual(seen[0]?.path, "/api/token/get?strategy=priority&provider=warp")
      assert.deepStrictEqual(bodies(paths.report), [report(1, "succeeded")])
    })
  )

  it.effect("reports a failure as failed, with what it says, and fails with it after one token", () =>
    Effect.gen(function* () {
      const { bodies, times, use } = scripted([done])
      const exit = yield* ended(use(({ withToken }) => withToken("best", () => Effect.fail("upstream 500"))))
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === "upstream 500")
      assert.deepStrictEqual(bodies(paths.report), [report(1, "failed", { error: "upstream 500" })])
      assert.strictEqual(times(paths.get).length, 1)
    })
  )

  it.effect("keeps to itself an error's text that holds the token", () =>
    Effect.gen(function* () {
      const { bodies, use } = scripted([done])
      yield* ended(
        use(({ withToken }) =>
          withToken("best", ({ token }) => Effect.fail(`GET https://x.test/?key=${Redacted.value(token)}: 500`))
        )
      )
      assert.deepStrictEqual(bodies(paths.report), [report(1, "failed")])
    })
  )

  it.effect("reports what the failure says of the token, or the classification, which comes first", () =>
    Effect.gen(function* () {
      const fault = new TokenFault({ outcome: "rate_limited", retryAfter: "90 seconds" })
      const once = { retryWithAnotherToken: false } as const
      const { bodies, use } = scripted([done])
      yield* ended(use(({ withToken }) => withToken("best", () => Effect.fail(fault), once)))
      yield* ended(
        use(({ withToken }) =>
          withToken("best", () => Effect.fail({ status: 401 }), {
            ...once,
            classify: ({ status }) => (status === 401 ? "unauthorized" : undefined)
          })
        )
      )
      yield* ended(
        use(({ withToken }) =>
          withToken("best", () => Effect.fail(fault), {
            ...once,
            classify: () => ({ outcome: "rate_limited", retryAfter: Duration.days(3) })
          })
        )
      )
      yield* ended(
        use(({ withToken }) => withToken("best", () => Effect.fail("no such file"), { classify: () => "succeeded" }))
      )
      yield* ended(
        use(({ withToken }) =>
          withToken("best", () => Effect.fail("odd"), {
            classify: () => {
              throw new Error("a classification that breaks")
            }
          })
        )
      )
      assert.deepStrictEqual(bodies(paths.report), [
        report(1, "rate_limited", { retry_after: 90, error: "the token: rate_limited" }),
        report(2, "unauthorized"),
        report(3, "rate_limited", { retry_after: 86_400, error: "the token: rate_limited" }),
        report(4, "succeeded"),
        report(4, "failed", { error: "odd" })
      ])
    })
  )

  it.effect("reports a defect as failed, without its text, and dies with it", () =>
    Effect.gen(function* () {
      const { bodies, use } = scripted([done])
      const thrown = new Error("a bug")
      const exit = yield* ended(
        use(({ withToken }) =>
          withToken("best", (): Effect.Effect<never> => {
            throw thrown
          })
        )
      )
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === thrown)
      assert.deepStrictEqual(bodies(paths.report), [report(1, "failed", { error: "the call broke" })])
    })
  )

  it.effect("gives the lease back when the call is interrupted, and says nothing of the token", () =>
    Effect.gen(function* () {
      const { bodies, use } = scripted([done])
      const began = yield* Deferred.make<void>()
      const fiber = yield* begin(
        use(({ withToken }) =>
          withToken("best", () => Effect.andThen(Deferred.succeed(began, undefined), Effect.never))
        )
      )
      yield* Deferred.await(began)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(bodies(paths.report), [report(1, "abandoned")])
    })
  )

  it.effect("says nothing of the token when it is told so, nor when another call to this server failed", () =>
    Effect.gen(function* () {
      const { bodies, use } = server({
        [paths.get]: [lent(1), lent(2)],
        [paths.stats]: [refusal(403, "role_not_allowed")],
        [paths.report]: [done]
      })
      yield* ended(
        use(({ withToken }) => withToken("best", () => Effect.fail("stopped"), { classify: () => "abandoned" }))
      )
      const exit = yield* ended(use(({ tokens, withToken }) => withToken("best", () => tokens.stats())))
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof WeirgateError)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(bodies(paths.report), [report(1, "abandoned"), report(2, "abandoned")])
    })
  )

  /** The reply, and that its request has come. */
  const noticed =
    (come: Deferred.Deferred<void>, reply: Reply): Reply =>
    (request) =>
      Effect.andThen(Deferred.succeed(come, undefined), reply(request))

  it.effect("makes the report although the caller is interrupted once the call has ended", () =>
    Effect.gen(function* () {
      const come = yield* Deferred.make<void>()
      const { bodies, use } = scripted([noticed(come, refusal(503, "store_unavailable")), done])
      const fiber = yield* begin(use(({ withToken }) => withToken("best", () => Effect.succeed("good"))))
      yield* Deferred.await(come)
      const interrupting = yield* begin(Fiber.interrupt(fiber))
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(bodies(paths.report), [report(1, "succeeded"), report(1, "succeeded")])
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    })
  )

  it.effect("holds an interrupted caller for no longer than a report may take", () =>
    Effect.gen(function* () {
      const come = yield* Deferred.make<void>()
      const { use } = scripted([noticed(come, silent)])
      const fiber = yield* begin(
        use(({ withToken }) => withToken("best", () => Effect.succeed("good")), { reportWithin: "3 seconds" })
      )
      yield* Deferred.await(come)
      const interrupting = yield* begin(Fiber.interrupt(fiber))
      yield* TestClock.adjust("2999 millis")
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(interrupting)
    })
  )

  it.effect("reports until it lands; that the lease has been reported is to have landed", () =>
    Effect.gen(function* () {
      for (const replies of [
        [refused, refusal(429, "key_rate_limited", { retry_after: 3 }), done],
        [reset, refusal(409, "lease_reported")]
      ]) {
        const { bodies, use } = scripted(replies)
        const exit = yield* ended(use(({ withToken }) => withToken("best", () => Effect.succeed("good"))))
        assert.deepStrictEqual(exit, Exit.succeed("good"))
        assert.strictEqual(bodies(paths.report).length, replies.length)
      }
    })
  )

  it.effect("gives the result of the call though its report never lands, and counts that", () =>
    Effect.gen(function* () {
      const broken: Reply = () => Effect.die("a client that breaks")
      for (const reply of [refused, silent, refusal(403, "role_not_allowed"), refusal(409, "lease_expired"), broken]) {
        const { use } = scripted([reply])
        const exit = yield* ended(use(({ withToken }) => withToken("best", () => Effect.succeed("good"))))
        assert.deepStrictEqual(exit, Exit.succeed("good"))
      }
      const { use } = scripted([done])
      yield* ended(use(({ withToken }) => withToken("best", () => Effect.succeed("good"))))
      const counted = (yield* Metric.snapshot)
        .filter(({ id }) => id === "weirgate_client_reports_total")
        .map(({ attributes, state }) => [attributes?.["result"], "count" in state ? Number(state.count) : undefined])
      assert.deepStrictEqual(Object.fromEntries(counted), { lost: 5, taken: 1 })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  describe("with a failure that another token may mend", () => {
    const exhausted = new TokenFault({ outcome: "quota_exhausted" })
    /** Fails with the tokens before the nth. */
    const goodWith = (n: number, fault: unknown = exhausted) => {
      const used: Array<string> = []
      return {
        used,
        call: ({ name }: { readonly name: string }) =>
          Effect.suspend(() => (used.push(name) < n ? Effect.fail(fault) : Effect.succeed(name)))
      }
    }

    it.effect("makes the call with the next, once the server has been told of the one before", () =>
      Effect.gen(function* () {
        const { seen, use } = scripted([done])
        const { call } = goodWith(2)
        const exit = yield* ended(use(({ withToken }) => withToken("round_robin", call)))
        assert.deepStrictEqual(exit, Exit.succeed("Token-2"))
        assert.deepStrictEqual(
          seen.map(({ body, path }) => body?.["outcome"] ?? path.split("?")[0]),
          [paths.get, "quota_exhausted", paths.get, "succeeded"]
        )
      })
    )

    it.effect("makes it with three in all, and fails with what the last said", () =>
      Effect.gen(function* () {
        for (const [tokens, expected] of [
          [undefined, 3],
          [2, 2],
          [1, 1]
        ] as const) {
          const { bodies, use } = scripted([done])
          const { call, used } = goodWith(9)
          const exit = yield* ended(use(({ withToken }) => withToken("best", call, { tokens })))
          assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === exhausted)
          assert.strictEqual(used.length, expected)
          assert.strictEqual(bodies(paths.report).length, expected)
        }
      })
    )

    it.effect("does so for the outcomes that are chosen, or for none", () =>
      Effect.gen(function* () {
        for (const [retryWithAnotherToken, outcome, expected] of [
          [undefined, "rate_limited", 2],
          [undefined, "unauthorized", 2],
          [undefined, "failed", 1],
          [undefined, "upstream_fault", 1],
          [["upstream_fault"], "upstream_fault", 2],
          [false, "quota_exhausted", 1]
        ] as const) {
          const { use } = scripted([done])
          const { call, used } = goodWith(2, new TokenFault({ outcome }))
          yield* ended(use(({ withToken }) => withToken("best", call, { retryWithAnotherToken })))
          assert.strictEqual(used.length, expected, outcome)
        }
      })
    )

    it.effect("asks for another when the report has landed although its answer was lost", () =>
      Effect.gen(function* () {
        const { use } = scripted([reset, refusal(409, "lease_reported"), done])
        const exit = yield* ended(use(({ withToken }) => withToken("best", goodWith(2).call)))
        assert.deepStrictEqual(exit, Exit.succeed("Token-2"))
      })
    )

    it.effect("does not ask for another from a server that does not know of this one", () =>
      Effect.gen(function* () {
        const { times, use } = scripted([refused])
        const exit = yield* ended(use(({ withToken }) => withToken("best", goodWith(2).call)))
        assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === exhausted)
        assert.strictEqual(times(paths.get).length, 1)
      })
    )

    it.effect("fails with the call's own failure when there is no other token", () =>
      Effect.gen(function* () {
        const { use } = scripted([done], [lent(1), refusal(404, "no_token")])
        const exit = yield* ended(use(({ withToken }) => withToken("best", goodWith(2).call)))
        assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === exhausted)
      })
    )
  })

  it.effect("fails as get does when there is no first token", () =>
    Effect.gen(function* () {
      const { times, use } = scripted([done], [refusal(404, "no_token")])
      const exit = yield* ended(use(({ withToken }) => withToken("best", () => Effect.die("never used"))))
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(error, WeirgateError)
      assert.strictEqual(error.reason._tag, "NoToken")
      assert.strictEqual(times(paths.report).length, 0)
    })
  )
})
