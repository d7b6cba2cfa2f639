import type { Caller, Permission } from "./roles.js";

/** HTTP as rooms describe it to the server in `ws/`: doors and the API are values, the transport is somebody else's. */

export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Lower-case name. Undefined when absent. */
  header(name: string): string | undefined;
  /** The whole body, never more than the route's `maxBodyBytes`. */
  readonly body: Uint8Array;
  readonly remoteAddress: string;
  readonly caller: Caller;
}

export interface HttpReply {
  readonly status: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface HttpRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** `open`: anybody who can reach the port; `key`: whoever may do what `needs` says; `own`: the handler checks (webhook signatures). */
  readonly access: "open" | "key" | "own";
  /** What the caller must be permitted to do. @default "administer" for `key`, "status" for `open` beyond loopback */
  readonly needs?: Permission;
  /** Hard limit, enforced while the body streams in: more is answered 413 and never buffered. */
  readonly maxBodyBytes: number;
  handle(request: HttpRequest): Promise<HttpReply>;
}

export function jsonReply(status: number, body: unknown): HttpReply {
  return { status, type: "application/json", body: JSON.stringify(body) };
}
