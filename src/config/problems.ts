/** Everything that is wrong with an input, not only the first: a person who mends a file wants to see it once. */
import type { SchemaIssue } from "effect"
import { firstIssue } from "../domain/firstIssue.ts"

/** `field` is the path as one writes it in JavaScript, such as `providers[0].rpm`. Neither part ever holds a secret. */
export interface Problem {
  readonly field: string
  readonly reason: string
  /** The variable that is not set, when that is all that is wrong: then the file can be right. */
  readonly variable?: string
}

/**
 * One problem for each place that is wrong. A member of a union that is told by a literal (the union is annotated with the
 * literal's key as its `discriminator`) is judged by that literal, not by all the members that it is not.
 */
export const problemsOf = (
  issue: SchemaIssue.Issue,
  within: ReadonlyArray<PropertyKey> = []
): ReadonlyArray<Problem> => {
  switch (issue._tag) {
    case "Composite":
      return issue.issues.flatMap((part) => problemsOf(part, within))
    case "Pointer":
      return problemsOf(issue.issue, [...within, ...issue.path])
    case "Filter":
      return issue.issue._tag === "InvalidValue" ? [told(issue, within)] : problemsOf(issue.issue, within)
    case "AnyOf": {
      if (issue.issues.length > 0) return issue.issues.flatMap((part) => problemsOf(part, within))
      const discriminator = issue.ast.annotations?.["discriminator"]
      return [told(issue, typeof discriminator === "string" ? [...within, discriminator] : within)]
    }
    default:
      return [told(issue, within)]
  }
}

const told = (issue: SchemaIssue.Issue, within: ReadonlyArray<PropertyKey>): Problem => {
  const { field, reason } = firstIssue(issue, within)
  return { field: field === "" ? "(file)" : field, reason }
}
