/** A time: how long ago, and to the second for who points at it. */
import { ago, exact } from "./time.ts"

export const When = ({ at }: { readonly at: number | null | undefined }) =>
  at === null || at === undefined ? (
    <span class="faint">never</span>
  ) : (
    <time dateTime={new Date(at).toISOString()} title={exact(at)}>
      {ago(at, Date.now())}
    </time>
  )
