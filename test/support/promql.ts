/** Reads as much of PromQL as the dashboard uses, and throws at what is none of it. */

export interface Selector {
  /** As it is read: of a histogram with its ending. */
  readonly sample: string
  /** One for each value of a matcher: `=~"a|b"` is two. */
  readonly matchers: ReadonlyArray<{ readonly label: string; readonly value: string }>
  readonly isRange: boolean
}

export interface Query {
  readonly selectors: ReadonlyArray<Selector>
  /** Labels of its groupings. */
  readonly grouped: ReadonlyArray<string>
  /** What it divides by, as it stands there. */
  readonly divisors: ReadonlyArray<string>
}

const aggregations = new Set(["sum", "max", "min"])
/** By name: which arguments are ranges. */
const functions: Readonly<Record<string, ReadonlyArray<"instant" | "range" | "number">>> = {
  rate: ["range"],
  increase: ["range"],
  histogram_quantile: ["number", "instant"],
  time: []
}
const operators = /^(?:and|or|unless|==|!=|>=|<=|>|<|\+|-|\*|\/)$/
const comparisons = /^(?:==|!=|>=|<=|>|<)$/
const token =
  /\s*("(?:[^"\\]|\\.)*"|\$?[A-Za-z_][A-Za-z0-9_]*|\d+(?:\.\d+)?[smhd]?|=~|!~|==|!=|>=|<=|[=<>+\-*/(){}[\],])/y

export const parse = (expr: string): Query => {
  const tokens: Array<{ readonly text: string; readonly from: number; readonly to: number }> = []
  token.lastIndex = 0
  const end = expr.trimEnd().length
  while (token.lastIndex < end) {
    const at = token.lastIndex
    const [, text = ""] = token.exec(expr) ?? []
    if (text === "") throw new Error(`no PromQL at ${at}: ${expr}`)
    tokens.push({ text, from: token.lastIndex - text.length, to: token.lastIndex })
  }
  let i = 0
  const peek = () => tokens[i]?.text
  const next = () => tokens[i++]?.text ?? "the end"
  const fail = (what: string) => new Error(`${what} expected before token ${i} of: ${expr}`)
  const expect = (text: string) => {
    if (next() !== text) throw fail(text)
  }
  const name = () => {
    const text = next()
    if (!/^[A-Za-z_]\w*$/.test(text)) throw fail("a name")
    return text
  }
  const listed = <A>(open: string, close: string, read: () => A): ReadonlyArray<A> => {
    expect(open)
    const all: Array<A> = []
    while (peek() !== close) {
      if (all.length > 0) expect(",")
      all.push(read())
    }
    expect(close)
    return all
  }

  const selectors: Array<Selector> = []
  const grouped: Array<string> = []
  const divisors: Array<string> = []

  const matcher = () => {
    const label = name()
    const operator = next()
    if (!/^(?:=|!=|=~|!~)$/.test(operator)) throw fail("a matcher")
    const quoted = next()
    if (!quoted.startsWith('"')) throw fail("a value")
    const text = quoted.slice(1, -1)
    const values = operator.endsWith("~") ? text.split("|") : [text]
    return values.map((value) => ({ label, value }))
  }

  const selector = (sample: string): "instant" | "range" => {
    const matchers = peek() === "{" ? listed("{", "}", matcher).flat() : []
    const isRange = peek() === "["
    if (isRange) {
      expect("[")
      if (!/^(?:\d+[smhd]|\$\w+)$/.test(next())) throw fail("a duration")
      expect("]")
    }
    selectors.push({ sample, matchers, isRange })
    return isRange ? "range" : "instant"
  }

  const primary = (): "instant" | "range" | "number" => {
    const text = next()
    if (text === "(") {
      const kind = expression()
      expect(")")
      return kind
    }
    if (/^\d/.test(text)) return "number"
    if (aggregations.has(text)) {
      if (peek() === "by") {
        i++
        grouped.push(...listed("(", ")", name))
      }
      expect("(")
      if (expression() !== "instant") throw fail("an instant vector")
      expect(")")
      return "instant"
    }
    const takes = peek() === "(" ? functions[text] : undefined
    if (takes !== undefined) {
      const given = listed("(", ")", expression)
      if (given.join() !== takes.join()) throw fail(`${text}(${takes.join(", ")})`)
      return text === "time" ? "number" : "instant"
    }
    i--
    return selector(name())
  }

  const expression = (): "instant" | "range" | "number" => {
    let kind = primary()
    while (operators.test(peek() ?? "")) {
      const operator = next()
      if (comparisons.test(operator) && peek() === "bool") i++
      const from = tokens[i]?.from ?? 0
      const other = primary()
      if (operator === "/") divisors.push(expr.slice(from, tokens[i - 1]?.to))
      if (kind === "range" || other === "range") throw fail("an instant vector")
      kind = kind === "number" && other === "number" ? "number" : "instant"
    }
    return kind
  }

  if (expression() === "range") throw fail("an instant vector")
  if (i !== tokens.length) throw fail("the end")
  return { selectors, grouped, divisors }
}

/** A variable's `label_values(selector, label)`. */
export const parseVariable = (query: string): Query => {
  const [, selector = "", label = ""] = /^label_values\((.*), (\w+)\)$/.exec(query) ?? []
  const { selectors } = parse(selector)
  return { selectors, grouped: [label], divisors: [] }
}
