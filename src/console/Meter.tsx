/** How much of a limit is used. */
interface Properties {
  readonly used: number
  readonly most: number
  /** What is measured, for screen readers. */
  readonly label: string
  /** What is written above it. */
  readonly text: string
  /** That nothing is left is trouble, and not a limit well used. */
  readonly isScarce?: boolean
}

const scarce = { low: 0.8, high: 0.999, optimum: 0 }

export const Meter = ({ isScarce = false, label, most, text, used }: Properties) => {
  const share = most === 0 ? 1 : Math.min(1, Math.max(0, used / most))
  return (
    <span class="meter">
      <span>{text}</span>
      <meter aria-label={label} min={0} max={1} value={share} {...(isScarce && scarce)} />
    </span>
  )
}
