/** Reads what the drive says of files and folders (protocols 5.4). Pure. */
import { Option, Schema } from "effect"
import type { WopanEntry, WopanPage } from "../WopanClient.ts"

/** The most that the upstream answers with; it says no total, so a page that is not full is the last. */
export const pageSize = 100

const NumberOrText = Schema.Union([Schema.Finite, Schema.String])
const maybe = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const decodePage = Schema.decodeUnknownOption(Schema.Struct({ files: maybe(Schema.Array(Schema.Unknown)) }))
const decodeKind = Schema.decodeUnknownOption(Schema.Struct({ type: NumberOrText }))
const decodeEntry = Schema.decodeUnknownOption(
  Schema.Struct({
    id: Schema.NonEmptyString,
    fid: maybe(Schema.String),
    name: Schema.NonEmptyString,
    createTime: maybe(NumberOrText),
    fileType: maybe(NumberOrText)
  })
)
const Size = Schema.Union([Schema.Finite, Schema.FiniteFromString]).check(Schema.isGreaterThanOrEqualTo(0))
const decodeSize = Schema.decodeUnknownOption(Schema.Struct({ size: Size }))

/**
 * Undefined of what is no listing, or holds a file or folder without what it is known by: to leave that out would hide it.
 * What is neither file nor folder is left out.
 */
export const pageOf = (data: unknown): WopanPage | undefined => {
  const page = Option.getOrUndefined(decodePage(data))
  if (page === undefined) return undefined
  const files = page.files ?? []
  const entries: Array<WopanEntry> = []
  for (const raw of files) {
    const kind = Option.getOrUndefined(decodeKind(raw))
    if (kind === undefined) return undefined
    const type = typeOf(String(kind.type))
    if (type === undefined) continue
    const entry = entryOf(raw, type)
    if (entry === undefined) return undefined
    entries.push(entry)
  }
  return { entries, isLast: files.length < pageSize }
}

const typeOf = (type: string): WopanEntry["type"] | undefined =>
  type === "0" ? "folder" : type === "1" ? "file" : undefined

const entryOf = (raw: unknown, type: WopanEntry["type"]): WopanEntry | undefined => {
  const entry = Option.getOrUndefined(decodeEntry(raw))
  if (entry === undefined) return undefined
  const { createTime, fid, fileType, id, name } = entry
  const common = { id, name, type, createdAt: createdAtOf(String(createTime ?? "")) }
  if (type === "folder") return { ...common, fid: undefined, size: 0, fileType: "folder" }
  if (fid === undefined || fid === null || fid === "") return undefined
  const size = Option.getOrUndefined(decodeSize(raw))?.size ?? 0
  return { ...common, fid, size, fileType: fileTypes.get(String(fileType ?? "")) ?? "other" }
}

const fileTypes: ReadonlyMap<string, string> = new Map([
  ["1", "image"],
  ["2", "video"],
  ["3", "audio"],
  ["4", "document"]
])

/** From `YYYYMMDDHHMMSS`. */
export const createdAtOf = (text: string): string => {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text) ?? []
  return year === undefined ? "" : `${year}-${month}-${day} ${hour}:${minute}:${second}`
}
