/**
 * Draws the plots in the browser. It is sent there as its own source text, so it uses nothing from outside itself but what
 * it is given.
 */
import type uPlot from "uplot"
import type { Plot } from "./plots.ts"

/** As much of a window as is needed here, where the types of browsers are not. */
interface Window {
  readonly document: {
    readonly documentElement: Element
    getElementById(id: string): Element | null
  }
  readonly devicePixelRatio: number
  readonly ResizeObserver: new (changed: () => void) => { observe(element: Element): void }
  getComputedStyle(element: Element): { getPropertyValue(name: string): string }
  matchMedia(query: string): { addEventListener(event: "change", changed: () => void): void }
}

interface Element {
  textContent: string
  readonly clientWidth: number
}

interface Context {
  fillStyle: string
  strokeStyle: string
  lineWidth: number
  font: string
  textAlign: string
  textBaseline: string
  globalAlpha: number
  save(): void
  restore(): void
  beginPath(): void
  rect(x: number, y: number, width: number, height: number): void
  clip(): void
  moveTo(x: number, y: number): void
  lineTo(x: number, y: number): void
  arc(x: number, y: number, radius: number, from: number, to: number): void
  setLineDash(dash: ReadonlyArray<number>): void
  stroke(): void
  fill(): void
  fillRect(x: number, y: number, width: number, height: number): void
  fillText(text: string, x: number, y: number): void
}

interface Chart {
  readonly ctx: Context
  readonly bbox: { readonly left: number; readonly top: number; readonly width: number; readonly height: number }
  readonly cursor: { readonly idx?: number | null }
  valToPos(value: number, scale: string, canvas: true): number
  setSize(size: { readonly width: number; readonly height: number }): void
  redraw(paths: boolean, axes: boolean): void
}

