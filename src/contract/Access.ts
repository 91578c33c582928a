/** Who may call, as the contract knows it: by a key in `Authorization: Bearer …`, or by the console's session. */
import { Context } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import type { Client } from "../access/Client.ts"

/** Who calls, and from where. */
export class Caller extends Context.Service<
  Caller,
  Client & {
    /** Undefined when the transport does not say. */
    readonly address: string | undefined
  }
>()("weirgate/contract/Caller") {}

export class Access extends HttpApiMiddleware.Service<Access, { provides: Caller }>()("weirgate/contract/Access", {
  security: { bearer: HttpApiSecurity.bearer }
}) {}
