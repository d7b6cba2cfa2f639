import type { HttpRequest } from "../../src/core/index.js";

/** A request as the server hands it to a route. */
export function httpRequest(
  path: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): HttpRequest {
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    method: "POST",
    path,
    query: new URLSearchParams(),
    header: (name) => lower.get(name),
    body,
    remoteAddress: "127.0.0.1",
    caller: { subject: "local", role: "admin" },
  };
}
