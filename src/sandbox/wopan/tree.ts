/** What is in the emulated drive of an account: a folder tree of over 1,000 files, the same for each seed. Pure. */
import { between, digest, hex } from "../seed.ts"

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

/** The whole drive of an account: the paths are those of every account, all but one, and the ids and addresses its own. */
export const treeOf = (seed: string, account: string): Folder => {
  const file = (folder: string, name: string, type: File["type"] = 1): File => {
    const path = folder === "" ? name : `${folder}/${name}`
    return { ...newFile(seed, account, path, timeOf(seed, path)), size: sizeOf(seed, path), type }
  }
  const folder = (path: string, files: ReadonlyArray<string>, folders: ReadonlyArray<Folder> = []): Folder => ({
    ...newFolder(seed, account, path, timeOf(seed, path)),
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

/** An empty one. */
export const newFile = (seed: string, account: string, path: string, createTime: string): File => ({
  name: nameOf(path),
  id: hex(32, seed, "wopan file", account, path),
  fid: `fid-${hex(40, seed, "wopan fid", account, path)}`,
  size: 0,
  createTime,
  type: 1,
  fileType: fileTypeOf(path)
})

export const newFolder = (seed: string, account: string, path: string, createTime: string): Folder => ({
  name: nameOf(path),
  id: hex(32, seed, "wopan folder", account, path),
  createTime,
  folders: [],
  files: []
})

const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1)

const sizeOf = (seed: string, path: string) => between(0, 5_000_000, seed, "wopan size", path)

/** Some minute of the years from 2022 on. */
const timeOf = (seed: string, path: string): string => {
  const drawn = digest(seed, "wopan time", path)
  const two = (at: number, first: number, count: number) => String(first + ((drawn[at] ?? 0) % count)).padStart(2, "0")
  return `20${two(0, 22, 4)}${two(1, 1, 12)}${two(2, 1, 28)}${two(3, 0, 24)}${two(4, 0, 60)}00`
}

const numbered = (count: number, before: string, after: string) =>
  Array.from({ length: count }, (_, i) => `${before}${String(i + 1).padStart(3, "0")}${after}`)

const fileTypeOf = (name: string): File["fileType"] => {
  if (/\.(jpg|heic|png)$/.test(name)) return "1"
  if (/\.(mp4|mkv)$/.test(name)) return "2"
  if (name.endsWith(".mp3")) return "3"
  return /\.(pdf|txt|md)$/.test(name) ? "4" : "5"
}

/** The folder of an id, wherever it is, behind those that it is in, the root first. */
export const wayTo = (tree: Folder, id: string): ReadonlyArray<Folder> | undefined => {
  if (tree.id === id) return [tree]
  for (const folder of tree.folders) {
    const way = wayTo(folder, id)
    if (way !== undefined) return [tree, ...way]
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

export const entriesIn = (folder: Folder): number =>
  folder.folders.reduce((sum, inner) => sum + entriesIn(inner), folder.folders.length + folder.files.length)

export const bytesIn = (folder: Folder): number =>
  folder.folders.reduce(
    (sum, inner) => sum + bytesIn(inner),
    folder.files.reduce((sum, { size }) => sum + size, 0)
  )

/** Makes the folder of a path that is not there. */
export type MakeFolder = (path: string) => Folder

/** With a file at that path, in the place of one that is there, and the folders that it takes; undefined if a folder is. */
export const withFile = (tree: Folder, path: ReadonlyArray<string>, file: File, make: MakeFolder): Folder | undefined =>
  changed(tree, path.slice(0, -1), make, (folder) =>
    folder.folders.some(({ name }) => name === file.name)
      ? undefined
      : { ...folder, files: [...folder.files.filter(({ name }) => name !== file.name), file] }
  )

/** With a folder at that path, and those that it takes; undefined when something is there. */
export const withFolder = (tree: Folder, path: ReadonlyArray<string>, make: MakeFolder): Folder | undefined =>
  changed(tree, path.slice(0, -1), make, (folder) =>
    isTaken(folder, path.at(-1) ?? "") ? undefined : { ...folder, folders: [...folder.folders, make(path.join("/"))] }
  )

/** Without the file or folder at that path; undefined when there is none. */
export const without = (tree: Folder, path: ReadonlyArray<string>): Folder | undefined => {
  const [first = "", ...rest] = path
  if (!isTaken(tree, first)) return undefined
  if (rest.length === 0) {
    return {
      ...tree,
      files: tree.files.filter(({ name }) => name !== first),
      folders: tree.folders.filter(({ name }) => name !== first)
    }
  }
  const known = tree.folders.find(({ name }) => name === first)
  const next = known && without(known, rest)
  return next && replaced(tree, next)
}

const isTaken = ({ files, folders }: Folder, name: string): boolean =>
  files.some((file) => file.name === name) || folders.some((folder) => folder.name === name)

const replaced = (tree: Folder, next: Folder): Folder => ({
  ...tree,
  folders: tree.folders.map((folder) => (folder.id === next.id ? next : folder))
})

/** Changes the folder of a path. Undefined when nothing is changed, or when the path leads through a file. */
const changed = (
  tree: Folder,
  path: ReadonlyArray<string>,
  make: MakeFolder,
  change: (folder: Folder) => Folder | undefined,
  above: ReadonlyArray<string> = []
): Folder | undefined => {
  const [first, ...rest] = path
  if (first === undefined) return change(tree)
  const here = [...above, first]
  const known = tree.folders.find(({ name }) => name === first)
  if (known === undefined && isTaken(tree, first)) return undefined
  const next = changed(known ?? make(here.join("/")), rest, make, change, here)
  if (next === undefined) return undefined
  return known === undefined ? { ...tree, folders: [...tree.folders, next] } : replaced(tree, next)
}
