/** A client's request as it came, byte for byte, but for the name of the model. */
import { fieldSpans, isObject, type Span, valueAfter } from "../../domain/jsonSpans.ts"

/**
 * `json` is what `bytes` say. Every top-level `model` is replaced, however its key is spelled and however often it is there:
 * parsers differ in which of two they believe. A byte order mark is left out. Where there is no such key, the request is
 * written anew from `json`.
 */
export const withModel = (bytes: Uint8Array, json: Readonly<Record<string, unknown>>, model: string): Uint8Array => {
  // One character a byte: JSON's own signs are ASCII, and no byte of a longer UTF-8 sequence is.
  const marked = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1")
  // What is nested deeply enough can be parsed, but not be written anew.
  const text = marked.startsWith(byteOrderMark) ? marked.slice(byteOrderMark.length) : marked
  const spans = soleSpan(text, json) ?? fieldSpans(text, "model")
  if (spans.length === 0) return Buffer.from(JSON.stringify({ ...json, model }))
  const name = JSON.stringify(model).replace(/[^ -~]/g, escapeOf)
  let written = ""
  let kept = 0
  for (const [start, end] of spans) {
    written += text.slice(kept, start) + name
    kept = end
  }
  return Buffer.from(written + text.slice(kept), "latin1")
}

/** In UTF-8, one character a byte. */
const byteOrderMark = "\u00ef\u00bb\u00bf"

const escapeOf = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/**
 * The quick way. `json` has the key, and each of its letters, if it is not spelled out, is written as `\u006…`. So where
 * nothing is, and `model"` is found only once, it is the key that was found.
 */
const soleSpan = (text: string, json: Readonly<Record<string, unknown>>): ReadonlyArray<Span> | undefined => {
  if (!Object.hasOwn(json, "model") || !isObject(text)) return undefined
  const key = text.indexOf('model"')
  if (key === -1 || text.includes('model"', key + 1) || text.includes("u006")) return undefined
  const value = text[key - 1] === '"' ? valueAfter(text, key + 'model"'.length) : undefined
  return value && [value]
}
