/** A part of a JSON text as it is written: what is read and written anew loses the digits of large numbers. */

/**
 * The text of a key's value; of a key that is there twice the last, as `JSON.parse` takes it. `text` must be the text of an
 * object that `JSON.parse` has accepted.
 */
export const rawValue = (text: string, key: string): string | undefined => {
  let found: string | undefined
  let at = afterBlank(text, afterBlank(text, 0) + 1)
  while (text.charCodeAt(at) === quote) {
    const keyEnd = stringEnd(text, at)
    const isKey = isSpelled(text.slice(at, keyEnd), key)
    const start = afterBlank(text, afterBlank(text, keyEnd) + 1)
    const end = valueEnd(text, start)
    if (isKey) found = text.slice(start, end)
    at = afterBlank(text, end)
    if (text.charCodeAt(at) === comma) at = afterBlank(text, at + 1)
  }
  return found
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

const isSpelled = (written: string, key: string): boolean =>
  written === `"${key}"` || (written.includes("\\") && JSON.parse(written) === key)

const afterBlank = (text: string, from: number): number => {
  let at = from
  while (isBlank(text.charCodeAt(at))) at++
  return at
}

/** A byte order mark stands before the first line of some files. */
const isBlank = (code: number) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09 || code === 0xfeff

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
  let depth = 0
  let at = start
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = stringEnd(text, at)
      if (depth === 0) return at
      continue
    }
    if (code === openBrace || code === openBracket) depth++
    else if (code === closeBrace || code === closeBracket) {
      // The end of the object around a number.
      if (depth === 0) return at
      depth--
      if (depth === 0) return at + 1
    } else if (depth === 0 && (code === comma || isBlank(code))) return at
    at++
  }
  return at
}
