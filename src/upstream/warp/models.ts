/** The models that Warp's clients offered in 2025. Which of them an account may use, the upstream decides. */
export const warpModels = [
  "auto",
  "warp-basic",
  "gpt-5",
  "gpt-5 (high reasoning)",
  "gpt-4o",
  "gpt-4.1",
  "claude-4-sonnet",
  "claude-4-opus",
  "claude-4.1-opus",
  "o3",
  "o4-mini",
  "gemini-2.5-pro"
] as const
