import { createLogger } from "../../../src/core/logger.js";
import { CHANNELS } from "../../../src/pipelines/index.js";
import { createGateway, type Gateway, type GatewayOptions } from "../../../src/ws/index.js";
import { type MemoryLog, memoryLog } from "../../support/memory-log.js";
import type { TestClient } from "../support.js";
import { client } from "../support.js";

export const KEY = "0123456789abcdef0123456789abcdef";
type Scope = { teardown(work: () => unknown): void };

/** A gateway whose log holds the streams channels and audit need. */
export async function startGateway(
  t: Scope,
  options: Partial<GatewayOptions> = {},
): Promise<{ gateway: Gateway; log: MemoryLog; call: Call; socket: Open }> {
  const log = memoryLog();
  for (const name of ["alerts", "plans", "features", "audit", "commands"])
    await log.ensureStream({ name, subjects: [`${name}.>`], maxBytes: 1 });
  const gateway = await createGateway({
    log,
    channels: CHANNELS,
    routes: [],
    host: "127.0.0.1",
    port: 0,
    localKey: KEY,
    logger: createLogger("silent"),
    stats: () => ({ uptimeS: 1 }) as never,
    readiness: () => [],
    query: async () => ({ columns: [], rows: [], truncated: false, elapsedMs: 0 }),
    ...options,
  });
  t.teardown(() => gateway.close());
  const call: Call = async (path, { credential, ...init } = {}) => {
    const headers = new Headers(init.headers);
    if (credential !== undefined) headers.set("authorization", `Bearer ${credential}`);
    const response = await fetch(gateway.url + path, { ...init, headers });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const socket: Open = (credential, options = {}) =>
    client(`${gateway.url.replace("http", "ws")}/ws?key=${encodeURIComponent(credential)}`, options);
  return { gateway, log, call, socket };
}

export type Call = (
  path: string,
  init?: RequestInit & { credential?: string },
) => Promise<{ status: number; headers: Headers; text: string }>;
export type Open = (credential: string, options?: Parameters<typeof client>[1]) => Promise<TestClient>;

/** Asks one thing over a WebSocket and resolves with the answer to it. */
export async function ask(c: TestClient, frame: Record<string, unknown>): Promise<Record<string, unknown>> {
  c.send(frame);
  return c.until(({ id }) => id === frame["id"]);
}
