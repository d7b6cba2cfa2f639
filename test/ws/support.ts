import { connect } from "node:net";
import t from "tap";
import { type ClientOptions, WebSocket } from "ws";

/** The transports this machine can run; one that it cannot shows up as skipped, with the reason. */
export const TRANSPORTS: readonly ("uws" | "node")[] = await import("uWebSockets.js").then(
  () => ["uws", "node"] as const,
  (error: Error) => {
    t.test("uws: every test", { skip: error.message.split("\n")[0] ?? "it does not load" }, () => {});
    return ["node"] as const;
  },
);

/** Sends `text` on a fresh connection and resolves with all that comes back until the server closes it, or `enough` says so. */
export function raw(port: number, text: string, enough: (answer: string) => boolean = () => false): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      if (enough(answer)) socket.destroy();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
  });
}

/** A WebSocket client that keeps what it gets, so that no frame is missed between two awaits. */
export interface TestClient {
  readonly ws: WebSocket;
  /** The next text frame, parsed. Rejects when the connection closes first. */
  next(): Promise<Record<string, unknown>>;
  /** The next frame for which `test` holds; others are dropped. */
  until(test: (frame: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  send(frame: unknown): void;
  readonly closed: Promise<{ code: number; reason: string }>;
  /** Raw text of every frame so far. */
  readonly log: string[];
}

/** Resolves once open. Rejects with `Error("<status>")` when the upgrade is refused. */
export async function client(url: string, options: ClientOptions = {}): Promise<TestClient> {
  const ws = new WebSocket(url, options);
  const log: string[] = [];
  const queue: Record<string, unknown>[] = [];
  let wake: (() => void) | undefined;
  let isClosed = false;
  ws.on("message", (data) => {
    log.push(data.toString());
    queue.push(JSON.parse(data.toString()));
    wake?.();
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.on("close", (code, reason) => {
      isClosed = true;
      wake?.();
      resolve({ code, reason: reason.toString() });
    });
  });
  await new Promise<void>((resolve, reject) => {
    ws.once("open", resolve);
    ws.once("unexpected-response", (_request, response) => {
      ws.terminate();
      reject(new Error(String(response.statusCode)));
    });
    ws.on("error", reject);
  });
  const next = async () => {
    for (;;) {
      const frame = queue.shift();
      if (frame) return frame;
      if (isClosed)
        throw new Error(`closed before the next frame: ${JSON.stringify(await closed)} after ${JSON.stringify(log)}`);
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return {
    ws,
    log,
    closed,
    next,
    async until(test) {
      for (;;) {
        const frame = await next();
        if (test(frame)) return frame;
      }
    },
    send: (frame) => ws.send(typeof frame === "string" ? frame : JSON.stringify(frame)),
  };
}

/** Asks until the channel is up: it starts beside the server. */
export async function ready(c: TestClient, frame: object): Promise<Record<string, unknown>> {
  for (;;) {
    c.send(frame);
    const answer = await c.next();
    if (answer.code !== "unavailable") return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
