/** The two GraphQL operations we use: what is asked, and how a success is read. */
import { DateTime, Option, Schema } from "effect"
import type { QuotaReport } from "../../domain/Token.ts"
import type { ClientIdentity } from "./identity.ts"

export interface Operation {
  readonly operationName: string
  readonly query: string
  readonly variables: { readonly [name: string]: Schema.Json }
}

export const createAnonymousUser = (identity: ClientIdentity): Operation => ({
  operationName: "CreateAnonymousUser",
  query: `mutation CreateAnonymousUser($input: CreateAnonymousUserInput!, $requestContext: RequestContext!) {
  createAnonymousUser(input: $input, requestContext: $requestContext) {
    __typename
    ... on CreateAnonymousUserOutput { idToken }
    ... on UserFacingError { error { __typename message } }
  }
}`,
  variables: {
    input: {
      anonymousUserType: "NATIVE_CLIENT_ANONYMOUS_USER_FEATURE_GATED",
      expirationType: "NO_EXPIRATION",
      referralCode: null
    },
    requestContext: requestContext(identity)
  }
})

export const getRequestLimitInfo = (identity: ClientIdentity): Operation => ({
  operationName: "GetRequestLimitInfo",
  query: `query GetRequestLimitInfo($requestContext: RequestContext!) {
  user(requestContext: $requestContext) {
    __typename
    ... on UserOutput {
      user {
        requestLimitInfo { isUnlimited nextRefreshTime requestLimit requestsUsedSinceLastRefresh requestLimitRefreshDuration }
        bonusGrants { requestCreditsRemaining }
      }
    }
    ... on UserFacingError { error { __typename message } }
  }
}`,
  variables: { requestContext: requestContext(identity) }
})

const requestContext = ({ os, version }: ClientIdentity) => ({
  clientContext: { version },
  osContext: { category: os.category, linuxKernelVersion: null, name: os.name, version: os.version }
})

const decodeCreated = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({ data: Schema.Struct({ createAnonymousUser: Schema.Struct({ idToken: Schema.NonEmptyString }) }) })
  )
)

/** The custom token. Warp calls it an id token, which it is not: it is good for the exchange only. */
export const customTokenOf = (body: string): Option.Option<string> =>
  Option.map(decodeCreated(body), ({ data }) => data.createAnonymousUser.idToken)

const Amount = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

const decodeLimits = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      data: Schema.Struct({
        user: Schema.Struct({
          user: Schema.Struct({
            requestLimitInfo: Schema.Struct({
              isUnlimited: Schema.Boolean,
              nextRefreshTime: Schema.optionalKey(Schema.NullOr(Schema.String)),
              requestLimit: Amount,
              requestsUsedSinceLastRefresh: Amount
            }),
            bonusGrants: Schema.optionalKey(
              Schema.NullOr(Schema.Array(Schema.Struct({ requestCreditsRemaining: Schema.NullOr(Amount) })))
            )
          })
        })
      })
    })
  )
)

/** Credits that were granted apart add to the limit. */
export const quotaReportOf = (body: string): Option.Option<QuotaReport> =>
  Option.map(decodeLimits(body), ({ data }) => {
    const { bonusGrants, requestLimitInfo: info } = data.user.user
    const bonus = (bonusGrants ?? []).reduce((sum, grant) => sum + (grant.requestCreditsRemaining ?? 0), 0)
    const resetAt = Option.map(DateTime.make(info.nextRefreshTime ?? ""), DateTime.toEpochMillis)
    return {
      unlimited: info.isUnlimited,
      limit: info.requestLimit + bonus,
      used: info.requestsUsedSinceLastRefresh,
      resetAt: Option.getOrUndefined(resetAt)
    }
  })
