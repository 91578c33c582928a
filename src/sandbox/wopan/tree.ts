/** What is in the emulated drive of an account: a folder tree of over 1,000 files, the same for each seed. Pure. */
import { between, hex } from "../seed.ts"

export interface File {
  readonly name: string
  readonly id: string
  readonly fid: string
  readonly size: number
  /** `YYYYMMDDHHMMSS` */
  readonly createTime: string
  /** Of a file 1; other numbers are what clients do not know. */
  readonly type: 1 | 7 | 9
  readonly fileType: "1" | "2" | "3" | "4" | "5"
}

export interface Folder {
  readonly name: string
  readonly id: string
  readonly createTime: string
  readonly folders: ReadonlyArray<Folder>
  readonly files: ReadonlyArray<File>
}

export const rootId = "0"

/** The whole drive of an account. */
export const treeOf = (seed: string, account: string): Folder => {
  const id = (path: string) => hex(32, seed, "wopan", account, path)
  const time = (path: string) => {
    const two = (most: number, what: string) => String(between(1, most, seed, what, path)).padStart(2, "0")
    return `20${between(22, 26, seed, "year", path)}${two(12, "month")}${two(28, "day")}${two(23, "hour")}${two(59, "minute")}00`
  }
  const file = (folder: string, name: string, type: File["type"] = 1): File => ({
    name,
    id: id(`${folder}/${name}`),
    fid: `fid-${hex(40, seed, "fid", account, `${folder}/${name}`)}`,
    size: between(0, 5_000_000, seed, "size", account, `${folder}/${name}`),
    createTime: time(`${folder}/${name}`),
    type,
    fileType: fileTypeOf(name)
  })
  const folder = (path: string, files: ReadonlyArray<string>, folders: ReadonlyArray<Folder> = []): Folder => ({
    name: path.slice(path.lastIndexOf("/") + 1),
    id: id(path),
    createTime: time(path),
    folders,
    files: files.map((name) => file(path, name))
  })
  const photos = folder("photos", numbered(250, "IMG_", ".jpg"), [
    folder("photos/2025", numbered(200, "holiday ", ".jpg"), [
      folder("photos/2025/08", numbered(100, "beach-", ".heic"))
    ])
  ])
  return {
    name: "",
    id: rootId,
    createTime: "",
    folders: [
      folder("documents", [...numbered(100, "report-", ".pdf"), "100 % sure+certain.txt", `it's "quoted".md`]),
      folder("empty", []),
      folder("music", numbered(200, "track ", ".mp3")),
      photos,
      folder("视频", [...numbered(150, "片段", ".mp4"), "家庭 电影.mkv"])
    ],
    files: [
      file("", "readme.txt"),
      file("", `only-${account}.txt`),
      // What clients do not know, and must pass over.
      file("", "shared-album", 7),
      file("", "secret-space", 9)
    ]
  }
}

const numbered = (count: number, before: string, after: string) =>
  Array.from({ length: count }, (_, i) => `${before}${String(i + 1).padStart(3, "0")}${after}`)

const fileTypeOf = (name: string): File["fileType"] => {
  if (/\.(jpg|heic|png)$/.test(name)) return "1"
  if (/\.(mp4|mkv)$/.test(name)) return "2"
  if (/\.mp3$/.test(name)) return "3"
  return /\.(pdf|txt|md)$/.test(name) ? "4" : "5"
}

/** The folder of an id, wherever it is. */
export const folderOf = (tree: Folder, id: string): Folder | undefined => {
  if (tree.id === id) return tree
  for (const folder of tree.folders) {
    const found = folderOf(folder, id)
    if (found !== undefined) return found
  }
  return undefined
}

/** The file of an address, wherever it is. */
export const fileOf = (tree: Folder, fid: string): File | undefined => {
  const here = tree.files.find((file) => file.fid === fid)
  if (here !== undefined) return here
  for (const folder of tree.folders) {
    const found = fileOf(folder, fid)
    if (found !== undefined) return found
  }
  return undefined
}

/** With a file at that path, and the folders that it takes; in the place of one that is there. */
export const withFile = (
  tree: Folder,
  path: ReadonlyArray<string>,
  file: File,
  idOf: (path: string) => string
): Folder =>
  changed(tree, path.slice(0, -1), "", idOf, (folder) => ({
    ...folder,
    files: [...folder.files.filter(({ name }) => name !== file.name), file]
  }))

/** Without the file or folder at that path; the same when there is none. */
export const without = (tree: Folder, path: ReadonlyArray<string>): Folder => {
  const [first, ...rest] = path
  if (first === undefined) return tree
  if (rest.length === 0) {
    return {
      ...tree,
      files: tree.files.filter(({ name }) => name !== first),
      folders: tree.folders.filter(({ name }) => name !== first)
    }
  }
  return {
    ...tree,
    folders: tree.folders.map((folder) => (folder.name === first ? without(folder, rest) : folder))
  }
}

const changed = (
  tree: Folder,
  path: ReadonlyArray<string>,
  at: string,
  idOf: (path: string) => string,
  change: (folder: Folder) => Folder
): Folder => {
  const [first, ...rest] = path
  if (first === undefined) return change(tree)
  const here = `${at}/${first}`
  const known = tree.folders.find(({ name }) => name === first)
  const folder = known ?? { name: first, id: idOf(here), createTime: "20260101000000", folders: [], files: [] }
  const next = changed(folder, rest, here, idOf, change)
  return { ...tree, folders: [...tree.folders.filter(({ name }) => name !== first), next] }
}
