/** Brings what is in the outbox to the webhook: one at a time among all processes on the store, again after a failure, also after a restart. */
import { Cause, Clock, Effect, Exit, Queue } from "effect"
import type { HttpClient } from "effect/http"
import { Store, type StoreUnavailable } from "../store/Store.ts"
import * as outbox from "./outbox.ts"
import * as telling from "./telling.ts"
import * as Webhook from "./webhook.ts"

/** What another process has left is found no later than this, in milliseconds. */
const lookEvery = 10_000

/** Delivers until the scope closes, when what is under way is given back. Answers with what wakes it: to be called when something was put in. */
export const make = Effect.fnUntraced(function* (
  client: HttpClient.HttpClient,
  webhook: Webhook.Webhook,
  process: string
) {
  const store = yield* Store
  const send = Webhook.make(client, webhook)
  /** One that is lost costs a look. */
  const woken = yield* Queue.sliding<void>(1)

  /** Writes only when there is something to take. */
  const take = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const seen = yield* store.get(outbox.outboxes, outbox.theOutbox)
    const looked = outbox.take(seen, now, process)
    if (seen === undefined || looked.outbox === seen) return looked
    return yield* store.modify(outbox.outboxes, outbox.theOutbox, (current) => {
      const taken = outbox.take(current, now, process)
      return [taken, current === undefined ? undefined : taken.outbox]
    })
  })

  const settle = Effect.fnUntraced(function* ({ alert, number, tries }: outbox.Delivery, fault: string | undefined) {
    const now = yield* Clock.currentTimeMillis
    yield* telling.tried(fault === undefined ? "delivered" : "failed")
    const isGivenUp = yield* store.modify(outbox.outboxes, outbox.theOutbox, (current) => {
      const settled = outbox.settle(current, number, fault === undefined, now, process)
      return [settled.isGivenUp, settled.outbox]
    })
    if (fault === undefined) return
    if (isGivenUp) {
      yield* telling.tried("given_up")
      yield* Effect.logError(`the webhook was not told of ${alert} in ${tries + 1} tries: ${fault}`)
    } else if (tries === 0) {
      yield* Effect.logWarning(`the webhook was not told of ${alert}, which is tried again: ${fault}`)
    }
  })

  const giveBack = store
    .modify(outbox.outboxes, outbox.theOutbox, (current) => [undefined, current && outbox.release(current, process)])
    .pipe(Effect.ignore)

  /** Answers until when there is nothing to do. */
  const deliverOne: Effect.Effect<number, StoreUnavailable> = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { delivery, lost, wakeAt } = yield* take
      if (lost > 0) {
        yield* telling.tried("given_up", lost)
        yield* Effect.logWarning(`the webhook was not told of ${lost} alerts, which are too old by now`)
      }
      if (delivery === undefined) return wakeAt
      const sent = yield* Effect.exit(restore(send(delivery.body)))
      if (Exit.isFailure(sent)) {
        if (Cause.hasInterrupts(sent.cause)) {
          yield* giveBack
          return yield* Effect.failCause(sent.cause)
        }
        // Its name alone: what it says may hold the URL.
        const defect = Cause.squash(sent.cause)
        yield* Effect.logError(`a delivery broke (${defect instanceof Error ? defect.name : typeof defect})`)
      }
      yield* settle(delivery, Exit.isSuccess(sent) ? sent.value : "it could not be sent")
      return Number.NEGATIVE_INFINITY
    })
  )

  const next = Effect.gen(function* () {
    const until = yield* deliverOne.pipe(
      Effect.catch((error) =>
        Effect.as(Effect.logWarning(`alerts are not delivered for now: ${error.message}`), Number.POSITIVE_INFINITY)
      )
    )
    const wait = Math.min(until - (yield* Clock.currentTimeMillis), lookEvery)
    if (wait > 0) yield* Effect.timeoutOption(Queue.take(woken), wait)
  }).pipe(telling.annotated)
  yield* Effect.forkScoped(Effect.forever(next))

  return Effect.sync(() => void Queue.offerUnsafe(woken, undefined))
})
