import { BlockList, isIP, isIPv6 } from "node:net";
import type { RequestHead } from "./transport.js";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** True for addresses only this machine can reach, IPv4 inside IPv6 among them. Names other than `localhost` are not looked up. */
export function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  return LOOPBACK.check(host, isIPv6(host) ? "ipv6" : "ipv4");
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

/**
 * Whether a request to a loopback address also began on this machine, as far as that shows. Not when a proxy handed it on, and not when
 * it asks for a name on the internet: a page may have its own name lead to 127.0.0.1 and read what is open there.
 */
export function seemsLocal(head: RequestHead): boolean {
  if (["x-forwarded-for", "forwarded", "via"].some((name) => head.header(name) !== undefined)) return false;
  const name = (head.header("host") ?? "")
    .toLowerCase()
    .replace(/:\d+$/, "")
    .replace(/^\[(.*)\]$/, "$1");
  return !name.includes(".") || isIP(name) !== 0 || name.endsWith(".localhost");
}
