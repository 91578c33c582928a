/** One of a few, or all of them. */
interface Properties<Option extends string> {
  readonly label: string
  readonly options: ReadonlyArray<Option>
  /** Undefined: all. */
  readonly chosen: Option | undefined
  readonly onChoose: (option: Option | undefined) => void
}

export const Choice = <Option extends string>({ chosen, label, onChoose, options }: Properties<Option>) => (
  <label>
    {label}
    <select
      value={chosen ?? ""}
      onChange={({ currentTarget: { value } }) => onChoose(options.find((option) => option === value))}
    >
      <option value="">all</option>
      {options.map((option) => (
        <option key={option}>{option}</option>
      ))}
    </select>
  </label>
)