export const draw = (UPlot: typeof uPlot, window: Window) => {
  const { document } = window
  const colour = (name: string) =>
    window.getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
  const ratio = () => window.devicePixelRatio || 1
  const font = "12px system-ui, sans-serif"

  const two = (value: number) => `${value}`.padStart(2, "0")
  const clock = (ms: number) => {
    const seconds = Math.round(ms / 1000)
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
    return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
  }
  const axisClock = (ms: number, step: number) =>
    ms === 0
      ? "0"
      : step % 3_600_000 === 0
        ? `${ms / 3_600_000} h`
        : step % 60_000 === 0
          ? `${ms / 60_000} min`
          : clock(ms)
  const seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 604800]
  const steps = seconds.map((step) => step * 1000)
  const decades = ["1 ms", "10 ms", "0.1 s", "1 s", "10 s", "100 s", "17 min", "2.8 h", "28 h"]
  const shown = (plot: Plot, value: number) =>
    plot.y === "share" ? `${Math.round(value * 100)} %` : `${Math.round(value * 10) / 10}`
  const span = (decade: number) => {
    const ms = 10 ** decade
    return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toPrecision(ms < 10_000 ? 2 : 3)} s`
  }

  const inside = (chart: Chart, paint: (ctx: Context) => void) => {
    const { bbox, ctx } = chart
    ctx.save()
    ctx.beginPath()
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
    ctx.clip()
    paint(ctx)
    ctx.restore()
  }

  const paintBelow = (plot: Plot, chart: Chart) => {
    const { bbox } = chart
    const x = (value: number) => chart.valToPos(value, "x", true)
    inside(chart, (ctx) => {
      for (const { from, kind, to } of plot.spans) {
        const left = x(from)
        const width = Math.max(ratio(), x(to) - left)
        if (kind === "waiting") {
          ctx.fillStyle = colour("waiting")
          ctx.fillRect(left, bbox.top + bbox.height - 5 * ratio(), width, 5 * ratio())
          continue
        }
        ctx.save()
        ctx.beginPath()
        ctx.rect(left, bbox.top, width, bbox.height)
        ctx.clip()
        ctx.fillStyle = colour("fault")
        ctx.globalAlpha = 0.12
        ctx.fillRect(left, bbox.top, width, bbox.height)
        ctx.globalAlpha = 0.45
        ctx.strokeStyle = colour("fault")
        ctx.lineWidth = ratio()
        ctx.beginPath()
        for (let at = left - bbox.height; at < left + width; at += 7 * ratio()) {
          ctx.moveTo(at, bbox.top + bbox.height)
          ctx.lineTo(at + bbox.height, bbox.top)
        }
        ctx.stroke()
        ctx.restore()
      }
      ctx.fillStyle = colour("bar")
      for (const { from, share, to } of plot.bars) {
        const top = Math.min(chart.valToPos(share, "y", true), bbox.top + bbox.height - ratio())
        ctx.fillRect(x(from) + ratio(), top, x(to) - x(from) - 2 * ratio(), bbox.top + bbox.height - top)
      }
    })
  }

  /** The words of the marks stand above the plot, each lower than those whose lines would cross it. */
  const paintAbove = (plot: Plot, chart: Chart) => {
    const { bbox, ctx } = chart
    ctx.save()
    ctx.font = `${12 * ratio()}px system-ui, sans-serif`
    ctx.textBaseline = "middle"
    ctx.lineWidth = ratio()
    const places = plot.marks.map((mark) => Math.round(chart.valToPos(mark.at, "x", true)) + 0.5)
    const isLeftOf = (x: number) => x > bbox.left + bbox.width * 0.6
    const onLeft = places.filter(isLeftOf).length
    for (const [index, { label, share }] of plot.marks.entries()) {
      const x = places[index] ?? 0
      const y = chart.valToPos(share, "y", true)
      const isLeft = isLeftOf(x)
      const row = isLeft ? plot.marks.length - 1 - index : index
      const rows = Math.max(onLeft, plot.marks.length - onLeft)
      const line = bbox.top - (rows - row - 0.25) * 17 * ratio()
      ctx.strokeStyle = colour("muted")
      ctx.setLineDash([3 * ratio(), 3 * ratio()])
      ctx.beginPath()
      ctx.moveTo(x, line - 6 * ratio())
      ctx.lineTo(x, bbox.top + bbox.height)
      ctx.stroke()
      ctx.setLineDash([])
      ctx.fillStyle = colour("first")
      ctx.beginPath()
      ctx.arc(x, y, 3.5 * ratio(), 0, 2 * Math.PI)
      ctx.fill()
      ctx.fillStyle = colour("text")
      ctx.textAlign = isLeft ? "right" : "left"
      ctx.fillText(label, x + (isLeft ? -6 : 6) * ratio(), line)
    }
    ctx.restore()
  }

  const read = (plot: Plot, index: number | null | undefined) => {
    const at = typeof index === "number" ? plot.at[index] : undefined
    if (at === undefined) return ""
    const values = plot.lines.map(({ label, values }) => [label, values[index ?? 0]] as const)
    const said = values.map(([label, value]) => (typeof value === "number" ? `${label} ${shown(plot, value)}` : ""))
    const place =
      plot.x === "time" ? clock(at) : at < (plot.named[0]?.at ?? -1) + 0.5 ? "at once" : `within ${span(at)}`
    return [place, ...said.filter((words) => words !== "")].join(" · ")
  }

  const axes = (plot: Plot): Array<uPlot.Axis> => {
    const usual = {
      font,
      stroke: () => colour("muted"),
      grid: { stroke: () => colour("line"), width: 1 },
      ticks: { show: false }
    }
    const x = { ...usual, size: 30, gap: 7, grid: { show: false } }
    const y: uPlot.Axis = {
      ...usual,
      size: 46,
      space: plot.height < 200 ? 30 : 45,
      incrs:
        plot.y === "share" ? [0.25, 0.5] : [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 1e4, 1e5],
      values: (_, splits) => splits.map((value) => shown(plot, value))
    }
    if (plot.x === "time") {
      return [
        {
          ...x,
          space: 64,
          incrs: steps,
          values: (_, at, _axis, _space, step) => at.map((ms) => axisClock(ms, step))
        },
        y
      ]
    }
    const whole = decades.map((_, decade) => decade).filter((at) => at >= (plot.at[2] ?? 0) && at <= plot.xRange[1])
    const places = [...plot.named, ...whole.map((at) => ({ at, name: decades[at] ?? "" }))]
    return [{ ...x, splits: places.map(({ at }) => at), values: places.map(({ name }) => name) }, y]
  }

  const series = (plot: Plot): Array<uPlot.Series> => [
    {},
    ...plot.lines.map(({ colour: name, filled, label }): uPlot.Series => ({
      label,
      width: 1.75,
      stroke: () => colour(name),
      points: { show: false },
      ...(filled ? { fill: () => colour(`${name}-soft`) } : {})
    }))
  ]

  const show = (plot: Plot) => {
    const place = document.getElementById(plot.id)
    const words = document.getElementById(`${plot.id}-read`)
    if (place === null) return
    const size = () => ({ width: Math.max(place.clientWidth, 200), height: plot.height })
    const most = Math.max(1, ...plot.lines.flatMap(({ values }) => values.map((value) => value ?? 0)))
    const make = UPlot as unknown as new (options: object, data: object, place: Element) => Chart
    const chart = new make(
      {
        ...size(),
        padding: [plot.marks.length === 0 ? 10 : plot.marks.length * 17 + 8, 22, 0, 0],
        legend: { show: false },
        scales: {
          x: {
            time: false,
            range: (_: unknown, from: number | null, to: number | null) => [
              from ?? plot.xRange[0],
              to ?? plot.xRange[1]
            ]
          },
          y: { range: [0, plot.y === "share" ? 1 : most * 1.08] }
        },
        axes: axes(plot),
        series: series(plot),
        cursor: {
          y: false,
          points: { size: 7, width: 0 },
          drag: { x: plot.x === "time", y: false, setScale: plot.x === "time" },
          ...(plot.x === "time" ? { sync: { key: "time", scales: ["x", null] } } : {})
        },
        hooks: {
          drawAxes: [(chart: Chart) => paintBelow(plot, chart)],
          draw: [(chart: Chart) => paintAbove(plot, chart)],
          setCursor: [
            (chart: Chart) => {
              if (words !== null) words.textContent = read(plot, chart.cursor.idx)
            }
          ]
        }
      },
      [plot.at, ...plot.lines.map(({ values }) => values)],
      place
    )
    new window.ResizeObserver(() => chart.setSize(size())).observe(place)
    const scheme = window.matchMedia("(prefers-color-scheme: dark)")
    scheme.addEventListener("change", () => chart.redraw(false, true))
  }

  const plots: ReadonlyArray<Plot> = JSON.parse(document.getElementById("plots")?.textContent ?? "[]")
  for (const plot of plots) show(plot)
}
