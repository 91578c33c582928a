/** Reads what a gateway answered, as a client would. */
import { Cause, Effect } from "effect"
import type { Answer, RequestBody } from "../../src/upstream/ModelClient.ts"

export const bodyOf = (json: object): RequestBody => ({
  bytes: new TextEncoder().encode(JSON.stringify(json)),
  json: { ...json }
})

/** All of it as text; fails as the answer does. */
export const readAll = (answer: Answer) =>
  Effect.gen(function* () {
    const decoder = new TextDecoder()
    if (answer._tag === "Whole") return decoder.decode(answer.body)
    let text = decoder.decode(answer.first)
    while (true) {
      const next = yield* Effect.catchIf(answer.next, Cause.isDone, () => Effect.undefined)
      if (next === undefined) return text
      text += decoder.decode(next)
    }
  })

interface Choice {
  readonly message?: { readonly content: string | null }
  readonly delta?: { readonly content?: string | null }
}

/** What the model said in an answer on OpenAI's wire, whole or streamed. */
export const textOf = (wire: string): string => {
  const isStream = wire.startsWith("data:")
  const parts = isStream
    ? wire.split("\n\n").flatMap((event) => (event.startsWith("data: {") ? [event.slice("data: ".length)] : []))
    : [wire]
  return parts
    .flatMap((part) => (JSON.parse(part) as { readonly choices: ReadonlyArray<Choice> }).choices)
    .map(({ delta, message }) => delta?.content ?? message?.content ?? "")
    .join("")
}
