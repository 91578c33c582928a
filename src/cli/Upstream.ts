/** Where model requests go: the configured upstream, or a sandbox when none is. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Context, Effect, Layer } from "effect"
import type { Redacted } from "effect"
import { Settings, type WarpUpstream } from "../config/Settings.ts"
import type { TokenKind } from "../domain/Token.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Sandbox } from "../sandbox/Sandbox.ts"
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
      const running =
        sandbox.url !== undefined
          ? Sandbox.layerAt(sandbox.url)
          : Sandbox.layerWith({ port: sandbox.port, seed: sandbox.seed }).pipe(
              // Most likely the sandbox of another server on this machine: then they share it.
              Layer.catchTag("SandboxAddressInUse", ({ host, port }) => Sandbox.layerAt(`http://${host}:${port}`))
            )
      return Layer.effect(Upstream, sandboxed(sandbox.tokens)).pipe(Layer.provide(running))
    })
  ).pipe(Layer.provideMerge(NodeHttpClient.layerUndici))
}

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
      pool.add({ provider: "warp", name, kind, credential: { refresh } })
    )
  })
)
