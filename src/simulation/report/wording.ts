/** Numbers as a person reads them. */

const grouped = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 })

export const count = (value: number): string => grouped.format(value)

/** With a decimal or two where they tell something; never rounded to a round 0 or 100 that it is not. */
export const percent = (share: number): string => {
  const hundredths = share * 100
  if (share > 0 && hundredths < 0.01) return "< 0.01 %"
  if (share < 1 && hundredths > 99.99) return "> 99.99 %"
  return `${withoutZeros(hundredths.toFixed(hundredths < 1 || (hundredths > 99 && hundredths < 100) ? 2 : 1))} %`
}

export const duration = (ms: number): string => {
  if (ms < 1) return ms === 0 ? "0 s" : "< 1 ms"
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${withoutZeros((ms / 1_000).toFixed(ms < 9_995 ? 2 : 1))} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 3_600) return joined(Math.floor(seconds / 60), "min", seconds % 60, "s")
  const minutes = Math.round(seconds / 60)
  return joined(Math.floor(minutes / 60), "h", minutes % 60, "min")
}

/** An instant on a plot's axis: minutes and seconds, or hours before them. */
export const clock = (ms: number): string => {
  const seconds = Math.round(ms / 1_000)
  const two = (value: number) => `${value}`.padStart(2, "0")
  const hours = Math.floor(seconds / 3_600)
  const rest = `${hours > 0 ? two(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${two(seconds % 60)}`
  return hours > 0 ? `${hours}:${rest}` : rest
}

export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

const withoutZeros = (decimals: string): string => decimals.replace(/\.?0+$/, "")

const joined = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`
