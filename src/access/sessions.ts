/** The console's sessions in the store: they survive a restart, and what ends one ends it for every process. */
import { Effect } from "effect"
import type { Redacted } from "effect"
import type { SecureRandom } from "effect/crypto"
import type { Collection, Store, StoreUnavailable } from "../store/Store.ts"
import type { Session } from "./ConsoleAccount.ts"
import * as session from "./session.ts"

export { idleFor } from "./session.ts"

export interface Sessions {
  /** The oldest gives way when there are 50 already. */
  begin(generation: number): Effect.Effect<Session, StoreUnavailable>
  /** `generation` is that of the password now. */
  show(
    secret: Redacted.Redacted,
    generation: number | undefined
  ): Effect.Effect<{ readonly session: Session; readonly rotated: boolean } | undefined, StoreUnavailable>
  /** Whether the session goes on that it is, or was, a secret of. */
  goesOn(secret: Redacted.Redacted, generation: number | undefined): Effect.Effect<boolean, StoreUnavailable>
  end(secret: Redacted.Redacted): Effect.Effect<void, StoreUnavailable>
  /** Clears away what is over. */
  sweep(generation: number): Effect.Effect<void, StoreUnavailable>
}

const records: Collection<session.SessionRecord> = { name: "console-sessions", schema: session.SessionRecord }
const most = 50

export const make = (
  store: Store["Service"],
  random: SecureRandom.SecureRandom["Service"],
  now: () => number
): Sessions => {
  const text = (bytes: number) => Effect.map(random.randomBytes(bytes), session.base64url)
  const forget = (id: string) => store.modify(records, id, () => [undefined, undefined])

  const sweep = Effect.fnUntraced(function* (generation: number, keep = most) {
    const at = now()
    const all = [...(yield* store.all(records))]
    const live = all
      // One of a newer password is none of ours to end: ours may have been compared before that came.
      .filter(([, record]) => !session.isOver(record, Math.max(generation, record.generation), at))
      .toSorted(([, a], [, b]) => b.createdAt - a.createdAt)
      .slice(0, keep)
    const kept = new Set(live.map(([id]) => id))
    for (const [id] of all) if (!kept.has(id)) yield* forget(id)
  })

  const begin = Effect.fnUntraced(function* (generation: number) {
    yield* sweep(generation, most - 1)
    const parts = {
      id: yield* text(session.bytesOf.id),
      seed: yield* text(session.bytesOf.seed),
      nonce: yield* text(session.bytesOf.nonce)
    }
    const record = session.begun(parts, generation, now())
    yield* store.modify(records, parts.id, () => [undefined, record])
    return session.view(parts, record)
  })

  const show: Sessions["show"] = Effect.fnUntraced(function* (secret, generation) {
    const parts = session.partsOf(secret)
    if (parts === undefined || generation === undefined) return undefined
    const { id } = parts
    const record = yield* store.get(records, id)
    if (record === undefined) return undefined
    const at = now()
    switch (session.standing(record, parts, generation, at)) {
      case "foreign":
        return undefined
      case "replayed":
        yield* Effect.logWarning("a session's old secret was shown again: the session is ended")
        yield* forget(id)
        return undefined
      case "ended":
        yield* Effect.ignore(forget(id))
        return undefined
      case "graced":
        return { session: session.view(parts, record), rotated: false }
      case "current":
        break
    }
    const next = session.isDueToRotate(record, at)
      ? { ...parts, nonce: yield* text(session.bytesOf.nonce) }
      : session.seen(record, at) === record
        ? undefined
        : parts
    if (next === undefined) return { session: session.view(parts, record), rotated: false }
    return yield* store
      .modify(records, id, (current) => {
        // Another request may have rotated it meanwhile, or ended it.
        const standing = current === undefined ? "ended" : session.standing(current, parts, generation, at)
        if (current === undefined || standing === "ended" || standing === "replayed" || standing === "foreign") {
          return [undefined, current]
        }
        if (standing === "graced") return [{ session: session.view(parts, current), rotated: false }, current]
        const rotated = next !== parts
        const changed = rotated ? session.rotated(current, next, at) : session.seen(current, at)
        return [{ session: session.view(next, changed), rotated }, changed]
      })
      .pipe(
        Effect.catch((error) =>
          // It is good all the same; the next request prolongs it.
          Effect.as(Effect.logWarning(`a session is not prolonged: ${error.message}`), {
            session: session.view(parts, record),
            rotated: false
          })
        )
      )
  })

  const end = Effect.fnUntraced(function* (secret: Redacted.Redacted) {
    const parts = session.partsOf(secret)
    if (parts === undefined) return
    yield* store.modify(records, parts.id, (current) => {
      const isTheirs =
        current !== undefined &&
        !["foreign", "ended"].includes(session.standing(current, parts, current.generation, now()))
      return [undefined, isTheirs ? undefined : current]
    })
  })

  const goesOn: Sessions["goesOn"] = Effect.fnUntraced(function* (secret, generation) {
    const parts = session.partsOf(secret)
    if (parts === undefined || generation === undefined) return false
    const record = yield* store.get(records, parts.id)
    return record !== undefined && !session.isOver(record, generation, now())
  })

  return { begin, show, goesOn, end, sweep: (generation) => sweep(generation) }
}
