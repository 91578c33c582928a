const nothing = Buffer.alloc(0)

/**
 * Bytes that come in pieces, kept as one. What comes in one piece is not copied; what comes in many costs as much as their
 * bytes do, and not their number: an upstream is free to send each byte by itself.
 */
export class Gathered {
  size = 0
  #bytes: Buffer = nothing

  add(piece: Buffer): void {
    const size = this.size + piece.length
    if (this.size === 0) {
      this.#bytes = piece
    } else {
      if (this.#bytes.length < size) {
        const larger = Buffer.allocUnsafe(2 * size)
        this.#bytes.copy(larger, 0, 0, this.size)
        this.#bytes = larger
      }
      piece.copy(this.#bytes, this.size)
    }
    this.size = size
  }

  /** All that is there, and leaves nothing. */
  take(): Buffer {
    const taken = this.#bytes.length === this.size ? this.#bytes : this.#bytes.subarray(0, this.size)
    this.#bytes = nothing
    this.size = 0
    return taken
  }
}
