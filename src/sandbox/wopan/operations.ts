/** What the emulated drive can be asked (protocols 5.3 and 5.4). Pure: it is given the account and what is in it. */
import { Option, Schema } from "effect"
import type { Call, Data, Refusal } from "./dispatcher.ts"
import { fileOf, type File, type Folder, folderOf } from "./tree.ts"
import type { WopanCall } from "./wopanFault.ts"

/** How each operation is counted, and struck by faults. */
const calls: Readonly<Record<string, WopanCall>> = {
  PcWebLogin: "login",
  PcLoginVerifyCode: "login",
  AppRefreshToken: "refresh",
  AppQueryUser: "user",
  QueryAllFiles: "list",
  GetDownloadUrl: "download",
  GetDownloadUrlV2: "download"
}

export const callOf = (operation: string): WopanCall => calls[operation] ?? "other"

export interface Drive {
  readonly account: string
  readonly tree: Folder
  /** Where a file can be had. */
  readonly addressOf: (fid: string) => string
}

/** Of an account that has shown its token. */
export const answer = ({ operation, params }: Call, drive: Drive): Data | Refusal => {
  switch (operation) {
    case "AppQueryUser":
      return sealed({
        userId: "130****0000",
        headUrl: "",
        userName: drive.account,
        sex: "0",
        birthday: "",
        isModify: "0",
        isHeadModify: "0",
        isSetPassword: "1",
        registerTime: "20220101000000"
      })
    case "QueryAllFiles":
      return list(params, drive)
    case "GetDownloadUrl":
    case "GetDownloadUrlV2":
      return addresses(operation, params, drive)
    case "QueryCloudUsageInfo":
      return sealed({ usageInfo: usageOf(drive.tree), vipLevel: "0", expireTime: "" })
    default:
      return { code: "1000", reason: `the sandbox's drive does not know ${operation.slice(0, 64)}` }
  }
}

const sealed = (value: unknown): Data => ({ _tag: "Sealed", value })
const wrong = (reason: string): Refusal => ({ code: "1000", reason })

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
  if (asked.spaceType !== "0") return wrong("the sandbox's drive has the personal space only")
  const folder = folderOf(tree, asked.parentDirectoryId)
  if (folder === undefined) return wrong("the directory does not exist")
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

/** A size is sometimes a text upstream: of every other file here. */
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

const decodeFids = Schema.decodeUnknownOption(
  Schema.Struct({ fidList: Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(100)) })
)

const addresses = (operation: string, params: Call["params"], { addressOf, tree }: Drive): Data | Refusal => {
  const asked = Option.getOrUndefined(decodeFids(params))
  if (asked === undefined) return wrong("fidList is missing")
  if (asked.fidList.some((fid) => fileOf(tree, fid) === undefined)) return wrong("the file does not exist")
  const list = asked.fidList.map((fid) => ({ fid, downloadUrl: addressOf(fid) }))
  return sealed(operation === "GetDownloadUrlV2" ? { type: 1, list } : list)
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

const bytesIn = (folder: Folder): number =>
  folder.files.reduce((sum, { size }) => sum + size, 0) + folder.folders.reduce((sum, inner) => sum + bytesIn(inner), 0)
