/** What an account of the emulated drive can be asked about its files (protocols 5.4). Pure: it is given what is in it. */
import { Option, Schema } from "effect"
import type { Call, Channel, Data, Refusal } from "./dispatcher.ts"
import { bytesIn, type File, fileOf, type Folder, wayTo } from "./tree.ts"
import type { WopanCall } from "./wopanFault.ts"

interface Operation {
  readonly channel: Channel
  /** How it is counted, and struck by faults. */
  readonly call: WopanCall
}

const operations: ReadonlyMap<string, Operation> = new Map([
  ["PcWebLogin", { channel: "api-user", call: "login" }],
  ["PcLoginVerifyCode", { channel: "api-user", call: "login" }],
  ["AppRefreshToken", { channel: "api-user", call: "refresh" }],
  ["AppQueryUser", { channel: "api-user", call: "user" }],
  ["AppLogout", { channel: "api-user", call: "other" }],
  ["QueryAllFiles", { channel: "wohome", call: "list" }],
  ["GetDownloadUrl", { channel: "wohome", call: "download" }],
  ["GetDownloadUrlV2", { channel: "wohome", call: "download" }],
  ["GetSearchDirectory", { channel: "wohome", call: "other" }],
  ["QueryCloudUsageInfo", { channel: "wohome", call: "other" }],
  ["CreateDirectory", { channel: "wohome", call: "other" }]
])

export const callOf = (operation: string): WopanCall => operations.get(operation)?.call ?? "other"

/** Why the channel does not take the operation. */
export const misplaced = (operation: string, channel: Channel): Refusal | undefined =>
  operations.get(operation)?.channel === channel
    ? undefined
    : wrong(`header.key: the sandbox's ${channel} does not know ${operation.slice(0, 64)}`)

/** The phone number of an account, as much of it as is told. */
export const userIdOf = (account: string): string => `130****000${account.at(-1)}`

export interface Drive {
  readonly account: string
  readonly tree: Folder
  /** Where a file can be had. */
  readonly addressOf: (fid: string) => string
}

/** Of an account that has shown its token. */
export const answer = ({ operation, params }: Call, drive: Drive): Data | Refusal => {
  switch (operation) {
    case "QueryAllFiles":
      return list(params, drive)
    case "GetDownloadUrl":
    case "GetDownloadUrlV2":
      return addresses(operation, params, drive)
    case "GetSearchDirectory":
      return directories(params, drive)
    case "QueryCloudUsageInfo":
      return params["phoneNum"] === userIdOf(drive.account)
        ? sealed({ usageInfo: usageOf(drive.tree), vipLevel: "0", expireTime: "" })
        : wrong("phoneNum: it is not the userId that AppQueryUser tells")
    default:
      return wrong("the sandbox's drive does not do that")
  }
}

const sealed = (value: unknown): Data => ({ _tag: "Sealed", value })
const wrong = (reason: string): Refusal => ({ code: "1000", reason })
const noDirectory = wrong("the directory does not exist")

const Listing = Schema.Struct({
  spaceType: Schema.String,
  parentDirectoryId: Schema.String,
  pageNum: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  pageSize: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })),
  sortRule: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 }))
})
const decodeListing = Schema.decodeUnknownOption(Listing)

const list = (params: Call["params"], { tree }: Drive): Data | Refusal => {
  const asked = Option.getOrUndefined(decodeListing(params))
  if (asked === undefined) return wrong("the parameters do not fit QueryAllFiles")
  if (asked.spaceType !== "0") return wrong("spaceType: the sandbox's drive has the personal space only")
  const folder = wayTo(tree, asked.parentDirectoryId)?.at(-1)
  if (folder === undefined) return noDirectory
  const first = asked.pageNum * asked.pageSize
  const entries = sorted(folder, asked.sortRule).slice(first, first + asked.pageSize)
  return sealed({ files: entries, systemDirs: [] })
}

