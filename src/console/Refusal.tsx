/** Why the server refused what was sent; screen readers read it at once. */
export const Refusal = ({ text }: { readonly text: string | undefined }) =>
  text === undefined ? null : (
    <p class="trouble lines" role="alert">
      {text}
    </p>
  )
