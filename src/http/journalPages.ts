/** Pages of a journal over HTTP: how `before` is read, and `next` is told. */
import { Effect } from "effect"
import type { Behind, Page } from "../store/Store.ts"
import { BadRequest } from "./failures.ts"

/** On a page that does not say how many. */
export const usualLimit = 100

interface Asked {
  readonly before?: string | undefined
  readonly limit?: number | undefined
}

/** Reads the page that is asked for. */
export const paged = Effect.fnUntraced(function* <A, E, R>(
  { before, limit = usualLimit }: Asked,
  read: (query: { readonly behind: Behind | undefined; readonly limit: number }) => Effect.Effect<Page<A>, E, R>
) {
  const behind = before === undefined ? undefined : behindOf(before)
  if (before !== undefined && behind === undefined) return yield* noCursor("before")
  const { items, next } = yield* read({ behind, limit })
  return { items, next: next === undefined ? null : cursorOf(next) }
})

export const noCursor = (param: string) =>
  new BadRequest({ status: 400, param, reason: "expected what an answer had as its next" })

/** A place in a journal, as it is told; an instant is digits alone. */
export const cursorOf = (place: number): string => `p${place}`

/** What a page of a journal begins behind: a place that was told, or an instant in epoch milliseconds. Undefined when it is none. */
export const behindOf = (text: string): Behind | undefined => {
  const [, isPlace, number] = /^(p?)(\d{1,15})$/.exec(text) ?? []
  if (number === undefined) return undefined
  return isPlace === "p" ? { place: Number(number) } : { at: Number(number) }
}
