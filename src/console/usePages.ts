/** A list that the server gives page by page. */
import { useState } from "preact/hooks"
import type { Topic } from "./live.ts"
import { type Asked, useAsked } from "./useAsked.ts"

interface Page<Row> {
  readonly rows: ReadonlyArray<Row>
  readonly next: string | null
  /** On all pages, where that is known. */
  readonly total?: number
}

export interface Paged<Row> extends Asked<ReadonlyArray<Row>> {
  readonly total: number | undefined
  /** From 1. */
  readonly page: number
  readonly hasNext: boolean
  readonly next: () => void
  readonly previous: () => void
  readonly first: () => void
}

interface Options {
  /** Other rows are meant: they are shown from the first page. */
  readonly about?: string
  readonly on?: Topic
}

export const usePages = <Row>(
  load: (cursor: string | undefined) => Promise<Page<Row>>,
  { about = "", on = "all" }: Options = {}
): Paged<Row> => {
  // Where each page behind the first begins, up to the one that is shown.
  const [place, setPlace] = useState<{ readonly about: string; readonly cursors: ReadonlyArray<string> }>({
    about,
    cursors: []
  })
  const cursors = place.about === about ? place.cursors : []
  const cursor = cursors.at(-1)
  const key = JSON.stringify([about, cursor])
  const { answer, ...asked } = useAsked(() => load(cursor).then((page) => ({ ...page, key })), { about: key, on })
  const goTo = (cursors: ReadonlyArray<string>) => setPlace({ about, cursors })
  const next = answer?.key === key ? answer.next : null
  return {
    ...asked,
    answer: answer?.rows,
    total: answer?.total,
    page: cursors.length + 1,
    hasNext: next !== null,
    next: () => next !== null && goTo([...cursors, next]),
    previous: () => goTo(cursors.slice(0, -1)),
    first: () => goTo([])
  }
}
