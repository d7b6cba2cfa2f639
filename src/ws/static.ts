import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { type HttpReply, MillraceError } from "../core/index.js";
import type { RequestHead } from "./transport.js";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};

/** Nothing but our own files; `ws:` beside 'self' because older browsers do not count WebSockets of the same host as self. */
const HEADERS = {
  "content-security-policy":
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  // The page's address carries the key.
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cross-origin-opener-policy": "same-origin",
} as const;

const MAX_TOTAL_BYTES = 16 << 20;

export interface StaticFiles {
  /** Undefined when no file has this path. Answers 304 where the client's copy is still right. */
  reply(head: RequestHead): HttpReply | undefined;
  readonly paths: readonly string[];
}

/**
 * Reads every file under `directory` into memory once: a path is looked up, never opened, so no path can lead outside. Names starting
 * with a dot, links and types we do not know are left out. `index.html` answers for `/`.
 * Errors: MR_OPTION_INVALID when the directory cannot be read or holds more than 16 MB.
 */
export async function loadStatic(directory: string): Promise<StaticFiles> {
  const files = new Map<
    string,
    { readonly body: Buffer; readonly headers: Record<string, string>; readonly type: string }
  >();
  let total = 0;
  const walk = async (folder: string, prefix: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory()) await walk(join(folder, entry.name), `${prefix}${entry.name}/`);
      const type = TYPES[extname(entry.name)];
      if (!entry.isFile() || type === undefined) continue;
      const body = await readFile(join(folder, entry.name));
      total += body.byteLength;
      if (total > MAX_TOTAL_BYTES) throw new Error(`more than ${MAX_TOTAL_BYTES} bytes`);
      const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
      const headers = { ...HEADERS, etag, "cache-control": "no-cache" }; // kept, but asked for again: one 304 each
      files.set(`${prefix}${entry.name}`, { body, headers, type });
      if (entry.name === "index.html") files.set(prefix, { body, headers, type });
    }
  };
  try {
    await walk(directory, "/");
  } catch (cause) {
    throw new MillraceError("MR_OPTION_INVALID", `reading the page from ${directory}: ${(cause as Error).message}`, {
      cause,
    });
  }
  return {
    paths: [...files.keys()],
    reply(head) {
      const file = files.get(head.path);
      if (!file) return undefined;
      if (head.header("if-none-match") === file.headers.etag) return { status: 304, headers: file.headers };
      return { status: 200, type: file.type, headers: file.headers, body: file.body };
    },
  };
}
