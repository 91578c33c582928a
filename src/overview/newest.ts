/** What is new in a list of the newest, which may have lost its oldest: a pure rule. Entries have no names; they are compared as text. */

/** `before` and `now` are newest first. All of `now` when nothing of `before` is left in it. */
export const countNew = (before: ReadonlyArray<string>, now: ReadonlyArray<string>): number => {
  for (let fresh = 0; fresh < now.length; fresh++) {
    const kept = now.length - fresh
    let same = 0
    while (same < kept && same < before.length && now[fresh + same] === before[same]) same++
    if (before.length > 0 && (same === kept || same === before.length)) return fresh
  }
  return now.length
}
