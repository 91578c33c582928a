/** Arguments that satisfy a tool's JSON Schema as a model would fill it in: the required properties, and no others. */
import type { Schema } from "effect"

type Json = Schema.MutableJson

/** Deeper than this a schema, which may refer to itself, is answered with an empty value. */
const deepest = 8

/** `text` goes wherever the schema wants free text. */
export const argumentsFor = (schema: unknown, text: string): { [name: string]: Json } =>
  objectFor(isRecord(schema) ? schema : {}, text, 0)

const valueFor = (schema: unknown, text: string, depth: number): Json => {
  if (!isRecord(schema) || depth > deepest) return text
  if ("const" in schema) return jsonOf(schema["const"])
  if ("default" in schema) return jsonOf(schema["default"])
  if (isList(schema["enum"]) && schema["enum"].length > 0) return jsonOf(schema["enum"][0])
  for (const choice of ["anyOf", "oneOf", "allOf"]) {
    const members = schema[choice]
    if (isList(members) && members.length > 0) return valueFor(members[0], text, depth + 1)
  }
  switch (isList(schema["type"]) ? schema["type"][0] : schema["type"]) {
    case "string":
      return stringFor(schema, text)
    case "integer":
    case "number":
      return numberFor(schema)
    case "boolean":
      return true
    case "null":
      return null
    case "array": {
      const length = Math.min(Math.max(numberIn(schema, "minItems") ?? 1, 1), 16)
      return Array.from({ length }, () => valueFor(schema["items"], text, depth + 1))
    }
    default:
      return isRecord(schema["properties"]) || schema["type"] === "object" ? objectFor(schema, text, depth) : text
  }
}

const objectFor = (schema: Fields, text: string, depth: number): { [name: string]: Json } => {
  const properties = isRecord(schema["properties"]) ? schema["properties"] : {}
  const required = isList(schema["required"]) ? schema["required"].filter((name) => typeof name === "string") : []
  return Object.fromEntries(required.map((name) => [name, valueFor(properties[name], text, depth + 1)]))
}

const stringFor = (schema: Fields, text: string): string => {
  switch (schema["format"]) {
    case "date":
      return "2025-01-01"
    case "date-time":
      return "2025-01-01T00:00:00Z"
    case "uri":
    case "url":
      return "https://sandbox.invalid/"
    case "email":
      return "person@sandbox.invalid"
    default: {
      const least = Math.min(numberIn(schema, "minLength") ?? 0, 1_000)
      return text.slice(0, numberIn(schema, "maxLength") ?? text.length).padEnd(least, ".")
    }
  }
}

const numberFor = (schema: Fields): number => {
  const above = numberIn(schema, "exclusiveMinimum")
  const least = numberIn(schema, "minimum") ?? (above === undefined ? undefined : Math.floor(above) + 1)
  const most = numberIn(schema, "maximum")
  return least ?? Math.min(1, most ?? 1)
}

type Fields = { readonly [name: string]: unknown }

const isList = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value)

const isRecord = (value: unknown): value is Fields => typeof value === "object" && value !== null && !isList(value)

const numberIn = (schema: Fields, name: string): number | undefined => {
  const value = schema[name]
  return typeof value === "number" && Number.isFinite(value) ? value : undefined
}

const jsonOf = (value: unknown): Json => {
  if (isList(value)) return value.map(jsonOf)
  if (isRecord(value)) return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, jsonOf(inner)]))
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null
}
