/** Times by the server's clock: how far away, and to the second for who points at it. */
import { ago, clock, exact, now } from "./time.ts"

const day = 86_400_000

export const When = ({ at }: { readonly at: number | null | undefined }) =>
  at === null || at === undefined ? (
    <span class="faint">never</span>
  ) : (
    <time dateTime={new Date(at).toISOString()} title={exact(at)}>
      {ago(at, now())}
    </time>
  )

export const Until = ({ at }: { readonly at: number }) => (
  <>
    until{" "}
    <time dateTime={new Date(at).toISOString()} title={exact(at)}>
      {Math.abs(at - now()) < day ? clock(at) : exact(at)}, {ago(at, now())}
    </time>
  </>
)
