/** Why what was sent came to nothing, told at once to who does not see it. */
export const Refusal = ({ text }: { readonly text: string | undefined }) =>
  text === undefined ? null : (
    <p class="trouble lines" role="alert">
      {text}
    </p>
  )
