/** Where a text stops being JSON. `JSON.parse` says so only sometimes, and repeats the text around it, which may be a secret. */

type Expected = "value" | "value or ]" | "key" | "key or }" | ":" | ", or end"

const token =
  // JSON's strings hold no control characters.
  // oxlint-disable-next-line eslint/no-control-regex
  /[{}[\],:]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
const space = /[ \t\n\r]*/y

/** The offset of the first token that cannot stand there; the length, when only more could mend it; undefined when it is JSON. */
export const offsetOfError = (text: string): number | undefined => {
  const open: Array<"{" | "["> = []
  let expected: Expected = "value"
  let at = 0
  while (true) {
    at += matched(space, text, at)?.length ?? 0
    if (at === text.length) return open.length === 0 && expected === ", or end" ? undefined : at
    const found = matched(token, text, at)
    const next: Expected | undefined = found === undefined ? undefined : after(found, expected, open)
    if (found === undefined || next === undefined) return at
    expected = next
    at += found.length
  }
}

/** As a person looks for it. */
export const placeOf = (text: string, offset: number): string => {
  const lines = text.slice(0, offset).split("\n")
  return `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`
}

const matched = (pattern: RegExp, text: string, at: number) => {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

/** What can stand after a token; undefined when it cannot stand there itself. Keeps account of what is open. */
const after = (found: string, expected: Expected, open: Array<"{" | "[">): Expected | undefined => {
  switch (found) {
    case "{":
    case "[":
      if (!expected.startsWith("value")) return undefined
      open.push(found)
      return found === "{" ? "key or }" : "value or ]"
    case "}":
    case "]":
      if (expected !== ", or end" && expected !== (found === "}" ? "key or }" : "value or ]")) return undefined
      return open.pop() === (found === "}" ? "{" : "[") ? ", or end" : undefined
    case ",":
      if (expected !== ", or end" || open.length === 0) return undefined
      return open.at(-1) === "{" ? "key" : "value"
    case ":":
      return expected === ":" ? "value" : undefined
    default:
      if (expected.startsWith("value")) return ", or end"
      return expected.startsWith("key") && found.startsWith('"') ? ":" : undefined
  }
}
