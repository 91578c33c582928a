/** Takes tokens in from D4's `tokens.json`, and writes them out to one. A running server takes them over within five seconds. */
import { Console, Effect, FileSystem, Layer, Schema } from "effect"
import { Audit } from "../access/Audit.ts"
import { Settings } from "../config/Settings.ts"
import { wopanProvider } from "../domain/Provider.ts"
import { TokenManager } from "../manager/TokenManager.ts"
import { planned } from "../manager/tokenImport.ts"
import * as TokensFile from "../manager/tokensFile.ts"
import * as PrivateFile from "./privateFile.ts"
import { records } from "./layers.ts"

/** What is wrong has been told, each on a line of its own. */
export class ImportRefused extends Schema.TaggedError<ImportRefused>()("ImportRefused", {
  file: Schema.String,
  problems: Schema.Int
}) {
  override get message() {
    const problems = this.problems === 1 ? "1 problem" : `${this.problems} problems`
    return `${this.file}: ${problems}; nothing was imported`
  }
}

/** The file cannot hold tokens. */
export class TokensFileUnusable extends Schema.TaggedError<TokensFileUnusable>()("TokensFileUnusable", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.reason}`
  }
}

/** The file was written, without these. */
export class ExportIncomplete extends Schema.TaggedError<ExportIncomplete>()("ExportIncomplete", {
  missing: Schema.Array(Schema.String)
}) {
  override get message() {
    return `left out, because their secrets cannot be opened or told: ${this.missing.join(", ")}`
  }
}

/** The manager beside a server that may be running. */
export const manager = Layer.unwrap(
  Effect.map(Settings, ({ providers }) => {
    const names = [wopanProvider, ...providers.map(({ name }) => name)]
    return TokenManager.layerWith({ providers: () => names })
  })
).pipe(Layer.provideMerge(records))

export interface Import {
  readonly file: string
  /** Of rows that name none. */
  readonly provider: string
  readonly skipKnown: boolean
  readonly dryRun: boolean
}

/** All of it or nothing. */
export const importFile = Effect.fnUntraced(function* ({ dryRun, file, provider, skipKnown }: Import) {
  const tokens = yield* TokenManager
  const providers = [wopanProvider, ...(yield* Settings).providers.map(({ name }) => name)]
  const { fresh, problems, skipped } = yield* planned(yield* textOf(file), { provider, providers, skipKnown })
  if (problems.length > 0) {
    for (const problem of problems) yield* Console.error(TokensFile.told(file, problem))
    const refused = new ImportRefused({ file, problems: problems.length })
    if (!dryRun) yield* audited("token.import", file, "refused", refused.message)
    return yield* refused
  }

  const known = skipped === 0 ? "" : `; ${skipped} held already`
  if (dryRun) return yield* Console.log(`${counted(fresh.length)} would be imported${known}`)
  yield* tokens.addAll(fresh).pipe(Effect.tapError(({ message }) => audited("token.import", file, "refused", message)))
  yield* audited("token.import", file, "done", `${counted(fresh.length)}${known}`)
  yield* Console.log(`${counted(fresh.length)} imported${known}`)
})

export interface Export {
  readonly file: string
  readonly provider: string
  readonly force: boolean
}

export const exportFile = Effect.fnUntraced(function* ({ file, force, provider }: Export) {
  const tokens = yield* TokenManager
  const held = yield* tokens.list(provider)
  const exported = yield* tokens.export(provider)
  yield* PrivateFile.write(file, TokensFile.render(exported), { force }).pipe(
    Effect.tapError(({ message }) => audited("token.export", provider, "refused", message))
  )
  yield* audited("token.export", provider, "done", `${counted(exported.length)} to ${file}`)
  yield* Console.log(`${counted(exported.length)} of ${provider} written to ${file}: keep it as you keep the tokens`)
  const names = new Set(exported.map(({ name }) => name))
  const missing = held.flatMap(({ name }) => (names.has(name) ? [] : [name]))
  if (missing.length > 0) return yield* new ExportIncomplete({ missing })
})

/** A hundred thousand tokens have room in it. */
const largest = 64 * 1024 * 1024

const textOf = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const { size } = yield* fs.stat(file)
  if (size > largest) return yield* new TokensFileUnusable({ file, reason: "it is larger than 64 MiB" })
  const bytes = yield* fs.readFile(file)
  return yield* Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    catch: () => new TokensFileUnusable({ file, reason: "it is not UTF-8" })
  })
})

const counted = (n: number) => (n === 1 ? "1 token" : `${n} tokens`)

const audited = (action: string, subject: string, result: "done" | "refused", detail: string) =>
  Audit.use((audit) => audit.record({ actor: "command line", action, subject, result, detail }))
