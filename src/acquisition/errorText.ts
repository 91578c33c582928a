/** Error texts as they are compared and kept: without what differs from one occurrence to the next. */

/** Longest text that is compared and kept. */
const maxLength = 200
/** Longest text that is read: the rest of a very long one tells nothing new. */
const maxRead = 4_000

/**
 * At most 200 characters of the text, without times, numbers, what looks like an identifier, and an address's user, query
 * and fragment. Words of 32 characters, and of 16 with a digit, go as identifiers: so do most secrets that slip into an
 * error, but not a short one, which nothing tells from a word.
 */
export const normalise = (text: string): string =>
  text
    .slice(0, maxRead)
    .toLowerCase()
    .replace(/https?:\/\/[^\s"'<>)]+/g, withoutIds)
    .replace(/\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?/g, "<time>")
    .replace(/\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\b/g, "<time>")
    .replace(/[0-9a-z+/=_.-]{16,}/g, (word) => (isOpaque(word) ? "<id>" : word))
    .replace(/\b(?=[a-f]*\d)[0-9a-f]{8,}\b/g, "<id>")
    .replace(/\d+(?:[.,]\d+)*/g, "#")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, maxLength)

/** Long, and with a digit in it or longer than words are. */
const isOpaque = (word: string) => word.length >= 32 || /\d/.test(word)

/** Keeps of an address what is the same for every call. */
const withoutIds = (url: string) =>
  url
    .replace(/[?#].*$/, "")
    .replace(/\/\/[^/]*@/, "//")
    .split("/")
    .map((part, i) => (i > 2 && (/\d/.test(part) || part.length > 24) ? "<id>" : part))
    .join("/")

/** Sørensen–Dice over pairs of neighbouring characters: 1 for equal texts, 0 for texts with no pair in common. */
export const similarity = (a: string, b: string): number => {
  if (a === b) return 1
  if (a.length < 2 || b.length < 2) return 0
  const pairs = new Map<string, number>()
  for (let i = 0; i < a.length - 1; i++) {
    const pair = a.slice(i, i + 2)
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1)
  }
  let shared = 0
  for (let i = 0; i < b.length - 1; i++) {
    const pair = b.slice(i, i + 2)
    const left = pairs.get(pair) ?? 0
    if (left > 0) {
      pairs.set(pair, left - 1)
      shared += 1
    }
  }
  return (2 * shared) / (a.length + b.length - 2)
}
