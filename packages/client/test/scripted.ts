import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import type { SubscribeFrame } from "../src/frames.js";

/** One connection as the scripted gateway sees it: it answers nothing that the test does not make it answer. */
export interface Visit {
  readonly path: string;
  /** The next frame of the client. */
  next(): Promise<Record<string, unknown>>;
  /** The next frame, which must be a `subscribe`; answered with `answer`. */
  subscribed(answer: { epoch: string; offset: number; [more: string]: unknown }): Promise<SubscribeFrame>;
  say(...frames: readonly object[]): void;
  hello(more?: object): void;
  close(code: number): void;
  /** As a lost line: no close frame. */
  cut(): void;
  readonly gone: Promise<unknown>;
}

export interface Scripted {
  readonly url: string;
  /** The next connection of the client. */
  visit(): Promise<Visit>;
  close(): Promise<void>;
}

/** A gateway that says exactly what a test tells it to: for the faults that a right one does not have. */
export async function scripted(): Promise<Scripted> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const visits = mailbox<Visit>();
  server.on("connection", (socket, request) => visits.put(visitOf(socket, request.url ?? "")));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    visit: visits.take,
    async close() {
      for (const socket of server.clients) socket.terminate();
      server.close();
      await once(server, "close");
    },
  };
}

function visitOf(socket: WebSocket, path: string): Visit {
  const frames = mailbox<Record<string, unknown>>();
  socket.on("message", (data) => frames.put(JSON.parse(String(data)) as Record<string, unknown>));
  const say = (...said: readonly object[]) => {
    for (const frame of said) socket.send(JSON.stringify(frame));
  };
  return {
    path,
    next: frames.take,
    async subscribed(answer) {
      const frame = (await frames.take()) as unknown as SubscribeFrame;
      if (frame.op !== "subscribe") throw new Error(`expected a subscribe, got ${JSON.stringify(frame)}`);
      say({ op: "subscribed", id: frame.id, channel: frame.channel, ...answer });
      return frame;
    },
    say,
    hello: (more = {}) =>
      say({ op: "hello", protocol: "millrace.v1", client: "c1", user: "ana", heartbeatMs: 25_000, ...more }),
    close: (code) => socket.close(code),
    cut: () => socket.terminate(),
    gone: once(socket, "close"),
  };
}

function mailbox<T>(): { put(item: T): void; take(): Promise<T> } {
  const items: T[] = [];
  const takers: ((item: T) => void)[] = [];
  return {
    put(item) {
      const taker = takers.shift();
      if (taker === undefined) items.push(item);
      else taker(item);
    },
    take: async () => items.shift() ?? new Promise((resolve) => takers.push(resolve)),
  };
}
