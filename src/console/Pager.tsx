/** From page to page of a list. Its buttons are never `disabled`, which would take the focus from them at either end. */
import type { Paged } from "./usePages.ts"

export const Pager = <Row,>({ of, what }: { readonly of: Paged<Row>; readonly what: string }) => {
  const { first, hasNext, next, page, previous, total } = of
  if (page === 1 && !hasNext)
    return total === undefined || total === 0 ? null : <p class="pager faint">{counted(total, what)}</p>
  return (
    <nav class="pager" aria-label={`Pages of ${what}s`}>
      <button type="button" class="small" aria-disabled={page === 1} onClick={first}>
        First
      </button>
      <button type="button" class="small" aria-disabled={page === 1} onClick={previous}>
        Previous
      </button>
      <span role="status">
        Page {page}
        {total !== undefined && `, ${counted(total, what)} in all`}
      </span>
      <button type="button" class="small" aria-disabled={!hasNext} onClick={next}>
        Next
      </button>
    </nav>
  )
}

const number = new Intl.NumberFormat("en")
const counted = (count: number, what: string) => `${number.format(count)} ${what}${count === 1 ? "" : "s"}`