/** Folders go first, as they do upstream. */
const sorted = (folder: Folder, rule: number): ReadonlyArray<Entry> => {
  const folders = folder.folders.map(folderEntry)
  const files = folder.files.map(fileEntry)
  const order = orders[rule]
  return order === undefined ? [...folders, ...files] : [...folders.toSorted(order), ...files.toSorted(order)]
}

const byName = (a: Entry, b: Entry) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
const bySize = (a: Entry, b: Entry) => Number(a.size) - Number(b.size)
const byTime = (a: Entry, b: Entry) => (a.createTime < b.createTime ? -1 : a.createTime > b.createTime ? 1 : 0)
/** By `sortRule`. */
const orders = [
  undefined,
  byName,
  (a: Entry, b: Entry) => byName(b, a),
  bySize,
  (a: Entry, b: Entry) => bySize(b, a),
  byTime,
  (a: Entry, b: Entry) => byTime(b, a)
]

type Entry = ReturnType<typeof fileEntry>

const common = { familyId: 0, creator: "sandbox", shootingTime: "", thumbUrl: "" }

/** A size is sometimes a text upstream: here when it is odd. */
const fileEntry = ({ createTime, fid, fileType, id, name, size, type }: File) => ({
  ...common,
  fid,
  size: (size % 2 === 0 ? size : `${size}`) as number | string,
  createTime,
  name,
  id,
  type: type as number,
  fileType: fileType as string
})

const folderEntry = ({ createTime, id, name }: Folder): Entry => ({
  ...common,
  fid: "0",
  size: 0,
  createTime,
  name,
  id,
  type: 0,
  fileType: "0"
})

const Fids = Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(100))
const decodeAsked = Schema.decodeUnknownOption(Schema.Struct({ fidList: Fids, spaceType: Schema.Literal("0") }))
const decodeAskedV2 = Schema.decodeUnknownOption(Schema.Struct({ fidList: Fids, type: Schema.Literal("1") }))

const addresses = (operation: string, params: Call["params"], { addressOf, tree }: Drive): Data | Refusal => {
  const isSecond = operation === "GetDownloadUrlV2"
  const asked = Option.getOrUndefined<{ readonly fidList: ReadonlyArray<string> }>(
    isSecond ? decodeAskedV2(params) : decodeAsked(params)
  )
  if (asked === undefined) return wrong(`the parameters do not fit ${operation}`)
  if (asked.fidList.some((fid) => fileOf(tree, fid) === undefined)) return wrong("the file does not exist")
  const list = asked.fidList.map((fid) => ({ fid, downloadUrl: addressOf(fid) }))
  return sealed(isSecond ? { type: 1, list } : list)
}

/** The folders on the way to one, itself the last. */
const directories = (params: Call["params"], { tree }: Drive): Data | Refusal => {
  const { directoryId } = params
  const way = typeof directoryId === "string" ? wayTo(tree, directoryId) : undefined
  if (way === undefined) return noDirectory
  const directoryInfo = way.slice(1).map(({ id, name }) => ({ directoryId: id, directoryName: name }))
  return sealed({ directoryInfo, flag: "0" })
}

const decodeCreation = Schema.decodeUnknownOption(
  Schema.Struct({
    spaceType: Schema.Literal("0"),
    parentDirectoryId: Schema.String,
    directoryName: Schema.String.check(Schema.isPattern(/^[^/]+$/u), Schema.isMaxLength(255))
  })
)

/** What `CreateDirectory` is to make. */
export const creationOf = (
  params: Call["params"],
  tree: Folder
): { readonly parent: string; readonly name: string } | Refusal => {
  const asked = Option.getOrUndefined(decodeCreation(params))
  if (asked === undefined) return wrong("the parameters do not fit CreateDirectory")
  const { directoryName, parentDirectoryId } = asked
  return wayTo(tree, parentDirectoryId) === undefined ? noDirectory : { parent: parentDirectoryId, name: directoryName }
}

const usageOf = (tree: Folder) => {
  const bytes = bytesIn(tree)
  return {
    totalSize: "100G",
    usedSize: `${Math.ceil(bytes / 2 ** 20)}M`,
    byteTotalSize: `${100 * 2 ** 30}`,
    byteUsedSize: bytes
  }
}
