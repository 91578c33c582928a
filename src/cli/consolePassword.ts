/** Where the console's first password is told: in a file that only its owner can read, and never in a log. */
import { Effect, FileSystem, Redacted } from "effect"
import { join } from "node:path"
import { ConsoleAccount } from "../access/ConsoleAccount.ts"
import { Settings } from "../config/Settings.ts"

export const passwordFile = (dataFolder: string) => join(dataFolder, "console-password")

/** Makes the password at the first start. Answers with the file that holds it, as long as it is there and true. */
export const told = Effect.gen(function* () {
  const { dataFolder } = yield* Settings
  const account = yield* ConsoleAccount
  const fs = yield* FileSystem.FileSystem
  const file = passwordFile(dataFolder)
  const made = yield* account.ensure
  if (made !== undefined || !(yield* account.isMade)) yield* fs.remove(file, { force: true })
  if (made !== undefined) {
    yield* fs.writeFileString(file, `${Redacted.value(made)}\n`, { mode: 0o600, flag: "wx" })
  }
  return (yield* fs.exists(file)) ? file : undefined
})
