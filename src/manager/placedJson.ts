/** JSON with where each value stands, for who must name the line of what is wrong. */
import { offsetOfError } from "../config/jsonText.ts"

/** `at` is the offset of its first character. */
export type Placed =
  | { readonly _tag: "object"; readonly at: number; readonly fields: ReadonlyArray<readonly [string, Placed]> }
  | { readonly _tag: "array"; readonly at: number; readonly items: ReadonlyArray<Placed> }
  | { readonly _tag: "scalar"; readonly at: number; readonly value: string | number | boolean | null }

export interface Broken {
  readonly _tag: "broken"
  readonly at: number
  readonly reason: string
}

/** A list of tokens needs three levels; what is deeper is told, not followed. */
const deepest = 64

const space = /[ \t\n\r]*/y
const string = /"[^"\\]*(?:\\.[^"\\]*)*"/y
const literal = /[^\s,\]}]+/y

export const parse = (text: string): Placed | Broken => {
  const wrong = offsetOfError(text)
  if (wrong !== undefined) {
    return {
      _tag: "broken",
      at: wrong,
      reason: wrong === text.length ? "it ends before it is whole" : "it is not JSON"
    }
  }

  let at = 0
  let tooDeep: number | undefined
  const skip = (pattern: RegExp) => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0] ?? ""
    at += found.length
    return found
  }
  /** Runs `each` for what stands between the brackets that begin here. */
  const within = (end: string, each: () => void) => {
    at += 1
    skip(space)
    while (at < text.length && text[at] !== end) {
      each()
      skip(space)
      if (text[at] === ",") at += 1
      skip(space)
    }
    at += 1
  }
  const value = (depth: number): Placed => {
    skip(space)
    const start = at
    if (depth > deepest) {
      tooDeep ??= start
      at = text.length
      return { _tag: "scalar", at: start, value: null }
    }
    if (text[at] === "[") {
      const items: Array<Placed> = []
      within("]", () => items.push(value(depth + 1)))
      return { _tag: "array", at: start, items }
    }
    if (text[at] === "{") {
      const fields: Array<readonly [string, Placed]> = []
      within("}", () => {
        const key = String(JSON.parse(skip(string)))
        skip(space)
        at += 1
        fields.push([key, value(depth + 1)])
      })
      return { _tag: "object", at: start, fields }
    }
    return { _tag: "scalar", at: start, value: JSON.parse(skip(text[at] === '"' ? string : literal)) }
  }
  const whole = value(0)
  return tooDeep === undefined ? whole : { _tag: "broken", at: tooDeep, reason: "it is nested too deep" }
}

/** Lines and columns of offsets, from 1. */
export const placesIn = (text: string): ((at: number) => { readonly line: number; readonly column: number }) => {
  const starts = [0]
  for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) starts.push(i + 1)
  return (at) => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((starts[middle] ?? 0) <= at) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: at - (starts[low] ?? 0) + 1 }
  }
}
