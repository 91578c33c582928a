import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  bytesIn,
  entriesIn,
  fileOf,
  type Folder,
  newFile,
  newFolder,
  treeOf,
  wayTo,
  withFile,
  withFolder,
  without
} from "../../../src/sandbox/wopan/tree.ts"

interface Found {
  readonly path: string
  readonly id: string
  readonly fid: string | undefined
  readonly type: number
}

const entriesOf = (folder: Folder, above = ""): ReadonlyArray<Found> => [
  ...folder.folders.flatMap((inner) => {
    const path = `${above}${inner.name}`
    return [{ path, id: inner.id, fid: undefined, type: 0 }, ...entriesOf(inner, `${path}/`)]
  }),
  ...folder.files.map(({ fid, id, name, type }) => ({ path: `${above}${name}`, id, fid, type }))
]
const pathsOf = (folder: Folder) => entriesOf(folder).map(({ path }) => path)

describe("the tree of an account", () => {
  const mine = entriesOf(treeOf("seed", "account-1"))
  const theirs = entriesOf(treeOf("seed", "account-2"))

  it("holds over 1,000 files, a folder of more than 200, one three levels deep, an empty one, and odd names", () => {
    assert.isAtLeast(mine.filter(({ type }) => type === 1).length, 1_000)
    assert.isAbove(mine.filter(({ path }) => /^photos\/[^/]+$/.test(path)).length, 200)
    const paths = mine.map(({ path }) => path)
    assert.includeMembers(paths, [
      "photos/2025/08/beach-100.heic",
      "empty",
      "视频/家庭 电影.mkv",
      "music/track 001.mp3"
    ])
    assert.includeMembers(paths, ["documents/100 % sure+certain.txt", `documents/it's "quoted".md`])
    assert.isFalse(paths.some((path) => path.startsWith("empty/")))
    assert.deepStrictEqual(
      mine.filter(({ type }) => type > 1).map(({ type }) => type),
      [7, 9]
    )
  })

  it("is the same for a seed, and shares paths but no id with another account's", () => {
    assert.deepStrictEqual(entriesOf(treeOf("seed", "account-1")), mine)
    const ids = [...mine, ...theirs].flatMap(({ fid, id }) => [id, ...(fid === undefined ? [] : [fid])])
    assert.strictEqual(new Set(ids).size, ids.length)
    const paths = new Set(theirs.map(({ path }) => path))
    assert.deepStrictEqual(
      mine.map(({ path }) => path).filter((path) => !paths.has(path)),
      ["only-account-1.txt"]
    )
  })

  it("finds each file and folder by its id", () => {
    const tree = treeOf("seed", "account-1")
    assert.strictEqual(entriesIn(tree), mine.length)
    for (const { fid, id, path } of mine.filter((_, i) => i % 50 === 0 || i > 1_000)) {
      if (fid !== undefined) assert.strictEqual(fileOf(tree, fid)?.id, id)
      else {
        const way = wayTo(tree, id) ?? []
        assert.strictEqual(way.map(({ name }) => name).join("/"), `/${path}`)
      }
    }
    assert.isUndefined(fileOf(tree, "synthetic"))
    assert.isUndefined(wayTo(tree, "synthetic"))
  })
})

const Change = Schema.Struct({
  what: Schema.Literals(["file", "folder", "remove"]),
  path: Schema.Array(Schema.Literals(["a", "b"])).check(Schema.isMinLength(1), Schema.isMaxLength(3))
})
const Changes = Schema.Array(Change).check(Schema.isMaxLength(12))

/** What is at each path. */
type Model = Map<string, "file" | "folder">

/** Whether the change is made. */
const modelled = (model: Model, { path, what }: typeof Change.Type): boolean => {
  const at = path.join("/")
  const above = path.slice(0, -1).map((_, i) => path.slice(0, i + 1).join("/"))
  if (what === "remove") {
    if (!model.has(at)) return false
    for (const known of model.keys()) if (known === at || known.startsWith(`${at}/`)) model.delete(known)
    return true
  }
  if (above.some((folder) => model.get(folder) === "file")) return false
  if (what === "folder" ? model.has(at) : model.get(at) === "folder") return false
  for (const folder of above) model.set(folder, "folder")
  model.set(at, what)
  return true
}

describe("a change to a tree", () => {
  const start: Folder = { name: "", id: "0", createTime: "", folders: [], files: [] }
  const make = (path: string) => newFolder("seed", "account", path, "20260101000000")
  const applied = (tree: Folder, { path, what }: typeof Change.Type) => {
    const file = { ...newFile("seed", "account", path.join("/"), ""), size: 1 }
    if (what === "file") return withFile(tree, path, file, make)
    return what === "folder" ? withFolder(tree, path, make) : without(tree, path)
  }

  it.effect.prop("does what it would do to a map of paths", [Changes], ([changes]) =>
    Effect.sync(() => {
      const model: Model = new Map()
      let tree = start
      for (const change of changes) {
        const next = applied(tree, change)
        assert.strictEqual(next !== undefined, modelled(model, change))
        tree = next ?? tree
        assert.deepStrictEqual(pathsOf(tree).toSorted(), [...model.keys()].toSorted())
        assert.strictEqual(entriesIn(tree), model.size)
        assert.strictEqual(bytesIn(tree), [...model.values()].filter((what) => what === "file").length)
        const ids = entriesOf(tree).map(({ id }) => id)
        assert.strictEqual(new Set(ids).size, ids.length)
      }
    })
  )
})
