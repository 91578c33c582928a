/** Numbers over time. Its label tells screen readers what they come to. */
import { useEffect, useRef } from "preact/hooks"
import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"

export interface Series {
  readonly label: string
  /** A colour of the style sheet, such as `--accent`. */
  readonly colour: string
  readonly values: ReadonlyArray<number | null>
  /** A line from sample to sample unless told otherwise. */
  readonly as?: "line" | "area" | "steps" | "bars" | "limit"
}

interface Properties {
  readonly label: string
  /** Epoch milliseconds. */
  readonly at: ReadonlyArray<number>
  /** How much of it, up to the last, in milliseconds. */
  readonly window: number
  readonly series: ReadonlyArray<Series>
  /** The axis goes up to there at least. */
  readonly least?: number
}

const height = 150
const second = 1_000
const leastWindow = 60 * second
/** All plots on a page show the same instant under the pointer. */
const sync = "overview"

/** The colour as it shows, with its alpha: what the style sheet has is a `light-dark()`, which a canvas cannot read. */
const shown = (colour: string, alpha = 1) => {
  const probe = document.createElement("span")
  // Where the browser has colours of its own, all lines would be of one.
  probe.style.forcedColorAdjust = "none"
  probe.style.color = `color-mix(in srgb, var(${colour}) ${alpha * 100}%, transparent)`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

const seriesOf = ({ as = "line", colour, label }: Series): uPlot.Series => {
  const stroke = shown(colour)
  const common = { label, stroke, width: 1.5, spanGaps: false, points: { show: false } }
  if (as === "bars") return { ...common, width: 0, fill: stroke, ...barPaths }
  if (as === "steps") return { ...common, fill: shown(colour, 0.15), ...stepPaths }
  if (as === "limit") return { ...common, dash: [6, 4] }
  return as === "area" ? { ...common, fill: shown(colour, 0.15) } : common
}
const { bars, stepped } = uPlot.paths
const barPaths = bars === undefined ? {} : { paths: bars({ size: [0.9, 12, 2] }) }
const stepPaths = stepped === undefined ? {} : { paths: stepped({ align: 1 }) }

const amount = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "compact" })

const make = (root: HTMLElement, { least = 1, series }: Properties, range: () => [number, number]) => {
  const axis = { stroke: shown("--faint"), grid: { stroke: shown("--line"), width: 1 }, ticks: { show: false } }
  const font = `11px ${getComputedStyle(root).fontFamily}`
  return new uPlot(
    {
      width: root.clientWidth,
      height,
      padding: [8, 18, 0, 0],
      cursor: { sync: { key: sync }, drag: { x: false, y: false }, points: { size: 6 } },
      legend: { live: true },
      scales: {
        x: { range },
        y: { range: (_, _min, max) => [0, Math.max(least, max ?? 0) * 1.05] }
      },
      axes: [
        { ...axis, font, size: 24, values: (_, splits) => splits.map(timeOf) },
        { ...axis, font, size: 44, values: (_, splits) => splits.map((value) => amount.format(value)) }
      ],
      series: [
        { value: (_, at) => (at === null ? "" : timeOf(at)) },
        ...series.map((one) => ({ ...seriesOf(one), value: (_: uPlot, value: number | null) => told(value) }))
      ]
    },
    [[]],
    root
  )
}

const told = (value: number | null | undefined) => (value === null || value === undefined ? "" : amount.format(value))
/** In hours and minutes, and seconds where there are some: of 24 hours, which needs less room. */
const timeOf = (seconds: number) =>
  new Date(seconds * second).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    ...(seconds % 60 !== 0 && { second: "2-digit" }),
    hour12: false
  })

export const Plot = (properties: Properties) => {
  const { at, label, series, window } = properties
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const newest = useRef(properties)
  newest.current = properties

  useEffect(() => {
    const root = place.current
    if (root === null) return
    const range = (): [number, number] => {
      const { at, window } = newest.current
      const last = at.at(-1) ?? 0
      // Right after a start there is less than is asked for.
      const first = Math.min(at[0] ?? last, last - leastWindow)
      return [Math.max(last - window, first) / second, last / second]
    }
    const draw = () => {
      plot.current?.destroy()
      plot.current = make(root, newest.current, range)
      plot.current.setData(dataOf(newest.current))
    }
    draw()
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: root.clientWidth, height }))
    sized.observe(root)
    const scheme = matchMedia("(prefers-color-scheme: dark)")
    scheme.addEventListener("change", draw)
    return () => {
      sized.disconnect()
      scheme.removeEventListener("change", draw)
      plot.current?.destroy()
    }
  }, [])

  useEffect(() => plot.current?.setData(dataOf(newest.current)), [at, series, window])
  return <div class="plot" role="img" aria-label={label} ref={place} />
}

const dataOf = ({ at, series }: Properties): uPlot.AlignedData => [
  at.map((instant) => instant / second),
  ...series.map(({ values }) => [...values])
]
