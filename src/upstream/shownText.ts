/** What of an upstream's own words may be shown: one plain, short sentence, or nothing. Never a page, never a secret. */

const longest = 300

/** Longer runs of such characters are taken for a secret; words, hosts and model names are shorter. */
const secretLike = /[\w+/=~-]{24,}/g

const markup = /<[a-z!/?]/i

export const shownText = (text: string | undefined): string | undefined => {
  if (text === undefined || markup.test(text)) return undefined
  const plain = text
    .slice(0, 4 * longest)
    .replace(/[\s\p{Cc}]+/gu, " ")
    .replace(secretLike, "…")
    .trim()
  if (plain === "") return undefined
  return plain.length > longest ? `${plain.slice(0, longest)}…` : plain
}
