/** How a command is told a secret: never as an argument, which every user of the machine can read. */
import { Effect, Option, Redacted, Schema, Stdio, Stream, Terminal } from "effect"
import { Prompt } from "effect/cli"

/** A pipe ended before it had told all. */
export class InputMissing extends Schema.TaggedError<InputMissing>()("InputMissing", { what: Schema.String }) {
  override get message() {
    return `${this.what}: expected on a line of standard input`
  }
}

/** Asked for one after the other on a terminal, without echo; from a pipe a line for each, and no more is read than that. */
export const secrets = Effect.fnUntraced(function* (questions: ReadonlyArray<string>) {
  const { stdinIsTerminal } = yield* Stdio.Stdio
  if (yield* stdinIsTerminal) return yield* Effect.forEach(questions, (message) => hidden(message))
  return yield* piped(questions)
})

/** Whoever leaves the question ends the command. `flawOf` is asked before the answer is taken. */
export const hidden = (message: string, flawOf: (given: Redacted.Redacted) => string | undefined = () => undefined) =>
  Prompt.run(
    Prompt.Hidden({
      message,
      validate: (text) => {
        const flaw = flawOf(Redacted.make(text))
        return flaw === undefined ? Effect.succeed(text) : Effect.fail(flaw)
      }
    })
  ).pipe(Effect.catchIf(Terminal.isQuitError, () => Effect.interrupt))

/** Whoever holds the other end of the pipe open must not hold up the command. */
export const piped = (questions: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { stdin } = yield* Stdio.Stdio
    const lines = yield* stdin.pipe(
      Stream.decodeText,
      Stream.splitLines,
      Stream.take(questions.length),
      Stream.runCollect
    )
    return yield* Effect.forEach(questions, (what, i) =>
      Option.match(Option.fromUndefinedOr(lines[i]), {
        onNone: () => Effect.fail(new InputMissing({ what })),
        onSome: (line) => Effect.succeed(Redacted.make(line))
      })
    )
  }).pipe(Effect.ensuring(Effect.sync(() => void process.stdin.destroy())))
