/** Where the console's first password is told: in a file that only its owner can read, and never in a log. */
import { Effect, FileSystem, Redacted } from "effect"
import { join } from "node:path"
import { ConsoleAccount } from "../access/ConsoleAccount.ts"
import { Settings } from "../config/Settings.ts"

export const passwordFile = (dataFolder: string) => join(dataFolder, "console-password")

/** Makes the password at the first start. Answers with the file that holds it, as long as it is there. */
export const told = Effect.gen(function* () {
  const { dataFolder } = yield* Settings
  const fs = yield* FileSystem.FileSystem
  const file = passwordFile(dataFolder)
  const made = yield* ConsoleAccount.use((account) => account.ensure)
  if (made !== undefined) {
    yield* fs.remove(file, { force: true })
    yield* fs.writeFileString(file, `${Redacted.value(made)}\n`, { mode: 0o600, flag: "wx" })
  }
  return (yield* fs.exists(file)) ? file : undefined
})
