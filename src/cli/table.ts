/** Lays rows out under their headings, as wide as they need. */
export const table = (headings: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string | number>>): string => {
  const lines = [headings, ...rows].map((row) => row.map(shown))
  const widths = headings.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  const print = (line: ReadonlyArray<string>) =>
    line
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd()
  return [
    print(lines[0] ?? []),
    widths.map((width) => "─".repeat(width)).join("  "),
    ...lines.slice(1).map(print)
  ].join("\n")
}

/** Callers and upstreams have chosen some of it: none of that may command the terminal or forge a line. */
export const shown = (cell: string | number) => String(cell).replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ")
