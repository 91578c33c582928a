/** What tokens are called that nobody has named: a pure rule. */

/** `Token-1`, `Token-2`, …: for each without a name the first that is free; those that are given stay as they are. */
export const namesOf = (
  wanted: ReadonlyArray<string | undefined>,
  taken: ReadonlySet<string>
): ReadonlyArray<string> => {
  const used = new Set([...taken, ...wanted.filter((name) => name !== undefined)])
  let n = 1
  return wanted.map((name) => {
    if (name !== undefined) return name
    while (used.has(`Token-${n}`)) n += 1
    const free = `Token-${n}`
    used.add(free)
    return free
  })
}
