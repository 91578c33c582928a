/** Reads the addresses that the drive signs (protocols 5.4). Pure. */
import { Option, Redacted, Schema } from "effect"

const decode = Schema.decodeUnknownOption(
  Schema.Struct({
    list: Schema.optionalKey(
      Schema.NullOr(
        Schema.Array(
          Schema.Struct({ fid: Schema.String, downloadUrl: Schema.optionalKey(Schema.NullOr(Schema.String)) })
        )
      )
    )
  })
)

/** As it came, since it is signed; `NoSuchFile` when the drive gives none for it; undefined of what is no address. */
export const addressOf = (data: unknown, fid: string): Redacted.Redacted | "NoSuchFile" | undefined => {
  const answer = Option.getOrUndefined(decode(data))
  if (answer === undefined) return undefined
  const list = answer.list ?? []
  const address = list.find((file) => file.fid === fid)?.downloadUrl ?? ""
  // Of another file than was asked for.
  if (address === "") return list.every((file) => file.fid === fid) ? "NoSuchFile" : undefined
  return /^https?:$/.test(URL.parse(address)?.protocol ?? "") ? Redacted.make(address) : undefined
}
