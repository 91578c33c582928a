/** Where the parts of a JSON text stand in it: what is read and written anew loses the digits of large numbers. Pure. */

export type Span = readonly [start: number, end: number]

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/**
 * The values of an object's key, however it is spelled and however often it is there; none when the text is no object.
 * `text` must be one that `JSON.parse` has accepted; it may be of one character a byte, since JSON's own signs are ASCII and no
 * byte of a longer UTF-8 sequence is.
 */
export const fieldSpans = (text: string, key: string): ReadonlyArray<Span> => {
  const spans: Array<Span> = []
  let at = afterBlank(text, 0)
  if (text.charCodeAt(at) !== openBrace) return none
  at = afterBlank(text, at + 1)
  while (text.charCodeAt(at) === quote) {
    const keyEnd = stringEnd(text, at)
    const isKey = isSpelled(text, at, keyEnd, key)
    at = afterBlank(text, keyEnd)
    if (text.charCodeAt(at) !== colon) return none
    const start = afterBlank(text, at + 1)
    const end = valueEnd(text, start)
    if (isKey) spans.push([start, end])
    at = afterBlank(text, end)
    if (text.charCodeAt(at) === closeBrace) return spans
    if (text.charCodeAt(at) !== comma) return none
    at = afterBlank(text, at + 1)
  }
  return none
}

const none: ReadonlyArray<Span> = []

/** The value that stands behind a key whose closing quote ends at `keyEnd`; undefined when that is no key. */
export const valueAfter = (text: string, keyEnd: number): Span | undefined => {
  const separator = afterBlank(text, keyEnd)
  if (text.charCodeAt(separator) !== colon) return undefined
  const start = afterBlank(text, separator + 1)
  return [start, valueEnd(text, start)]
}

export const isObject = (text: string): boolean => text.charCodeAt(afterBlank(text, 0)) === openBrace

const afterBlank = (text: string, from: number): number => {
  let at = from
  while (isBlank(text.charCodeAt(at))) at++
  return at
}

/** A byte order mark stands before the first line of some files. */
const isBlank = (code: number) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09 || code === 0xfeff

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

/** Each of its letters may be written as `\u00xx`. */
const isSpelled = (text: string, open: number, end: number, key: string): boolean => {
  const written = end - open > 2 + 6 * key.length ? "" : text.slice(open, end)
  return written === `"${key}"` || (written.includes("\\") && JSON.parse(written) === key)
}
