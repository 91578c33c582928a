/** How a path names a place in a drive: names between slashes, taken as they are, each exactly one folder or file. */

/** In UTF-16 code units, slashes included. */
export const longestPath = 4_096

export type Parsed =
  | { readonly _tag: "Names"; readonly names: ReadonlyArray<string> }
  | { readonly _tag: "Refused"; readonly reason: string }

/** The names from the root down; none for the root. What no name can be is refused rather than read as something else. */
export const parse = (path: string): Parsed => {
  if (path === "") return { _tag: "Names", names: [] }
  if (path.length > longestPath) return refused(`it is longer than ${longestPath} characters`)
  // Two halves of characters would be one and the same name to whoever writes them as UTF-8.
  if (!path.isWellFormed()) return refused("it is not well-formed Unicode")
  if (/\p{Cc}/u.test(path)) return refused("it holds a control character")
  const names = path.split("/")
  if (names.includes("")) return refused("a name in it is empty")
  if (names.includes(".") || names.includes("..")) return refused("“.” and “..” name nothing here")
  return { _tag: "Names", names }
}

const refused = (reason: string): Parsed => ({ _tag: "Refused", reason })

export const pathOf = (names: ReadonlyArray<string>): string => names.join("/")
