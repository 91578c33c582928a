/** Times as a person reads them. */

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

/** To the second, in this browser's zone. */
export const exact = (at: number): string => new Date(at).toLocaleString()
