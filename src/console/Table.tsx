/** Rows under headings, with what to say while there are none. */
import type { ComponentChildren } from "preact"
import type { Asked } from "./useAsked.ts"

export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => ComponentChildren
  /** A number, to be aligned as one. */
  readonly isNumber?: boolean
}

interface Properties<Row> {
  readonly asked: Pick<Asked<ReadonlyArray<Row>>, "answer" | "trouble">
  /** What the rows are. */
  readonly label: string
  readonly columns: ReadonlyArray<Column<Row>>
  readonly keyOf: (row: Row) => string
  /** What it means that there is none. */
  readonly empty: string
}

export const Table = <Row,>({ asked: { answer, trouble }, columns, empty, keyOf, label }: Properties<Row>) => (
  <>
    {trouble?.kind === "refused" && (
      <p class="notice trouble" role="status">
        {trouble.message} {answer !== undefined && "What is shown is what was known last."}
      </p>
    )}
    {answer === undefined && trouble?.kind !== "refused" && <p class="notice">Loading …</p>}
    {answer?.length === 0 && <p class="notice">{empty}</p>}
    {answer !== undefined && answer.length > 0 && (
      <div class="scroll" tabIndex={0} role="region" aria-label={label}>
        {/* The roles are said because a browser forgets them where the style sheet lays the rows out as cards. */}
        <table role="table">
          <thead role="rowgroup">
            <tr role="row">
              {columns.map(({ isNumber, title }) => (
                <th key={title} role="columnheader" scope="col" class={isNumber ? "number" : undefined}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {answer.map((row) => (
              <tr key={keyOf(row)} role="row">
                {columns.map(({ cell, isNumber, title }) => (
                  <td key={title} role="cell" data-title={title} class={isNumber ? "number" : undefined}>
                    <div>{cell(row)}</div>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    )}
  </>
)
