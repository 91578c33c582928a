import { BaseSequencer, type TestSpecification } from "vitest/node"

/**
 * The files whose tests take the longest begin first, so that none of them is left to run alone at the end. A fresh clone
 * knows no times of earlier runs, and a file's size, which is what counts then, says little.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    // oxlint-disable-next-line unicorn/no-array-sort -- no array's, but the sequencer's own
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => rank(a.moduleId) - rank(b.moduleId))
  }
}

const rank = (file: string) => {
  const at = long.findIndex((part) => file.includes(part))
  return at === -1 ? long.length : at
}

/** Those of tens of seconds by name, and then the folders that start processes and browsers. */
const long = [
  "/acceptance/restarts",
  "/console/story",
  "/acceptance/rotation",
  "/acceptance/commands",
  "/acceptance/wire",
  "/package/",
  "/acceptance/faults",
  "/acceptance/",
  "/cli/",
  "/console/",
  "/traffic/Governor.",
  "/acquisition/",
  "/pool/",
  ".browser."
]
