/** Flags that several commands have. */
import { Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import { RunningServer } from "../RunningServer.ts"

export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print JSON, with the names of the HTTP contract"),
  Flag.withDefault(false)
)

/** Of the newest. */
export const limit = (maximum: number) =>
  Flag.Int("limit").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }))),
    Flag.withDescription(`The newest so many, up to ${maximum}. Default: 20`),
    Flag.withDefault(20)
  )

/** For what only a running server knows. */
export const server = Flag.String("server").pipe(
  Flag.withDescription(
    "The address of the server to ask, its key in WEIRGATE_API_KEY. Default: the one on this machine"
  ),
  Flag.optional
)

/** For what the store can tell too. */
export const fromServer = Flag.String("server").pipe(
  Flag.withDescription("Ask the server at this address, its key in WEIRGATE_API_KEY, and not the data folder"),
  Flag.optional
)

export const ofProvider = Flag.String("provider").pipe(
  Flag.withDescription("Only those of this provider"),
  Flag.optional
)

export const through = (url: Option.Option<string>) => Effect.provide(RunningServer.layerAt(Option.getOrUndefined(url)))
