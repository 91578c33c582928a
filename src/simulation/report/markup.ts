/** HTML in which nothing but markup is markup: whatever is put into it is escaped. */

export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Part = Markup | string | number | undefined | ReadonlyArray<Markup>

export const html = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Markup =>
  new Markup(String.raw({ raw: strings }, ...parts.map(textOf)))

const textOf = (part: Part): string => {
  if (part === undefined) return ""
  if (part instanceof Markup) return part.text
  return typeof part === "object" ? part.map(({ text }) => text).join("") : escaped(`${part}`)
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** JSON that can stand in a `script` element: no text in it can end the element or begin a comment. */
export const jsonIn = (value: unknown): Markup => new Markup(JSON.stringify(value).replaceAll("<", "\\u003c"))
