/** What a client needs to use a sandbox, as `GET /_sandbox/credentials` tells it. All of it is synthetic. */
import { Schema } from "effect"

const Provisioned = Schema.Struct({ uid: Schema.String, refreshToken: Schema.String })

export const SandboxCredentials = Schema.Struct({
  apiKey: Schema.String,
  /** The same key, by the name the configuration file gives it. */
  firebaseApiKey: Schema.String,
  /** The personal refresh token. */
  refreshToken: Schema.String,
  personal: Provisioned,
  anonymous: Provisioned,
  baseUrl: Schema.String,
  identityUrl: Schema.String,
  tokenUrl: Schema.String,
  /** The drive: what a client of it is configured with, and the tokens of its accounts. */
  wopan: Schema.Struct({
    baseUrl: Schema.String,
    clientId: Schema.String,
    clientSecret: Schema.String,
    iv: Schema.String,
    tokens: Schema.Array(
      Schema.Struct({
        /** The sandbox's own name for the account. */
        account: Schema.String,
        accessToken: Schema.String,
        refreshToken: Schema.String,
        /** Of the access token, in epoch milliseconds. */
        expiresAt: Schema.Finite
      })
    )
  }),
  /** By the provider's name. */
  openai: Schema.Record(Schema.String, Schema.Struct({ baseUrl: Schema.String, keys: Schema.Array(Schema.String) }))
})
export type SandboxCredentials = typeof SandboxCredentials.Type
