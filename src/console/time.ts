/** Times as a person reads them. */

/** How far the server's clock is ahead of this browser's, which may be wrong. */
let ahead = 0

/** By the server's clock, in epoch milliseconds. */
export const now = (): number => Date.now() + ahead

/** What the server's clock shows now. */
export const setClock = (at: number): void => {
  ahead = at - Date.now()
}

const units: ReadonlyArray<readonly [Intl.RelativeTimeFormatUnit, number]> = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000]
]
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" })

/** Such as `3 minutes ago`. */
export const ago = (at: number, now: number): string => {
  const distance = at - now
  const [unit, size] = units.find(([, size]) => Math.abs(distance) >= size) ?? (["second", 1_000] as const)
  return relative.format(Math.trunc(distance / size), unit)
}

/** Of 24 hours, as the plots have them. */
const hour12 = false

/** To the second, in this browser's zone, which it names: a log may be in another. */
export const exact = (at: number): string => new Date(at).toLocaleString([], { hour12, timeZoneName: "short" })

/** To the second, of today. */
export const clock = (at: number): string => new Date(at).toLocaleTimeString([], { hour12 })

/** How long, in at most three digits: `320 ms`, `1.2 s`, `4 min`. */
export const span = (milliseconds: number): string => {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`
  const seconds = milliseconds / 1_000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`
}
