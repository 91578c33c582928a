/** How requests for a token were decided: by which step, why, and on what. */
import { useState } from "preact/hooks"
import { Decision, Step } from "../../acquisition/decision.ts"
import { Choice } from "../Choice.tsx"
import { Pager } from "../Pager.tsx"
import { ask } from "../server.ts"
import { Table } from "../Table.tsx"
import { span } from "../time.ts"
import { usePages } from "../usePages.ts"
import { When } from "../When.tsx"

const steps = Step.literals
const answers = Decision.fields.answer.literals

export const Decisions = () => {
  const [answer, setAnswer] = useState<Decision["answer"]>()
  const [step, setStep] = useState<Step>()
  const paged = usePages(
    (before) =>
      ask(({ console }) =>
        console.decisions({
          query: {
            limit: 50,
            ...(answer !== undefined && { answer }),
            ...(step !== undefined && { step }),
            ...(before !== undefined && { before })
          }
        })
      ).then(({ decisions, next }) => ({ rows: decisions, next })),
    { about: `${answer} ${step}`, on: "decision" }
  )
  const isAll = answer === undefined && step === undefined
  return (
    <>
      <p class="faint">
        A request for a new token passes these steps in turn, and the first that decides has the word:{" "}
        {steps.join(", ")}.
      </p>
      <form class="row" role="search" onSubmit={(event) => event.preventDefault()}>
        <Choice label="Answer" options={answers} chosen={answer} onChoose={setAnswer} />
        <Choice label="Step" options={steps} chosen={step} onChoose={setStep} />
      </form>
      <Table
        asked={paged}
        label="Decisions"
        keyOf={({ at, caller, errorContext, step }) => `${at} ${step} ${caller} ${errorContext}`}
        empty={isAll ? "No token has been asked for yet." : "No decision is like that."}
        columns={[
          { title: "When", cell: ({ at }) => <When at={at} /> },
          { title: "Answer", cell: ({ answer }) => <span class={`tag ${answer}`}>{answer}</span> },
          { title: "Step", cell: ({ step }) => <code>{step}</code> },
          { title: "Reason", cell: reasonOf },
          { title: "Asked by", cell: ({ caller, provider }) => `${caller}, of ${provider}` },
          { title: "Because of", cell: ({ errorContext }) => errorContext },
          { title: "Decided on", cell: inputsOf }
        ]}
      />
      <Pager of={paged} what="decision" />
    </>
  )
}

const reasonOf = ({ reason, retryAfterMs, times, token }: Decision) => (
  <>
    {reason}
    {times !== undefined && <strong>, {times} times more</strong>}
    {retryAfterMs !== undefined && <span class="faint">, again in {span(retryAfterMs)}</span>}
    {token !== undefined && (
      <span class="faint">
        {" "}
        token <code>{token}</code>
      </span>
    )}
  </>
)

const inputsOf = ({ inputs }: Decision) => {
  const entries = Object.entries(inputs)
  return entries.length === 0 ? (
    ""
  ) : (
    <details>
      <summary>
        {entries.length} input{entries.length === 1 ? "" : "s"}
      </summary>
      <dl class="inputs">
        {entries.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
          </div>
        ))}
      </dl>
    </details>
  )
}
