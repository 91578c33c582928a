/** Whether one more user may be created now: in no window of time, wherever it begins, more than its count. */

export interface CreationWindow {
  readonly count: number
  readonly millis: number
}

/**
 * `created` holds the instants of earlier creations, oldest first; the answer's `created` is what has to be remembered.
 * A refused attempt leaves no trace. An instant that lies exactly one window back no longer counts.
 */
export const admit = (
  created: ReadonlyArray<number>,
  now: number,
  windows: ReadonlyArray<CreationWindow>
): { readonly admitted: boolean; readonly created: ReadonlyArray<number> } => {
  const longest = windows.reduce((millis, window) => Math.max(millis, window.millis), 0)
  const recent = created.filter((at) => at > now - longest)
  const admitted = windows.every((window) => recent.filter((at) => at > now - window.millis).length < window.count)
  return { admitted, created: admitted ? [...recent, now] : recent }
}
