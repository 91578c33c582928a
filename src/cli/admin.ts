/** Sets the console's password. */
import { Console, Effect, FileSystem, Redacted, Stdio } from "effect"
import { Audit } from "../access/Audit.ts"
import { ConsoleAccount, PasswordRefused } from "../access/ConsoleAccount.ts"
import { flawOf } from "../access/password.ts"
import { Settings } from "../config/Settings.ts"
import { passwordFile } from "./consolePassword.ts"
import { hidden, piped } from "./secretInput.ts"

/** Asks twice on a terminal; from a pipe takes the first line. */
export const password = Effect.gen(function* () {
  const account = yield* ConsoleAccount
  const fs = yield* FileSystem.FileSystem
  const { dataFolder } = yield* Settings
  const given = (yield* Stdio.Stdio.use(({ stdinIsTerminal }) => stdinIsTerminal)) ? yield* asked : yield* line
  const told = (result: "done" | "refused", detail: string) =>
    Audit.use((audit) =>
      audit.record({ actor: "command line", action: "password.change", subject: "console", result, detail })
    )
  yield* account.setPassword(given).pipe(Effect.tapError((error) => told("refused", error.message)))
  yield* told("done", "all sessions are ended")
  const file = passwordFile(dataFolder)
  // It holds a password that is none any more.
  yield* fs
    .remove(file, { force: true })
    .pipe(Effect.catch((error) => Console.error(`${file} could not be removed: ${error.message}`)))
  yield* Console.log("The console has a new password; all its sessions have ended")
})

const asked = Effect.gen(function* () {
  const first = yield* hidden("New password", flawOf)
  const second = yield* hidden("Once more")
  if (Redacted.value(first) !== Redacted.value(second)) {
    return yield* new PasswordRefused({ reason: "the two are not the same" })
  }
  return first
})

const line = Effect.flatMap(
  Effect.mapError(piped(["password"]), () => new PasswordRefused({ reason: "expected a line on standard input" })),
  ([password]) => (password === undefined ? Effect.die("no answer to a question") : Effect.succeed(password))
)
