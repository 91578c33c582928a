/** A client's request as it came, byte for byte, but for the name of the model. */

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
  const spans = soleSpan(text, json) ?? modelSpans(text)
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

type Span = readonly [start: number, end: number]

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/**
 * The quick way. `json` has the key, and each of its letters, if it is not spelled out, is written as `\u006…`. So where
 * nothing is, and `model"` is found only once, it is the key that was found.
 */
const soleSpan = (text: string, json: Readonly<Record<string, unknown>>): ReadonlyArray<Span> | undefined => {
  if (!Object.hasOwn(json, "model") || text.charCodeAt(afterBlank(text, 0)) !== openBrace) return undefined
  const key = text.indexOf('model"')
  if (key === -1 || text.includes('model"', key + 1) || text.includes("u006")) return undefined
  const separator = afterBlank(text, key + 'model"'.length)
  if (text.charCodeAt(key - 1) !== quote || text.charCodeAt(separator) !== colon) return undefined
  const start = afterBlank(text, separator + 1)
  return [[start, valueEnd(text, start)]]
}

/** Where the values of the top-level `model` keys stand; none when the text is not the object it was taken for. */
const modelSpans = (text: string): ReadonlyArray<Span> => {
  const spans: Array<Span> = []
  let at = afterBlank(text, 0)
  if (text.charCodeAt(at) !== openBrace) return none
  at = afterBlank(text, at + 1)
  while (text.charCodeAt(at) === quote) {
    const keyEnd = stringEnd(text, at)
    const isModel = isModelKey(text, at, keyEnd)
    at = afterBlank(text, keyEnd)
    if (text.charCodeAt(at) !== colon) return none
    const start = afterBlank(text, at + 1)
    const end = valueEnd(text, start)
    if (isModel) spans.push([start, end])
    at = afterBlank(text, end)
    if (text.charCodeAt(at) === closeBrace) return spans
    if (text.charCodeAt(at) !== comma) return none
    at = afterBlank(text, at + 1)
  }
  return none
}

const none: ReadonlyArray<Span> = []

const afterBlank = (text: string, from: number): number => {
  let at = from
  while (isBlank(text.charCodeAt(at))) at++
  return at
}

const isBlank = (code: number) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

/** The index after the closing quote; the text's end when there is none. */
const stringEnd = (text: string, open: number): number => {
  let at = open
  while (true) {
    at = text.indexOf('"', at + 1)
    if (at === -1) return text.length
    let escapes = 0
    while (text.charCodeAt(at - 1 - escapes) === backslash) escapes++
    if (escapes % 2 === 0) return at + 1
  }
}

const valueEnd = (text: string, start: number): number => {
  const first = text.charCodeAt(start)
  if (first === quote) return stringEnd(text, start)
  let at = start
  if (first !== openBrace && first !== openBracket) {
    while (at < text.length && !endsScalar(text.charCodeAt(at))) at++
    return at
  }
  let depth = 0
  do {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = stringEnd(text, at)
      continue
    }
    if (code === openBrace || code === openBracket) depth++
    if (code === closeBrace || code === closeBracket) depth--
    at++
  } while (depth > 0 && at < text.length)
  return at
}

const endsScalar = (code: number) => code === comma || code === closeBrace || isBlank(code)

/** `"model"` with each of its letters written as `\u00xx`. */
const longestSpelling = 2 + 5 * 6

const isModelKey = (text: string, open: number, end: number): boolean => {
  const key = end - open > longestSpelling ? "" : text.slice(open, end)
  return key === '"model"' || (key.includes("\\u") && JSON.parse(key) === "model")
}
