/** Cuts bytes into lines as they come. Pure: whoever has the bytes pushes them. */

export interface Line {
  /** From 1, blank ones counted. */
  readonly number: number
  /** Without its end of line; a view into the chunk, or its beginning only when it is too long. */
  readonly bytes: Uint8Array
  readonly isTooLong: boolean
  /** Where it begins in the file. */
  readonly start: number
  /** Whether a line feed has ended it. */
  readonly isEnded: boolean
}

export interface Splitter {
  /** The lines that this chunk ends. */
  push(chunk: Uint8Array): ReadonlyArray<Line>
  /** What is left when no more comes. */
  end(): Line | undefined
}

const lineFeed = 0x0a
const carriageReturn = 0x0d

/** Holds the beginning of one line: at most `longest` bytes of it, and of one that is longer the first `shown`. */
export const make = (longest: number, shown = 1_024): Splitter => {
  let number = 0
  let start = 0
  let parts: Array<Uint8Array> = []
  let length = 0

  const keep = (part: Uint8Array) => {
    length += part.length
    if (length <= longest) parts.push(part)
    else if (length - part.length <= longest) parts = [joined([...parts, part]).slice(0, shown)]
  }

  const take = (isEnded: boolean): Line => {
    const isTooLong = length > longest
    const bytes = withoutReturn(joined(parts), isEnded && !isTooLong)
    const line = { number: ++number, bytes, isTooLong, start, isEnded }
    start += length + (isEnded ? 1 : 0)
    parts = []
    length = 0
    return line
  }

  return {
    push: (chunk) => {
      const lines: Array<Line> = []
      let from = 0
      for (let to = chunk.indexOf(lineFeed); to !== -1; to = chunk.indexOf(lineFeed, from)) {
        keep(chunk.subarray(from, to))
        lines.push(take(true))
        from = to + 1
      }
      if (from < chunk.length) keep(chunk.subarray(from))
      return lines
    },
    end: () => (length === 0 ? undefined : take(false))
  }
}

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)

const withoutReturn = (bytes: Uint8Array, isEnded: boolean): Uint8Array =>
  isEnded && bytes.at(-1) === carriageReturn ? bytes.subarray(0, -1) : bytes
