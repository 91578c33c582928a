/** A part of a JSON text as it is written. */
import { fieldSpans } from "../domain/jsonSpans.ts"

/**
 * The text of a key's value; of a key that is there twice the last, as `JSON.parse` takes it. `text` must be the text of an
 * object that `JSON.parse` has accepted.
 */
export const rawValue = (text: string, key: string): string | undefined => {
  const last = fieldSpans(text, key).at(-1)
  return last && text.slice(...last)
}
