/** Where model requests go: the configured upstream, or a sandbox when none is. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Context, Effect, Layer, Redacted } from "effect"
import type { HttpClient } from "effect/http"
import { isSandboxUrl } from "../config/baseUrl.ts"
import { type Provider, warpProvider, wopanProvider } from "../domain/Provider.ts"
import {
  type InitialToken,
  SettingInvalid,
  Settings,
  type WarpUpstream,
  type WopanUpstream
} from "../config/Settings.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import { Sandbox, type SandboxNotListening, type SandboxUnreachable } from "../sandbox/Sandbox.ts"
import { WarpClient } from "../upstream/WarpClient.ts"
import { WopanClient } from "../upstream/WopanClient.ts"

export class Upstream extends Context.Service<
  Upstream,
  {
    /** Absent when no provider speaks Warp's wire. */
    readonly warp: WarpUpstream | undefined
    /** Absent when there is no drive. */
    readonly wopan: WopanUpstream | undefined
    /** What the pool starts with, besides the keys of the providers. */
    readonly tokens: ReadonlyArray<InitialToken>
    /** The sandbox's address, when one is used. */
    readonly sandbox: string | undefined
    /** The same, with the address of the sandbox put in where it is meant. */
    readonly located: (providers: ReadonlyArray<Provider>) => ReadonlyArray<Provider>
  }
>()("weirgate/cli/Upstream") {
  static readonly layer = Layer.unwrap(
    Effect.map(Settings, (settings) =>
      settings.usesSandbox
        ? Layer.effect(Upstream, sandboxed(settings)).pipe(Layer.provide(runningSandbox(settings.sandbox)))
        : Layer.succeed(Upstream, { ...settings, sandbox: undefined, located: (providers) => providers })
    )
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

/** Plays what is not configured. Tokens made there are as synthetic as the rest, so making them is allowed. */
const sandboxed = Effect.fnUntraced(function* (settings: Settings["Service"]) {
  const { anonymousRefreshToken, apiKey, personalRefreshToken, url, wopan } = yield* Sandbox
  const refreshOf = { anonymous: anonymousRefreshToken, personal: personalRefreshToken }
  const playsWarp = settings.warp === undefined && settings.providers.some(({ kind }) => kind === "warp")
  const playsWopan = settings.wopan === undefined
  return Upstream.of({
    warp: playsWarp ? { baseUrl: url, identityUrl: url, tokenUrl: url, apiKey, minting: true } : settings.warp,
    wopan: settings.wopan ?? wopan,
    tokens: [
      ...settings.tokens,
      ...(playsWarp ? settings.sandbox.tokens : []).map((kind) => ({
        name: `sandbox-${kind}`,
        provider: warpProvider,
        kind,
        credential: { refresh: refreshOf[kind] }
      })),
      ...(playsWopan ? wopan.tokens : []).map((credential, i) => ({
        name: `sandbox-${i + 1}`,
        provider: wopanProvider,
        kind: "shared" as const,
        credential
      }))
    ],
    sandbox: url,
    located: (providers) => providers.map((provider) => locatedAt(url, provider))
  })
})

const locatedAt = (sandbox: string, provider: Provider): Provider =>
  provider.kind === "openai" && isSandboxUrl(provider.baseUrl)
    ? { ...provider, baseUrl: `${sandbox}${provider.baseUrl.slice("sandbox:".length)}` }
    : provider

export const warpClient = Layer.unwrap(Effect.map(Upstream, ({ warp = nowhere }) => WarpClient.layerWith(warp)))

/** Without a provider that speaks Warp's wire nothing is sent; should anything be, it reaches nobody. */
const nowhere: WarpUpstream = {
  baseUrl: "http://127.0.0.1:9",
  identityUrl: "http://127.0.0.1:9",
  tokenUrl: "http://127.0.0.1:9",
  apiKey: Redacted.make(""),
  minting: false
}

export const wopanClient = Layer.unwrap(Effect.map(Upstream, ({ wopan = noDrive }) => WopanClient.layerWith(wopan)))

/** Should anything be asked of it, it reaches nobody. */
const noDrive: WopanUpstream = {
  baseUrl: "http://127.0.0.1:9",
  clientId: "none",
  clientSecret: Redacted.make("0".repeat(16)),
  iv: Redacted.make("0".repeat(16))
}

/** Puts the upstream's tokens into the pool; one that is known by its name keeps its state. */
export const seeded = Layer.effectDiscard(
  Effect.gen(function* () {
    const pool = yield* TokenPool
    const { tokens } = yield* Upstream
    yield* Effect.forEach(tokens, (token) => pool.add(token))
  })
)
