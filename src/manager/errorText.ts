/** What may be kept of an error that a program outside tells: a pure rule. */
import { Redacted } from "effect"

const longest = 200
export const withheld = "withheld: it held what looks like a secret"

/** So many characters of a secret in a row are none by chance. */
const telling = 12

const looksSecret = [
  // What follows the scheme of a header.
  /\b(?:bearer|basic)\s+\S{8,}/iu,
  // A signed token, and keys with the usual prefixes.
  /\beyJ[\w-]{8,}/u,
  /\b(?:sk|pk|wg|gh[a-z]|xox[a-z]|AIza|AKIA)[-_]?[\w-]{16,}/u,
  // As one writes it into a message or an address.
  /\b(?:access|refresh|id)?[-_ ]?(?:token|api[-_ ]?key|secret|password)["']?\s*[=:]\s*["']?[\w+/=.~-]{8,}/iu
]

/** A long run of letters and digits is no word. */
const run = /[\w+=~-]{24,}/gu
const isNoWord = (text: string) => /\d/u.test(text) && /[a-z]/iu.test(text)

/** One line, cut to 200 characters; nothing of it when it holds a part of a secret, or what looks like one. Undefined when nothing is left. */
export const shownError = (text: string, secrets: ReadonlyArray<Redacted.Redacted>): string | undefined => {
  const line = text
    .replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ")
    .replace(/\s+/gu, " ")
    .trim()
  if (line === "") return undefined
  const forms = [line, text.replace(/[\p{C}\s]+/gu, ""), unescaped(line)]
  const isSecret = forms.some(
    (form) => looksSecret.some((pattern) => pattern.test(form)) || secrets.some((secret) => holds(form, secret))
  )
  if (isSecret || (line.match(run) ?? []).some(isNoWord)) return withheld
  return Array.from(line).slice(0, longest).join("")
}

const holds = (text: string, secret: Redacted.Redacted): boolean => {
  const value = Redacted.value(secret)
  if (value === "") return false
  if (value.length <= telling) return text.includes(value)
  const pieces = new Set<string>()
  for (let i = 0; i + telling <= text.length; i++) pieces.add(text.slice(i, i + telling))
  for (let i = 0; i + telling <= value.length; i++) if (pieces.has(value.slice(i, i + telling))) return true
  return false
}

const unescaped = (text: string) => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
