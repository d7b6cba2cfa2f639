import { createHash, timingSafeEqual } from "node:crypto";
import type { RequestHead } from "../transport.js";

/** The secret a request shows: `Authorization: Bearer …`, or `?key=…`, which is all a browser can send with a WebSocket; the header wins. */
export function credentialOf(head: RequestHead): string | undefined {
  const header = head.header("authorization");
  if (header !== undefined) return /^bearer +(\S+) *$/i.exec(header)?.[1] ?? "";
  return head.query.get("key") ?? head.query.get("token") ?? undefined;
}

export function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Whether `text` has this digest, in the same time whatever it holds: neither content nor length shows. */
export function matchesDigest(text: string, expected: Buffer): boolean {
  return timingSafeEqual(digest(text), expected);
}
