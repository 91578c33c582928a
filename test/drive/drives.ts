/** Drives over a scripted upstream, each account with a token of its name. */
import { Context, Effect, Layer, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Drive, type DriveOptions } from "../../src/drive/Drive.ts"
import { UpstreamUnavailable } from "../../src/domain/Failure.ts"
import type { TokenId } from "../../src/domain/Token.ts"
import { Renewer } from "../../src/pool/Renewer.ts"
import { TokenPool } from "../../src/pool/TokenPool.ts"
import { Store } from "../../src/store/Store.ts"
import { Vault } from "../../src/store/Vault.ts"
import { ScriptedWarp } from "../../src/testing/ScriptedWarp.ts"
import { ScriptedWopan, type ScriptedFolder, type ScriptedWopanCall } from "../../src/testing/ScriptedWopan.ts"
import { WopanClient, type WopanEntry, type WopanFailure, type WopanPage } from "../../src/upstream/WopanClient.ts"

export type Accounts = Readonly<Record<string, ScriptedFolder>>

/** What all processes of a test share: a store, a key and the upstream. */
export const worldOn = <E>(store: Layer.Layer<Store, E>, accounts: Accounts) =>
  Layer.mergeAll(store, Vault.layerEphemeral, Renewer.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(ScriptedWopan.layer({ accounts }), ScriptedWarp.layer()))
  )

export const world = (accounts: Accounts) => worldOn(Store.layerMemory, accounts)

export interface Running {
  readonly drive: Drive["Service"]
  readonly pool: TokenPool["Service"]
  readonly ids: Readonly<Record<string, TokenId>>
  readonly stop: Effect.Effect<void>
}

/** A process with a token for each of the accounts, in that order of preference; it lives until `stop`. */
export const start = Effect.fnUntraced(function* (
  accounts: ReadonlyArray<string>,
  options: DriveOptions = {},
  client: Layer.Layer<WopanClient> | undefined = undefined
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const wopan = yield* ScriptedWopan
  const upstream = client ?? Layer.succeed(WopanClient, yield* WopanClient)
  const context = yield* Layer.build(
    Layer.fresh(
      Drive.layerWith(options).pipe(Layer.provide(upstream), Layer.provideMerge(Layer.fresh(TokenPool.layerWith())))
    )
  ).pipe(Scope.provide(scope))
  const pool = Context.get(context, TokenPool)
  const ids: Record<string, TokenId> = {}
  for (const [index, name] of accounts.entries()) {
    // Of two tokens added in one millisecond chance decides which goes first.
    if (index > 0) yield* TestClock.adjust(1)
    const credential = yield* wopan.secrets(name)
    ids[name] = yield* pool.add({ provider: "wopan", name, kind: "personal", credential })
  }
  return {
    drive: Context.get(context, Drive),
    pool,
    ids,
    stop: Scope.close(scope, yield* Effect.exit(Effect.void))
  } satisfies Running
})

export const calls = (kind: ScriptedWopanCall) =>
  ScriptedWopan.use((wopan) => Effect.map(wopan.calls, (counts) => counts[kind]))

/** Which folders were listed, with whose secret, in order: `account:path#page`. */
export const listed = ScriptedWopan.use((wopan) =>
  Effect.map(wopan.asked, (asked) =>
    asked.filter(({ call }) => call === "list").map(({ account, page, path }) => `${account}:${path}#${page}`)
  )
)

export const leased = (pool: TokenPool["Service"]) =>
  Effect.map(pool.list(), (views) => views.reduce((sum, view) => sum + view.leased, 0))

export const files = (count: number, prefix = "file"): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}-${String(i).padStart(5, "0")}`, i]))

export const unavailable = (reason: UpstreamUnavailable["reason"] = "malformed") =>
  new UpstreamUnavailable({ provider: "wopan", reason, detail: "synthetic detail" })

/** A client whose listings are what the test says; whatever the secret. */
export const listing = (list: (folderId: string, page: number) => WopanPage | WopanFailure) =>
  Layer.succeed(
    WopanClient,
    WopanClient.of({
      list: (_, folderId, page) =>
        Effect.suspend(() => {
          const answer = list(folderId, page)
          return "_tag" in answer ? Effect.fail(answer) : Effect.succeed(answer)
        }),
      downloadUrl: (_, fid) => Effect.succeed(Redacted.make(`https://drive.test/${fid}`)),
      check: () => Effect.void,
      refresh: () => Effect.die("no renewal is scripted")
    })
  )
export const file = (id: string, name = id): WopanEntry => ({
  id,
  fid: `fid-${id}`,
  name,
  type: "file",
  size: 1,
  createdAt: "",
  fileType: "other"
})
export const folder = (id: string, name = id): WopanEntry => ({
  ...file(id, name),
  fid: undefined,
  type: "folder",
  size: 0,
  fileType: "folder"
})
