/** Puts an event on the wire, plainly as Warp does or in one of the ways a reader has to bear. */
import { toBinary } from "@bufbuild/protobuf"
import { Base64Url } from "effect/encoding"
import { ResponseEventSchema } from "../../upstream/warp/warp_pb.ts"
import type { ResponseEvent } from "../../upstream/warp/warp_pb.ts"
import type { WarpFault } from "./warpFault.ts"

export const dataOf = (event: ResponseEvent): string => Base64Url.encodePadded(toBinary(ResponseEventSchema, event))

/** The pieces to write, each by itself. */
export const frame = (data: string, kind: WarpFault["kind"] | undefined): ReadonlyArray<string> => {
  switch (kind) {
    case "crlf":
      return [`data: ${data}\r\n\r\n`]
    case "multi_line":
      return [`${data.replace(/.{1,24}/g, "data: $&\n")}\n`]
    case "comments":
      return [`: keep-alive\n\nevent: message\nid: 1\nretry: 3000\ndata: ${data}\n: done\n\n`]
    case "quoted":
      return [`data: "${data}"\n\n`]
    case "unpadded":
      return [`data: ${data.replace(/=+$/, "")}\n\n`]
    case "split":
      return `data: ${data}\n\n`.match(/[^]{1,7}/g) ?? []
    default:
      return [`data: ${data}\n\n`]
  }
}
