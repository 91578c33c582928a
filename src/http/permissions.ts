/** Who may do what: by group of the contract, one line each. */
import type { Role } from "../access/Client.ts"

export interface Rule {
  readonly roles: ReadonlyArray<Role>
  /** Whether a key is needed although there is none yet; else everyone on this machine may, until the first key exists. */
  readonly always: boolean
}

const rules: Readonly<Record<string, Rule>> = {
  calls: { roles: ["inference", "admin"], always: false },
  models: { roles: ["inference", "admin"], always: false },
  traces: { roles: ["inference", "admin"], always: false },
  tokens: { roles: ["token", "admin"], always: true },
  drive: { roles: ["inference", "token", "admin"], always: true },
  admin: { roles: ["admin"], always: true },
  console: { roles: ["admin"], always: true },
  /** Off the loopback, and through a proxy; on this machine itself everyone may. */
  metrics: { roles: ["admin"], always: true }
}

/** What the contract does not name is for nobody but whoever runs the server. */
const strictest: Rule = { roles: ["admin"], always: true }

export const ruleOf = (group: string): Rule => rules[group] ?? strictest
