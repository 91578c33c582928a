/** Which part of a content a `Range` header asks for (RFC 9110, 14.2). Pure. */

/** Both ends are included. */
export interface Part {
  readonly start: number
  readonly end: number
}

/** Undefined for the whole content: what is no single range of bytes is to be ignored. */
export const partOf = (header: string | undefined, length: number): Part | "NotSatisfiable" | undefined => {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? []
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined
  if (first === "") {
    const count = Math.min(Number(last), length)
    return count === 0 ? "NotSatisfiable" : { start: length - count, end: length - 1 }
  }
  const start = Number(first)
  const end = last === "" ? length - 1 : Math.min(Number(last), length - 1)
  if (last !== "" && Number(last) < start) return undefined
  return start >= length ? "NotSatisfiable" : { start, end }
}
