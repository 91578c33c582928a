/** How long an answer asks us to stay away, in any of the forms in which upstreams say it. */
import { Duration } from "effect"

/**
 * The wait that the answer's headers (names in lower case) state at `now`, in epoch milliseconds. `retry-after-ms` comes
 * before `retry-after`, and both before the reset headers.
 *
 * `undefined` when nothing usable is stated. That includes a wait of zero and a time that has passed: neither is worth
 * more than the caller's own guess, and to believe them would be to ask again at once. More than a year is no wait.
 */
export const parse = (
  headers: Readonly<Record<string, string | undefined>>,
  now: number
): Duration.Duration | undefined => {
  const wait =
    usable(numberOf(headers["retry-after-ms"])) ??
    usable(waitOf(headers["retry-after"], now)) ??
    usable(waitOf(headers["x-ratelimit-reset-after"], now)) ??
    resetOf(headers, now)
  return wait === undefined ? undefined : Duration.millis(Math.ceil(wait))
}

const second = 1_000
const year = 366 * 24 * 60 * 60 * second

const usable = (wait: number | undefined): number | undefined =>
  wait !== undefined && wait > 0 && wait <= year ? wait : undefined

/** A limit that says when it resets, and under which name it says what remains. */
const limits = [
  ["x-ratelimit-reset", "x-ratelimit-remaining"],
  ["x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"],
  ["x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"],
  ["ratelimit-reset", "ratelimit-remaining"]
] as const

/**
 * The longest of the limits that are used up. When none says so, any of them may have been meant: the shortest, since a
 * wait that was too short is answered with another one, and one that was too long is not noticed.
 */
const resetOf = (headers: Readonly<Record<string, string | undefined>>, now: number): number | undefined => {
  const stated = limits.flatMap(([reset, remaining]) => {
    const wait = usable(waitOf(headers[reset], now))
    return wait === undefined ? [] : [{ wait, usedUp: numberOf(headers[remaining]) === 0 }]
  })
  if (stated.length === 0) return undefined
  const usedUp = stated.filter((limit) => limit.usedUp)
  return usedUp.length > 0 ? Math.max(...usedUp.map(({ wait }) => wait)) : Math.min(...stated.map(({ wait }) => wait))
}

/** Milliseconds from now. */
const waitOf = (value: string | undefined, now: number): number | undefined => {
  const text = value?.trim()
  if (text === undefined || text === "") return undefined
  const number = numberOf(text)
  if (number !== undefined) return waitOfNumber(number, now)
  const instant = instantOf(text)
  return instant === undefined ? durationOf(text) : instant - now
}

/** Seconds; but a number as large as a date of this age is one, in seconds or milliseconds. */
const waitOfNumber = (number: number, now: number): number => {
  if (number >= 1e12) return number - now
  return number >= 1e9 ? number * second - now : number * second
}

const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\s*[+-]?(\d+(\.\d*)?|\.\d+)\s*$/.test(text) ? Number(text) : undefined

const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/
const rfc850Date = /^[A-Z][a-z]+day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/
const asctimeDate = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/
const rfc3339Date = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/

/** Only what names its zone, or has one by definition: the host's must not matter. */
const instantOf = (text: string): number | undefined => {
  const zoned = asctimeDate.test(text)
    ? `${text} GMT`
    : httpDate.test(text) || rfc850Date.test(text) || rfc3339Date.test(text)
      ? text
      : undefined
  const instant = zoned === undefined ? Number.NaN : Date.parse(zoned)
  return Number.isNaN(instant) ? undefined : instant
}

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: second,
  m: 60 * second,
  h: 60 * 60 * second,
  d: 24 * 60 * 60 * second
}

/** Such as `6m0s`, `1h2m3.5s`, `250ms`. */
const durationOf = (text: string): number | undefined => {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ""] ?? 0),
    0
  )
}
