/** Reads the data of one server-sent event: a `ResponseEvent` in base64, as leniently as Warp's servers make necessary. */
import { fromBinary } from "@bufbuild/protobuf"
import { Result } from "effect"
import { Base64Url } from "effect/encoding"
import { type ResponseEvent, ResponseEventSchema } from "./warp_pb.ts"

/** Quotes and blanks around or within, padding or none, either alphabet. Never hexadecimal, which some base64 looks like. */
export const decodeEventData = (data: string): Result.Result<ResponseEvent, string> => {
  const plain = Base64Url.decode(data)
  const bytes = Result.isSuccess(plain) ? plain : Base64Url.decode(normalised(data))
  if (Result.isFailure(bytes)) return Result.fail("an event of the stream is not base64")
  return Result.try({
    try: () => fromBinary(ResponseEventSchema, bytes.success),
    catch: () => "an event of the stream is not a message of the protocol"
  })
}

const normalised = (data: string) =>
  data
    .replace(/[\s"']/g, "")
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "")
