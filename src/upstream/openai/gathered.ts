/**
 * Bytes that come in pieces, kept as one. What comes in one piece is not copied; what comes in many costs as much as their
 * bytes do, and not their number: an upstream is free to send each byte by itself.
 */
export interface Gathered {
  readonly size: number
  add(piece: Buffer): void
  /** All that is there, and leaves nothing. */
  take(): Buffer
}

export const make = (): Gathered => {
  let bytes: Buffer = nothing
  let size = 0
  return {
    get size() {
      return size
    },
    add: (piece) => {
      if (size === 0) {
        bytes = piece
      } else {
        if (bytes.length < size + piece.length) {
          const larger = Buffer.allocUnsafe(2 * (size + piece.length))
          bytes.copy(larger, 0, 0, size)
          bytes = larger
        }
        piece.copy(bytes, size)
      }
      size += piece.length
    },
    take: () => {
      const taken = bytes.length === size ? bytes : bytes.subarray(0, size)
      bytes = nothing
      size = 0
      return taken
    }
  }
}

const nothing = Buffer.alloc(0)
