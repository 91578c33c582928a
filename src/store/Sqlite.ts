/**
 * The store on one SQLite file, which several processes may open at once. A file that is damaged, newer than this program
 * or another program's is refused and left as it is.
 */
import { Effect, Layer, Schedule, Schema } from "effect"
import { closeSync, mkdirSync, openSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type Backend, fromBackend } from "./backend.ts"
import { slackOf } from "./paging.ts"
import { Store } from "./Store.ts"
import { attempt, type StoreUnavailable } from "./StoreUnavailable.ts"

/** The file cannot serve as a store. Nothing in it was changed. */
export class StoreUnusable extends Schema.TaggedError<StoreUnusable>()("StoreUnusable", {
  filename: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the database ${this.filename} cannot be used: ${this.reason}; it was left untouched`
  }
}

/** "WEIR": tells our file from another program's. */
const applicationId = 0x57454952

/** Each brings the file from its index to the next version. Append only: files in the field have run the earlier ones. */
const migrations = [
  `CREATE TABLE record (
     collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
     PRIMARY KEY (collection, key)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE journal (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, value TEXT NOT NULL) STRICT;
   CREATE INDEX journal_by_name ON journal (name, seq);`
]

/** Milliseconds one statement may hold up the process while another writes; `busy` waits without holding it up. */
const busyTimeout = 2

/** Waits for other writers for about five seconds in all. */
export const busy = Schedule.spaced("20 millis").pipe(
  Schedule.jittered,
  Schedule.upTo({ duration: "5 seconds" }),
  Schedule.setInputType<StoreUnavailable>(),
  Schedule.while(({ input }) => input.detail.includes("database is locked"))
)

/** Opens, or makes, the file; its folder is made readable by its owner only. */
export const layer = (filename: string): Layer.Layer<Store, StoreUnusable> =>
  Layer.effect(
    Store,
    Effect.acquireRelease(open(filename), (db) => Effect.sync(() => db.close())).pipe(
      Effect.map((db) => fromBackend(backend(db)))
    )
  )

const open = (filename: string) =>
  Effect.try({
    try: () => {
      mkdirSync(dirname(filename), { recursive: true, mode: 0o700 })
      // Made for its owner only; SQLite gives its other files the same mode.
      closeSync(openSync(filename, "a", 0o600))
      if (statSync(filename).size > 0) inspect(filename)
      const db = new DatabaseSync(filename, { timeout: 5_000 })
      try {
        // A reservation must outlive a power cut, not only the process.
        db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        migrate(db)
        db.exec(`PRAGMA busy_timeout = ${busyTimeout}`)
        return db
      } catch (cause) {
        db.close()
        throw cause
      }
    },
    catch: (cause) => new StoreUnusable({ filename, reason: cause instanceof Error ? cause.message : String(cause) })
  })

/** Looks without the right to write, so that what we refuse stays as it was to the byte. */
const inspect = (filename: string) => {
  const db = new DatabaseSync(filename, { readOnly: true, timeout: 5_000 })
  try {
    // In one transaction: another process may be making the file at this moment.
    db.exec("BEGIN")
    const version = pragma(db, "user_version")
    const owner = pragma(db, "application_id")
    const tables = db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"]
    if (owner !== applicationId && !(owner === 0 && tables === 0)) throw new Error("it belongs to another program")
    refuseNewer(version)
    const verdict = db.prepare("PRAGMA quick_check(1)").get()?.["quick_check"]
    if (verdict !== "ok") throw new Error(`it is damaged (${String(verdict)})`)
  } finally {
    db.close()
  }
}

const refuseNewer = (version: number) => {
  if (version > migrations.length) {
    throw new Error(`it was written by a newer version (schema ${version}, this program knows ${migrations.length})`)
  }
}

const migrate = (db: DatabaseSync) => {
  db.exec("BEGIN IMMEDIATE")
  const version = pragma(db, "user_version")
  // A newer program may have opened it since it was looked at.
  refuseNewer(version)
  for (const migration of migrations.slice(version)) db.exec(migration)
  db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${migrations.length}; COMMIT`)
}

const pragma = (db: DatabaseSync, name: string) => Number(db.prepare(`PRAGMA ${name}`).get()?.[name])

const backend = (db: DatabaseSync): Backend => {
  const selectOne = db.prepare("SELECT value FROM record WHERE collection = ? AND key = ?")
  const selectAll = db.prepare("SELECT key, value FROM record WHERE collection = ? ORDER BY key")
  const upsert = db.prepare(
    "INSERT INTO record (collection, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
  )
  const remove = db.prepare("DELETE FROM record WHERE collection = ? AND key = ?")
  const insert = db.prepare("INSERT INTO journal (name, value) VALUES (?, ?)")
  const trim = db.prepare(
    `DELETE FROM journal WHERE name = ?1 AND seq <=
       (SELECT seq FROM journal WHERE name = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)`
  )
  const newest = db.prepare("SELECT seq, value FROM journal WHERE name = ? AND seq < ? ORDER BY seq DESC LIMIT ?")
  /** Appended here since the journal was trimmed here; one for each journal. */
  const untrimmed = new Map<string, number>()

  const read = (collection: string, key: string) => textOf(selectOne.get(collection, key)?.["value"])
  const run = <A>(operation: string, f: () => A) => Effect.retry(attempt(operation, f), busy)
  /** One writer at a time, over all processes, from the first read on. */
  const transaction = <A>(f: () => A): A => {
    db.exec("BEGIN IMMEDIATE")
    try {
      const answer = f()
      db.exec("COMMIT")
      return answer
    } catch (cause) {
      if (db.isTransaction) db.exec("ROLLBACK")
      throw cause
    }
  }

  return {
    get: (collection, key) => run(`read ${collection}`, () => read(collection, key)),
    all: (collection) =>
      run(`read ${collection}`, () =>
        selectAll.all(collection).map((row) => [String(row["key"]), String(row["value"])] as const)
      ),
    modify: (collection, key, change) =>
      run(`change ${collection}`, () =>
        transaction(() => {
          const current = read(collection, key)
          const next = change(current)
          if (next === current) return
          if (next === undefined) remove.run(collection, key)
          else upsert.run(collection, key, next)
        })
      ),
    transact: (step) =>
      run("change records", () =>
        transaction(() =>
          step({
            get: read,
            set: (collection, key, text) => {
              if (text === undefined) remove.run(collection, key)
              else upsert.run(collection, key, text)
            }
          })
        )
      ),
    append: (journal, keep, entries) =>
      run(`append to ${journal}`, () => {
        // To trim is to count what is kept, so it is done for many entries at once; and first of all, for what others left.
        const appended = (untrimmed.get(journal) ?? keep) + entries.length
        const isDue = appended > slackOf(keep)
        transaction(() => {
          for (const entry of entries) insert.run(journal, entry)
          if (isDue) trim.run(journal, keep)
        })
        untrimmed.set(journal, isDue ? 0 : appended)
      }),
    read: (journal, before, limit) =>
      run(`read ${journal}`, () =>
        newest.all(journal, before, limit).map((row) => [Number(row["seq"]), String(row["value"])] as const)
      )
  }
}

const textOf = (value: unknown) => (typeof value === "string" ? value : undefined)
