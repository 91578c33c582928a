/** The tokens of all providers: their state and why, how they do, what is left of them, and what only a person may decide. */
import { useState } from "preact/hooks"
import { Act } from "../Act.tsx"
import { Choice } from "../Choice.tsx"
import type { CheckResult } from "../../contract/admin.ts"
import type { ConsoleToken } from "../../contract/console.ts"
import { TokenState } from "../../contract/tokens.ts"
import { useLive } from "../live.ts"
import { Meter } from "../Meter.tsx"
import { Pager } from "../Pager.tsx"
import { ask } from "../server.ts"
import { Table } from "../Table.tsx"
import { span } from "../time.ts"
import { type Paged, usePages } from "../usePages.ts"
import { Until, When } from "../When.tsx"
import { AddToken } from "./AddToken.tsx"
import { ImportTokens } from "./ImportTokens.tsx"

interface Wanted {
  readonly provider: string | undefined
  readonly state: TokenState | undefined
  readonly find: string
}

export const Tokens = () => {
  const [wanted, setWanted] = useState<Wanted>({ provider: undefined, state: undefined, find: "" })
  const { overview } = useLive()
  const { provider, state } = wanted
  const find = wanted.find.trim()
  const paged = usePages(
    (cursor) =>
      ask(({ console }) =>
        console.tokens({
          query: {
            limit: 50,
            ...(provider !== undefined && { provider }),
            ...(state !== undefined && { state }),
            ...(find !== "" && { find }),
            ...(cursor !== undefined && { cursor })
          }
        })
      ).then(({ next, tokens, total }) => ({ rows: tokens, next, total })),
    { about: JSON.stringify({ provider, state, find }), on: "token" }
  )
  const providers = overview?.tokens.map(({ provider }) => provider) ?? []
  const isAll = provider === undefined && state === undefined && find === ""
  return (
    <>
      <AddToken onDone={paged.again} />
      <ImportTokens onDone={paged.again} />
      <form class="row" role="search" onSubmit={(event) => event.preventDefault()}>
        <Choice
          label="Provider"
          options={providers}
          chosen={provider}
          onChoose={(provider) => setWanted({ ...wanted, provider })}
        />
        <Choice
          label="State"
          options={TokenState.literals}
          chosen={state}
          onChoose={(state) => setWanted({ ...wanted, state })}
        />
        <label>
          Find
          <input
            type="search"
            maxLength={100}
            placeholder="part of a name"
            value={wanted.find}
            onInput={({ currentTarget }) => setWanted({ ...wanted, find: currentTarget.value })}
          />
        </label>
      </form>
      <Rows of={paged} isAll={isAll} />
      <Pager of={paged} what="token" />
    </>
  )
}

const Rows = ({ isAll, of }: { readonly of: Paged<ConsoleToken>; readonly isAll: boolean }) => (
  <Table
    asked={of}
    label="Tokens"
    keyOf={({ id }) => id}
    empty={isAll ? "The pool holds no token yet: add one, or import a file." : "No token is like that."}
    columns={[
      {
        title: "Name",
        cell: ({ id, kind, name, provider }) => (
          <span title={id}>
            <strong>{name}</strong>
            <br />
            <span class="faint">
              {provider}, {kind}
            </span>
          </span>
        )
      },
      { title: "State", cell: stateOf },
      {
        title: "Success",
        isNumber: true,
        cell: ({ failed, succeeded, success_rate }) =>
          success_rate === null ? (
            <span class="faint">unused</span>
          ) : (
            <span title={`${succeeded} succeeded, ${failed} failed`}>
              {percent(success_rate)}
              <br />
              <span class="faint">of {succeeded + failed}</span>
            </span>
          )
      },
      { title: "Quota left", cell: quotaOf },
      { title: "Lent", isNumber: true, cell: ({ leased }) => String(leased) },
      { title: "Last used", cell: ({ last_used_at }) => <When at={last_used_at} /> },
      { title: "Actions", cell: (token) => <Actions of={token} onDone={of.again} /> }
    ]}
  />
)

const amount = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })
const percent = (share: number) => `${Math.floor(share * 1_000) / 10} %`

const stateOf = ({ last_failure, source, state, until, usable, why }: ConsoleToken) => (
  <>
    <span class={`tag ${state}`}>{state}</span>
    {state === "active" && !usable && <span class="faint"> in use or to be renewed</span>}
    {until !== null && (
      <span class="faint">
        {" "}
        <Until at={until} />
        {source === "guessed" && " (guessed)"}
      </span>
    )}
    {why !== null && <div class="faint">{why}</div>}
    {why === null && last_failure !== null && (
      <div class="faint" title={last_failure.detail ?? ""}>
        last failure: {last_failure.outcome} <When at={last_failure.at} />
      </div>
    )}
  </>
)

const levels: Readonly<Record<NonNullable<ConsoleToken["predicted"]>["level"], string>> = {
  HIGH: "plenty",
  MEDIUM: "enough",
  LOW: "little",
  CRITICAL: "hardly any",
  EXHAUSTED: "none"
}

/** The upstream's own word, and what is expected of it. */
const quotaOf = ({ name, predicted, quota }: ConsoleToken) => (
  <>
    {quota !== null &&
      (quota.unlimited ? (
        "unlimited"
      ) : (
        <Meter
          label={`Quota used of ${name}`}
          isScarce
          used={quota.used}
          most={quota.limit}
          text={`${amount.format(Math.max(0, quota.limit - quota.used))} of ${amount.format(quota.limit)}`}
        />
      ))}
    {predicted !== null && (
      <div title={predicted.reason}>
        {levels[predicted.level]} <span class="faint">{percent(predicted.confidence)} sure</span>
      </div>
    )}
    {quota === null && predicted === null && <span class="faint">unknown</span>}
  </>
)

const checked = ({ check }: { readonly check: typeof CheckResult.Type | null }) => {
  if (check === null) return "cannot be checked: its upstream has no call for that"
  const took = span(check.took)
  return check.ok
    ? `is good (${took})`
    : `failed its check (${took})${check.detail === undefined ? "" : `: ${check.detail}`}`
}

const Actions = ({ of: { id, name, state }, onDone }: { readonly of: ConsoleToken; readonly onDone: () => void }) => {
  const params = { id }
  return (
    <span class="actions">
      <Act label="Check" of={name} act={({ admin }) => admin.check({ params })} did={checked} onDone={onDone} />
      {state === "disabled" ? (
        <Act label="Enable" of={name} act={({ admin }) => admin.enable({ params })} did="enabled" onDone={onDone} />
      ) : (
        <Act label="Disable" of={name} act={({ admin }) => admin.disable({ params })} did="disabled" onDone={onDone} />
      )}
      <Act
        label="Reset"
        of={name}
        act={({ admin }) => admin.reset({ params })}
        did="reset: its failures are forgotten"
        onDone={onDone}
      />
      <Act
        label="Remove"
        of={name}
        isFinal
        act={({ console }) => console.removeToken({ params })}
        did="removed"
        onDone={onDone}
      />
    </span>
  )
}
