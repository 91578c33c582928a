/** Secrets that people may have to copy: every character of an alphabet is as likely as any other. */
import { Effect } from "effect"
import type { SecureRandom } from "effect/crypto"

export const lowerCase = "abcdefghijklmnopqrstuvwxyz0123456789"
export const alphanumeric = `ABCDEFGHIJKLMNOPQRSTUVWXYZ${lowerCase}`
/** Without those that are taken for one another. */
export const legible = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"

export const randomText = (
  random: SecureRandom.SecureRandom["Service"],
  alphabet: string,
  length: number
): Effect.Effect<string> =>
  Effect.gen(function* () {
    // A byte above the last whole multiple would favour the alphabet's first characters.
    const usable = 256 - (256 % alphabet.length)
    let text = ""
    while (text.length < length) {
      for (const byte of yield* random.randomBytes(length * 2)) {
        if (byte < usable && text.length < length) text += alphabet[byte % alphabet.length]
      }
    }
    return text
  })
