/** How the providers stand, whether a person lets them go on, and which models they answer. */
import { Act } from "../Act.tsx"
import type { ProviderView, RouteView } from "../../contract/providers.ts"
import { Meter } from "../Meter.tsx"
import { Pager } from "../Pager.tsx"
import { ask } from "../server.ts"
import { Table } from "../Table.tsx"
import { useAsked } from "../useAsked.ts"
import { useSlices } from "../useSlices.ts"
import { now } from "../time.ts"
import { Until, When } from "../When.tsx"

const every = 1_000

export const Providers = () => {
  const providers = useSlices(
    useAsked(() => ask(({ providers }) => providers.list()).then(({ providers }) => providers), { every })
  )
  const routes = useSlices(
    useAsked(() => ask(({ providers }) => providers.routes()).then(({ routes }) => routes), { every })
  )
  const again = () => {
    providers.again()
    routes.again()
  }
  return (
    <>
      <Table
        asked={providers}
        label="Providers"
        keyOf={({ name }) => name}
        empty="No provider answers models."
        columns={[
          {
            title: "Name",
            cell: ({ kind, name }) => (
              <>
                <strong>{name}</strong> <span class="faint">{kind}</span>
              </>
            )
          },
          { title: "State", cell: stateOf },
          {
            title: "At work",
            cell: ({ in_use, limits, name }) => metered(`Calls at once of ${name}`, in_use, limits.concurrency)
          },
          {
            title: "This minute",
            cell: ({ last_minute, limits, name }) => metered(`Calls a minute of ${name}`, last_minute, limits.rpm)
          },
          { title: "Queue", isNumber: true, cell: ({ waiting }) => String(waiting) },
          { title: "Tokens", isNumber: true, cell: ({ tokens }) => `${tokens.usable} of ${tokens.held}` },
          { title: "Circuits", cell: circuitsOf },
          { title: "Actions", cell: (provider) => <Actions of={provider} onDone={again} /> }
        ]}
      />
      <Pager of={providers} what="provider" />
      <h2>Routes</h2>
      <Table
        asked={routes}
        label="Routes"
        keyOf={({ model }) => model}
        empty="No model is served."
        columns={[
          { title: "Model", cell: ({ model }) => <strong>{model}</strong> },
          { title: "Served by, in this order", cell: ({ targets }) => <Targets of={targets} /> }
        ]}
      />
      <Pager of={routes} what="route" />
    </>
  )
}

type Limit = ProviderView["limits"]["rpm"]

const metered = (label: string, used: number, { learned, most }: Limit) =>
  most === null ? (
    String(used)
  ) : (
    <Meter label={label} used={used} most={most} text={`${used} of ${learned ? "about " : ""}${amount.format(most)}`} />
  )

const amount = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })

const stateOf = ({ held_until, paused, paused_since }: ProviderView) => {
  if (paused) {
    return (
      <>
        <span class="tag disabled">paused</span> <When at={paused_since} />
      </>
    )
  }
  return held_until !== null && held_until > now() ? (
    <>
      <span class="tag cooling">left alone</span> <Until at={held_until} />
    </>
  ) : (
    <span class="tag active">in order</span>
  )
}

const circuitsOf = ({ targets }: ProviderView) => {
  const wrong = targets.filter(({ circuit }) => circuit !== "closed")
  if (wrong.length === 0) return <span class="faint">all closed</span>
  return wrong.map(({ circuit, model, source, until }) => (
    <div key={model}>
      <span class={`tag ${circuit}`}>{circuit.replace("_", " ")}</span> {model}
      {until !== null && (
        <span class="faint">
          {" "}
          <Until at={until} />
          {source === "guessed" && " (guessed)"}
        </span>
      )}
    </div>
  ))
}

const Actions = ({ of: { name, paused }, onDone }: { readonly of: ProviderView; readonly onDone: () => void }) => {
  const params = { name }
  return (
    <span class="actions">
      {paused ? (
        <Act
          label="Resume"
          of={name}
          act={({ providers }) => providers.resume({ params })}
          did="resumed"
          onDone={onDone}
        />
      ) : (
        <Act
          label="Pause"
          of={name}
          act={({ providers }) => providers.pause({ params })}
          did="paused"
          onDone={onDone}
        />
      )}
      <Act
        label="Reset"
        of={name}
        act={({ providers }) => providers.reset({ params })}
        did="reset: all of it is taken for in order"
        onDone={onDone}
      />
    </span>
  )
}

const Targets = ({ of }: { readonly of: RouteView["targets"] }) => (
  <ol class="targets">
    {of.map(({ model, provider, state, until }) => (
      <li key={`${provider}/${model}`}>
        <span class={`tag ${state}`}>{state.replace("_", " ")}</span> {provider} <span class="faint">{model}</span>
        {until !== null && (
          <span class="faint">
            {" "}
            <Until at={until} />
          </span>
        )}
      </li>
    ))}
  </ol>
)
