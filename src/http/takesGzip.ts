/** Whether an `Accept-Encoding` header takes gzip (RFC 9110, 12.5.3); a weight of 0 says no. */
export const takesGzip = (accepted: string): boolean =>
  accepted.split(",").some((coding) => /^\s*(x-)?gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(coding))
