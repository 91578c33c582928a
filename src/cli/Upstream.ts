/** Where model requests go: the configured upstream, or a sandbox when none is. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Context, Effect, Layer } from "effect"
import type { Redacted } from "effect"
import type { HttpClient } from "effect/http"
import { warpProvider } from "../domain/Provider.ts"
import { SettingInvalid, Settings, type WarpUpstream } from "../config/Settings.ts"
import type { TokenKind } from "../domain/Token.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Sandbox, type SandboxNotListening, type SandboxUnreachable } from "../sandbox/Sandbox.ts"
import { WarpClient } from "../upstream/WarpClient.ts"

export class Upstream extends Context.Service<
  Upstream,
  {
    readonly warp: WarpUpstream
    /** What the pool starts with. */
    readonly tokens: ReadonlyArray<{
      readonly name: string
      readonly kind: TokenKind
      readonly refresh: Redacted.Redacted
    }>
    /** The sandbox's address, when it is one. */
    readonly sandbox: string | undefined
  }
>()("weirgate/cli/Upstream") {
  static readonly layer = Layer.unwrap(
    Effect.map(Settings, ({ warp, tokens, sandbox }) => {
      if (warp !== undefined) return Layer.succeed(Upstream, { warp, tokens, sandbox: undefined })
      return Layer.effect(Upstream, sandboxed(sandbox.tokens)).pipe(Layer.provide(runningSandbox(sandbox)))
    })
  ).pipe(Layer.provideMerge(NodeHttpClient.layerUndici))
}

type SandboxFailure = SandboxNotListening | SandboxUnreachable | SettingInvalid

/** The one it is told of, or one of its own; most likely a taken port is another server's sandbox, and they share it. */
const runningSandbox = ({
  port,
  seed,
  url
}: Settings["Service"]["sandbox"]): Layer.Layer<Sandbox, SandboxFailure, HttpClient.HttpClient> =>
  url !== undefined
    ? Sandbox.layerAt(url)
    : Sandbox.layerWith({ port, seed }).pipe(
        Layer.catchTag("SandboxAddressInUse", ({ host, message }) =>
          Sandbox.layerAt(`http://${host}:${port}`).pipe(
            Layer.catchTag("SandboxUnreachable", () => Layer.unwrap(portTaken(message)))
          )
        )
      )

const portTaken = (message: string): Effect.Effect<Layer.Layer<Sandbox>, SettingInvalid> =>
  Effect.fail(
    new SettingInvalid({
      source: "environment",
      field: "WEIRGATE_SANDBOX_PORT",
      reason: `${message}, and it is no sandbox`
    })
  )

const sandboxed = Effect.fnUntraced(function* (kinds: ReadonlyArray<"anonymous" | "personal">) {
  const { url, apiKey, anonymousRefreshToken, personalRefreshToken } = yield* Sandbox
  const refreshOf = { anonymous: anonymousRefreshToken, personal: personalRefreshToken }
  return Upstream.of({
    // Tokens made there are as synthetic as the rest, so making them is allowed.
    warp: { baseUrl: url, identityUrl: url, tokenUrl: url, apiKey, minting: true },
    tokens: kinds.map((kind) => ({ name: `sandbox-${kind}`, kind, refresh: refreshOf[kind] })),
    sandbox: url
  })
})

export const warpClient = Layer.unwrap(Effect.map(Upstream, ({ warp }) => WarpClient.layerWith(warp)))

/** Puts the upstream's tokens into the pool; one that is known by its name keeps its state. */
export const seeded = Layer.effectDiscard(
  Effect.gen(function* () {
    const pool = yield* TokenPool
    const { tokens } = yield* Upstream
    yield* Effect.forEach(tokens, ({ name, kind, refresh }) =>
      pool.add({ provider: warpProvider, name, kind, credential: { refresh } })
    )
  })
)
