/** The file's shape for editors and other tools. */
import { JsonSchema, Schema } from "effect"
import { SettingsFile } from "./SettingsFile.ts"

/**
 * Draft 2020-12. What it refuses, Weirgate refuses; Weirgate also judges what stands against what, such as a route whose
 * target no provider offers.
 */
export const jsonSchema = (): JsonSchema.JsonSchema => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(SettingsFile, { onExcessProperty: "error" })
  return {
    $schema: JsonSchema.META_SCHEMA_URI_DRAFT_2020_12,
    ...schema,
    ...(Object.keys(definitions).length > 0 && { $defs: definitions })
  }
}
