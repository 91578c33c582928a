/**
 * `tokens.json`, D4's list of tokens: `{ "tokens": [ … ] }`, or the array alone. Of each row it takes `token`, `name`,
 * `is_active`, `provider`, `refresh_token`, `kind` and `expires_at`; a field that is null is as one that is not there, and
 * all others, such as D4's statistics, are passed over. Pure. No problem it tells holds a secret.
 */
import { DateTime, Option, Redacted, Schema } from "effect"
import { TokenKind } from "../domain/Token.ts"
import { parse as parseJson, type Placed, placesIn } from "./placedJson.ts"
import type { NewManagedToken } from "./TokenManager.ts"
import { TokenSecret } from "../domain/tokenSecret.ts"

/** Where a row begins, from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

export interface Problem extends Place {
  /** Absent when it is the row, or the file, that is wrong. */
  readonly field?: string
  readonly reason: string
}

export interface Row {
  readonly place: Place
  readonly token: NewManagedToken
}

export interface TokensFile {
  /** Those without a problem of their own. */
  readonly rows: ReadonlyArray<Row>
  /** All of them, in the order of the lines. */
  readonly problems: ReadonlyArray<Problem>
}

/** As compilers put it, so that editors go there. */
export const told = (file: string, { field, line, reason }: Problem): string =>
  `${file}:${line}: ${field === undefined ? "" : `${field}: `}${reason}`

const instant = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/u
const epochOf = (value: unknown) =>
  typeof value === "string" && instant.test(value)
    ? Option.getOrUndefined(Option.map(DateTime.make(value.toUpperCase()), DateTime.toEpochMillis))
    : undefined

const secret = {
  is: Schema.is(TokenSecret),
  expected: "expected 1 to 8192 printable ASCII characters without spaces"
}
const known = {
  token: secret,
  refresh_token: secret,
  name: {
    is: Schema.is(Schema.String.check(Schema.isPattern(/^\S(?:[^\p{Cc}]{0,98}\S)?$/u))),
    expected: "expected 1 to 100 characters, without control characters and without spaces at its ends"
  },
  is_active: { is: Schema.is(Schema.Boolean), expected: "expected true or false" },
  provider: {
    is: Schema.is(Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9._-]{0,63}$/u))),
    expected: "expected the name of a provider"
  },
  kind: { is: Schema.is(TokenKind), expected: `expected one of ${TokenKind.literals.join(", ")}` },
  expires_at: {
    is: (value: unknown) => epochOf(value) !== undefined,
    expected: "expected a time of RFC 3339, such as 2026-01-31T12:00:00Z"
  }
} as const
type Field = keyof typeof known
const isField = (key: string): key is Field => Object.hasOwn(known, key)

/** Rows that name no provider are of `provider`. */
export const parse = (text: string, provider: string): TokensFile => {
  const placeOf = placesIn(text)
  const whole = parseJson(text)
  if (whole._tag === "broken") {
    const place = placeOf(whole.at)
    return { rows: [], problems: [{ ...place, reason: `${whole.reason}, at column ${place.column}` }] }
  }
  const list = listOf(whole)
  if (list === "twice") {
    return { rows: [], problems: [{ ...placeOf(whole.at), field: "tokens", reason: "given twice" }] }
  }
  if (list === undefined) {
    return {
      rows: [],
      problems: [{ ...placeOf(whole.at), reason: 'expected { "tokens": [ … ] } or an array of tokens' }]
    }
  }

  const rows: Array<Row> = []
  const problems: Array<Problem> = []
  const duplicates = duplicatesIn()
  for (const item of list) {
    const place = placeOf(item.at)
    const wrong = (field: string | undefined, reason: string) =>
      problems.push({ ...place, ...(field === undefined ? {} : { field }), reason })
    if (item._tag !== "object") {
      wrong(undefined, "expected an object")
      continue
    }
    const before = problems.length
    const given = fieldsOf(item, wrong)
    const isWrong = problems.length > before
    if (given.token === undefined && given.refresh_token === undefined && !isWrong) wrong("token", "missing")
    duplicates(given, provider, place, wrong)
    if (problems.length === before) rows.push({ place, token: tokenOf(given, provider) })
  }
  return { rows, problems }
}

const listOf = (whole: Placed): ReadonlyArray<Placed> | "twice" | undefined => {
  const lists =
    whole._tag === "object" ? whole.fields.flatMap(([key, value]) => (key === "tokens" ? [value] : [])) : [whole]
  // One of them would be left out, unseen.
  if (lists.length > 1) return "twice"
  const [list] = lists
  return list?._tag === "array" ? list.items : undefined
}

type Given = { readonly [F in Field]?: unknown }
type Tell = (field: string | undefined, reason: string) => void

/** Those that are as expected; tells of the others. */
const fieldsOf = (row: Placed & { _tag: "object" }, wrong: Tell): Given => {
  const given: { [F in Field]?: unknown } = {}
  const met = new Set<string>()
  for (const [key, placed] of row.fields) {
    if (!isField(key)) continue
    // JSON leaves open which of the two is meant.
    if (met.has(key)) wrong(key, "given twice")
    met.add(key)
    const value = placed._tag === "scalar" ? placed.value : undefined
    if (value === null) continue
    if (known[key].is(value)) given[key] = value
    else wrong(key, known[key].expected)
  }
  return given
}

/** Tells of what an earlier row has as well. */
const duplicatesIn = () => {
  const secrets = new Map<string, number>()
  const names = new Map<string, number>()
  return (given: Given, provider: string, { line }: Place, wrong: Tell) => {
    const of = (value: unknown) => JSON.stringify([given.provider ?? provider, value])
    const own = [given.token, given.refresh_token].filter((value) => value !== undefined).map(of)
    const same = own.map((key) => secrets.get(key)).find((other) => other !== undefined)
    if (same !== undefined) wrong(undefined, `the same token as line ${same}`)
    for (const key of own) if (!secrets.has(key)) secrets.set(key, line)
    if (given.name === undefined) return
    const namesake = names.get(of(given.name))
    if (namesake === undefined) names.set(of(given.name), line)
    else if (same === undefined) wrong("name", `the same as line ${namesake}`)
  }
}

const tokenOf = (given: Given, provider: string): NewManagedToken => {
  const secretOf = (value: unknown) => (typeof value === "string" ? Redacted.make(value) : undefined)
  const [token, refresh, accessExpiresAt] = [
    secretOf(given.token),
    secretOf(given.refresh_token),
    epochOf(given.expires_at)
  ]
  return {
    provider: typeof given.provider === "string" ? given.provider : provider,
    ...(typeof given.name === "string" && { name: given.name }),
    ...(Schema.is(TokenKind)(given.kind) && { kind: given.kind }),
    ...(token && { token }),
    ...(refresh && { refresh }),
    ...(accessExpiresAt !== undefined && { accessExpiresAt }),
    ...(given.is_active === false && { disabled: true })
  }
}

/** With their secrets: what `parse` makes the same tokens of. */
export const render = (tokens: ReadonlyArray<NewManagedToken>): string => {
  const rows = tokens.map(({ accessExpiresAt, disabled, kind, name, provider, refresh, token }) => ({
    token: token && Redacted.value(token),
    name,
    is_active: disabled !== true,
    provider,
    kind,
    refresh_token: refresh && Redacted.value(refresh),
    expires_at:
      accessExpiresAt === undefined
        ? undefined
        : Option.getOrUndefined(Option.map(DateTime.make(accessExpiresAt), DateTime.formatIso))
  }))
  return `${JSON.stringify({ tokens: rows }, undefined, 2)}\n`
}
