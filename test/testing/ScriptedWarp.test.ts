import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { ChatEvent } from "../../src/domain/Chat.ts"
import type { ChatRequest } from "../../src/domain/Chat.ts"
import { AccessRejected, CreateUserRateLimited, QuotaExhausted, UpstreamUnavailable } from "../../src/domain/Failure.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { WarpClient } from "../../src/upstream/WarpClient.ts"

const provider = "warp"
const id = TokenId.make("token-1")
const hi: ChatRequest = { model: "auto", messages: [{ role: "user", content: "hi" }] }

const newToken = Effect.gen(function* () {
  const client = yield* WarpClient
  const credential = yield* client.exchange(yield* client.createAnonymousUser)
  return { id, access: credential.access, refresh: credential.refresh ?? Redacted.make("") }
})

const chat = (token: { readonly id: TokenId; readonly access: Redacted.Redacted }) =>
  Effect.scoped(
    Effect.flatMap(
      WarpClient.use((client) => client.chat(hi, token)),
      Stream.runCollect
    )
  )

describe("ScriptedWarp", () => {
  it.effect("each user has a quota of their own, which a renewal does not refill", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* newToken, yield* newToken]
      yield* chat(one)
      yield* chat(one)
      const exhausted = new QuotaExhausted({ provider, token: id })
      assert.deepStrictEqual(yield* Effect.flip(chat(one)), exhausted)
      const renewed = yield* WarpClient.use((client) => client.refresh(one.refresh))
      assert.deepStrictEqual(yield* Effect.flip(chat({ id, access: renewed.access })), exhausted)
      assert.strictEqual((yield* chat(two)).at(-1)?._tag, "Finished")
      const { limit, used } = yield* WarpClient.use((client) => client.quota(one))
      assert.deepStrictEqual([limit, used], [2, 2])
      assert.deepStrictEqual(yield* ScriptedWarp.use((warp) => warp.calls), {
        createAnonymousUser: 2,
        exchange: 2,
        refresh: 1,
        chat: 5,
        quota: 1
      })
    }).pipe(Effect.provide(ScriptedWarp.layer({ quotaPerToken: 2 })))
  )

  it.effect("a user who comes with a secret of their own is served by the quota of that name", () =>
    Effect.gen(function* () {
      const { access } = yield* WarpClient.use((client) => client.refresh(Redacted.make("mine")))
      for (let i = 0; i < 3; i++) yield* chat({ id, access })
      assert.strictEqual((yield* Effect.flip(chat({ id, access })))._tag, "QuotaExhausted")
    }).pipe(Effect.provide(ScriptedWarp.layer({ quotaPerToken: (user) => (user === "mine" ? 3 : 0) })))
  )

  it.effect("an access secret ends after its lifetime, and a rotated refresh secret at once", () =>
    Effect.gen(function* () {
      const token = yield* newToken
      yield* TestClock.adjust("59999 millis")
      yield* chat(token)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Effect.flip(chat(token)), new AccessRejected({ provider }))
      yield* WarpClient.use((client) => client.refresh(token.refresh))
      const again = yield* Effect.flip(WarpClient.use((client) => client.refresh(token.refresh)))
      assert.strictEqual(again._tag, "RefreshRejected")
    }).pipe(Effect.provide(ScriptedWarp.layer({ accessLifetime: "1 minute", rotating: true })))
  )

  it.effect("fails and delays the next calls of a kind as told, and spends no quota on a failure", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const limited = new CreateUserRateLimited({ provider })
      yield* warp.fail("createAnonymousUser", limited, 2)
      for (let i = 0; i < 2; i++) assert.strictEqual(yield* Effect.flip(newToken), limited)
      const token = yield* newToken
      const down = new UpstreamUnavailable({ provider, reason: "status", status: 500, detail: "down" })
      yield* warp.fail("chat", down)
      yield* warp.delay("chat", "5 seconds")
      const fiber = yield* Effect.forkChild(Effect.flip(chat(token)), { startImmediately: true })
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(fiber), down)
      assert.strictEqual((yield* WarpClient.use((client) => client.quota(token))).used, 0)
    }).pipe(Effect.provide(ScriptedWarp.layer()))
  )

  it.effect("answers the next chat with a given stream, and knows which chats are open", () =>
    Effect.gen(function* () {
      const warp = yield* ScriptedWarp
      const token = yield* newToken
      yield* warp.answer(Stream.make(ChatEvent.Text({ text: "once" })))
      assert.deepStrictEqual(yield* chat(token), [ChatEvent.Text({ text: "once" })])
      assert.strictEqual((yield* chat(token)).length, 2)
      const scope = yield* Scope.make()
      const client = yield* WarpClient
      yield* Effect.asVoid(Scope.provide(client.chat(hi, token), scope))
      assert.strictEqual(yield* warp.openChats, 1)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* warp.openChats, 0)
    }).pipe(Effect.provide(ScriptedWarp.layer()))
  )

  it.effect("makes no user when minting is off, and counts no call", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(newToken))._tag, "MintingDisabled")
      assert.strictEqual((yield* ScriptedWarp.use((warp) => warp.calls)).createAnonymousUser, 0)
    }).pipe(Effect.provide(ScriptedWarp.layer({ minting: false })))
  )
})
