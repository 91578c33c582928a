/** A command's answer for programs: the names of its fields are those of the HTTP contract. */

/** None of what callers and upstreams have chosen of it may command the terminal: a reader of JSON gets it as it was. */
export const json = (answer: unknown, { indent = 2 }: { readonly indent?: number } = {}): string =>
  JSON.stringify(answer, undefined, indent).replace(/[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu, (text) =>
    Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, "0")}`).join("")
  )
