/** A list that the server gives whole, shown page by page. */
import { useState } from "preact/hooks"
import type { Asked } from "./useAsked.ts"
import type { Paged } from "./usePages.ts"

const size = 25

export const useSlices = <Row>({ answer, ...asked }: Asked<ReadonlyArray<Row>>): Paged<Row> => {
  const [wanted, setWanted] = useState(1)
  const total = answer?.length ?? 0
  // Of a list that has become shorter, the last page.
  const page = Math.min(wanted, Math.max(1, Math.ceil(total / size)))
  return {
    ...asked,
    answer: answer?.slice((page - 1) * size, page * size),
    total: answer === undefined ? undefined : total,
    page,
    hasNext: page * size < total,
    next: () => setWanted(page + 1),
    previous: () => setWanted(Math.max(1, page - 1)),
    first: () => setWanted(1)
  }
}
