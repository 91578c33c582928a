/** The kinds of value that the file holds: what each accepts, and how a wrong one is told. */
import { Duration, Schema } from "effect"

/** A field whose meaning an editor shows. */
export const required = <S extends Schema.Top>(schema: S, description: string): S["Rebuild"] =>
  schema.annotate({ description })
export const field = <S extends Schema.Top>(schema: S, description: string) =>
  Schema.optionalKey(required(schema, description))

/** A secret that stands where a name belongs is not repeated in an error: it hardly ever has the form of one. */
const VariableName = Schema.String.check(
  Schema.isPattern(/^[A-Za-z_][A-Za-z0-9_]*$/u, { expected: "the name of an environment variable" })
)
export const env = required(VariableName, "The environment variable that holds the secret.")
export const namesVariable = 'an object that names an environment variable, such as { "env": "NAME" }'
export const SecretRef = Schema.Struct({ env }).annotate({ message: `Expected ${namesVariable}` })

const isDurationText = Schema.isPattern(/^\d+(\.\d+)?\s+(milli|second|minute|hour|day|week)s?$/u, {
  expected: 'a duration such as "30 seconds"'
})
const isPositive = Schema.makeFilter((duration: Duration.Duration) => Duration.isGreaterThan(duration, Duration.zero), {
  expected: "a positive duration"
})
const isWithinDay = Schema.makeFilter(
  (duration: Duration.Duration) => Duration.isLessThanOrEqualTo(duration, Duration.days(1)),
  { expected: "a duration of at most a day" }
)
/** What it means belongs to the text: nothing of what it is decoded to reaches the JSON Schema. */
const duration = (description: string) =>
  Schema.String.check(isDurationText)
    .annotate({ description, examples: ["30 seconds", "5 minutes"] })
    .pipe(Schema.decodeTo(Schema.DurationFromString))
/** A duration that may be left out. */
export const positive = (description: string) => Schema.optionalKey(duration(description).check(isPositive))
/** One within a request, which may be left out. More than a day is a slip, and may pass what a timer can count. */
export const phase = (description: string) => Schema.optionalKey(duration(description).check(isPositive, isWithinDay))

export const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
export const Limit = Schema.Union([count, Schema.Literal("unlimited")]).annotate({
  message: 'Expected a whole number or "unlimited"'
})
/** 0 takes any free one. */
export const Port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))
export const HttpUrl = Schema.String.check(
  Schema.makeFilter((text: string) => URL.canParse(text), {
    expected: "an http or https URL",
    toJsonSchema: () => [{}, true]
  }).abort(),
  Schema.isPattern(/^https?:\/\/\S+$/u, { expected: "an http or https URL" })
)

/** Names the first that is said twice, where it stands. */
export const distinct = <A>(what: string, nameOf: (item: A) => string, at: ReadonlyArray<PropertyKey> = []) =>
  Schema.makeFilter(
    (items: ReadonlyArray<A>) => {
      const names = items.map(nameOf)
      const second = names.findIndex((name, i) => names.indexOf(name) < i)
      if (second === -1) return undefined
      const first = names.indexOf(names[second] ?? "")
      return { path: [second, ...at], issue: `the same ${what} as that of [${first}]` }
    },
    { toJsonSchema: () => (at.length === 0 ? { uniqueItems: true } : [{}, true]) }
  )
/** A list that says nothing is taken for a slip. */
export const some = (expected: string) => Schema.isMinLength(1, { expected })
