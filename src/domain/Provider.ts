/** The name under which the pool, the ledger and the configuration know Warp. */
export const warpProvider = "warp"
