/** All that the journals keep can be paged through over HTTP, by those who come back for more while it goes on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { AuditEntry } from "../../src/access/Audit.ts"
import type { Decision } from "../../src/acquisition/Acquisition.ts"
import { journal as decisions } from "../../src/acquisition/decisions.ts"
import { CheckResult } from "../../src/health/HealthChecks.ts"
import { TokenId } from "../../src/domain/Token.ts"
import { alertJournal } from "../../src/monitoring/alertState.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { type Journal, Store } from "../../src/store/Store.ts"
import { type Answer, get, running } from "../support/running.ts"
import { login } from "../support/staged.ts"

const audit: Journal<AuditEntry> = { name: "audit", schema: AuditEntry, keep: 10_000 }
const checks: Journal<CheckResult> = { name: "health_check", schema: CheckResult, keep: 5_000 }
const many = (count: number) => Array.from({ length: count }, (_, n) => n)

const decision = (n: number): Decision => ({
  at: 1_000_000 + n,
  provider: n % 2 === 0 ? "warp" : "synthetic",
  caller: "synthetic",
  errorContext: "synthetic",
  step: n % 3 === 0 ? "policy" : "upstream",
  answer: n % 5 === 0 ? "token" : "denied",
  reason: `${n}`,
  inputs: {}
})

const server = Effect.gen(function* () {
  const server = yield* running({ WEIRGATE_SANDBOX_TOKENS: "none" })
  const { headers } = yield* login(server)
  const ask = (path: string) => get(`${server.url}/api/admin/${path}`, headers)
  /** What all pages have, asked for one after the other. */
  const walk = Effect.fnUntraced(function* (path: string, list: string, between: Effect.Effect<void> = Effect.void) {
    // oxlint-disable-next-line typescript/no-explicit-any
    const all: Array<any> = []
    const unplaced = path.replace(/&before=\d+$/, "")
    let next: string | null = null
    do {
      const page: Answer = yield* ask(next === null ? path : `${unplaced}&before=${next}`)
      assert.strictEqual(page.status, 200, page.text)
      all.push(...page.json[list])
      next = page.json.next
      yield* between
    } while (next !== null)
    return all
  })
  const append = <A>(journal: Journal<A>, entries: ReadonlyArray<A>) =>
    Store.use((store) => store.append(journal, entries)).pipe(
      Effect.provide(Sqlite.layer(join(server.folder, "sandbox.db"))),
      Effect.orDie
    )
  return { append, ask, walk }
})

describe("the journals", () => {
  it.live("have 10,000 decisions, each on one page while others are made, also of one provider, answer and step", () =>
    Effect.gen(function* () {
      const { append, ask, walk } = yield* server
      const made = many(10_000).map(decision)
      yield* append(decisions, made)
      let ordinal = 20_000
      const another = Effect.suspend(() => append(decisions, [decision(ordinal++)]))
      const kept = made.toReversed()
      // The newest push out the oldest meanwhile.
      const all = yield* walk("decisions?limit=500", "decisions", another)
      assert.deepStrictEqual(all, kept.slice(0, all.length))
      assert.isAtLeast(all.length, 10_000 - 25)

      const some = yield* walk(
        "decisions?limit=500&provider=warp&answer=denied&step=policy&before=1009000",
        "decisions"
      )
      const fits = kept.slice(1_000).filter((_, n) => (8_999 - n) % 6 === 0 && (8_999 - n) % 5 !== 0)
      assert.deepStrictEqual(some, fits.slice(0, some.length))
      assert.isAtLeast(some.length, fits.length - 25)
      assert.deepStrictEqual((yield* ask("decisions?provider=other")).json, { decisions: [], next: null })
      for (const field of ["provider", "answer", "step", "limit", "before"]) {
        const wrong = yield* ask(`decisions?${field}=No%20such`)
        assert.deepStrictEqual([wrong.status, wrong.json.error.param], [400, field])
      }
    })
  )

  it.live("have the whole audit log, all that alerts told, and all checks, of a token too", () =>
    Effect.gen(function* () {
      const { append, ask, walk } = yield* server
      const entries = many(9_000).map((n) => {
        return { at: n, actor: "synthetic", action: "key.create", subject: `${n}`, result: "done" as const }
      })
      yield* append(audit, entries)
      const audited = yield* walk("audit?limit=1000", "entries")
      assert.deepStrictEqual(
        audited.filter(({ actor }) => actor === "synthetic"),
        entries.toReversed()
      )
      const results = many(3_000).map((n) => {
        const token = TokenId.make(`token-${n % 7}`)
        return { at: n, token, name: `name ${n % 7}`, provider: "synthetic", ok: true, took: n }
      })
      yield* append(checks, results)
      const isOurs = ({ provider }: CheckResult) => provider === "synthetic"
      assert.deepStrictEqual((yield* walk("checks?limit=1000", "checks")).filter(isOurs), results.toReversed())
      assert.deepStrictEqual(
        yield* walk("checks?token=token-3&limit=100", "checks"),
        results.filter(({ token }) => token === "token-3").toReversed()
      )
      const events = many(900).map((n) => {
        const alert = { id: "provider_down:synthetic", rule: "provider_down", subject: "synthetic" } as const
        return { ...alert, since: n, message: `${n}`, values: {}, event: "fired" as const, at: n }
      })
      yield* append(alertJournal, events)
      assert.deepStrictEqual(
        (yield* walk("alerts?limit=100", "recent")).filter(({ subject }) => subject === "synthetic"),
        events.toReversed()
      )
      for (const path of ["alerts", "audit", "checks"]) {
        const { json, status } = yield* ask(`${path}?before=soon`)
        assert.deepStrictEqual([status, json.error.param], [400, "before"])
      }
    })
  )
})
