import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { MillraceError } from "../../core/index.js";

const inflate = promisify(gunzip);

export type Decoded =
  | { readonly kind: "body"; readonly body: Uint8Array }
  | { readonly kind: "unsupported"; readonly encoding: string };

/**
 * The body as it was before `Content-Encoding`: gzip or nothing. Stops where `maxBytes` are reached, so a small body that would grow
 * without end costs no more than an honest one. Errors: MR_TOO_LARGE, MR_REQUEST_INVALID (not gzip after all).
 */
export async function decodeBody(body: Uint8Array, encoding: string | undefined, maxBytes: number): Promise<Decoded> {
  const name = encoding?.trim().toLowerCase() ?? "";
  if (name === "" || name === "identity") return { kind: "body", body };
  if (name !== "gzip" && name !== "x-gzip") return { kind: "unsupported", encoding: name };
  try {
    return { kind: "body", body: await inflate(body, { maxOutputLength: Math.max(1, maxBytes) }) };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE")
      throw new MillraceError("MR_TOO_LARGE", `the body is over ${maxBytes} bytes once decompressed`, { cause });
    throw new MillraceError("MR_REQUEST_INVALID", "the body is not gzip", { cause });
  }
}
