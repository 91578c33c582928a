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
  readonly asked: Asked<ReadonlyArray<Row>>
  readonly columns: ReadonlyArray<Column<Row>>
  readonly keyOf: (row: Row) => string
  /** What it means that there is none. */
  readonly empty: string
}

export const Table = <Row,>({ asked: { answer, trouble }, columns, empty, keyOf }: Properties<Row>) => (
  <>
    {trouble !== undefined && (
      <p class="notice trouble" role="status">
        {trouble.message} {answer !== undefined && "What is shown is what was known last."}
      </p>
    )}
    {answer === undefined && trouble === undefined && <p class="notice">Loading …</p>}
    {answer?.length === 0 && <p class="notice">{empty}</p>}
    {answer !== undefined && answer.length > 0 && (
      <div class="scroll" tabIndex={0} role="region" aria-label="Table">
        <table>
          <thead>
            <tr>
              {columns.map(({ isNumber, title }) => (
                <th key={title} scope="col" class={isNumber ? "number" : undefined}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {answer.map((row) => (
              <tr key={keyOf(row)}>
                {columns.map(({ cell, isNumber, title }) => (
                  <td key={title} data-title={title} class={isNumber ? "number" : undefined}>
                    {cell(row)}
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
