import { createHash, timingSafeEqual } from "node:crypto";
import type { RequestHead } from "./transport.js";

/** Whether a request carries the local key, as `Authorization: Bearer <key>` or `?key=<key>`; the header wins when both are there. */
export type KeyCheck = (head: RequestHead) => boolean;

/** Compares in constant time: both sides are hashed first, so neither content nor length shows. */
export function keyCheck(localKey: string): KeyCheck {
  const expected = digest(localKey);
  return (head) => {
    const given = bearer(head.header("authorization")) ?? head.query.get("key");
    return given !== null && given !== undefined && timingSafeEqual(digest(given), expected);
  };
}

function bearer(header: string | undefined): string | undefined {
  return header === undefined ? undefined : (/^bearer +(\S+) *$/i.exec(header)?.[1] ?? "");
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** True for addresses only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/**
 * A browser always says where a WebSocket was opened from, and lets any page open one: accept our own pages and the `allowed`
 * origins (`https://host[:port]`). Programs send no Origin and are let through to the key check.
 */
export function isOriginAllowed(head: RequestHead, allowed: readonly string[]): boolean {
  const origin = head.header("origin");
  if (origin === undefined) return true;
  if (allowed.includes(origin)) return true;
  try {
    return new URL(origin).host === head.header("host")?.toLowerCase();
  } catch {
    return false; // "null": a sandboxed frame or a file
  }
}
