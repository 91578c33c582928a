/** Says what is wrong with an input: the path of the field, as one writes it in JavaScript, and why. */
import { SchemaIssue } from "effect"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/**
 * All that is wrong at once would drown the first: the first is told. `field` is empty for the whole input; `within` is where
 * in the input that part stands which was checked.
 */
export const firstIssue = (
  issue: SchemaIssue.Issue,
  within: ReadonlyArray<PropertyKey> = []
): { readonly field: string; readonly reason: string } => {
  const first = format(issue).issues[0]
  const keys = [...within, ...(first?.path ?? []).map((part) => (typeof part === "object" ? part.key : part))]
  const field = keys.reduce<string>((path, key) => {
    if (typeof key === "number") return `${path}[${key}]`
    return path === "" ? String(key) : `${path}.${String(key)}`
  }, "")
  return { field, reason: first?.message ?? "invalid" }
}
