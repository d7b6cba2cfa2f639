import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";

/** What happens to one request. `hang`: it is read and never answered; `take-and-hang`: taken, and never answered. */
export type Fate = "take" | "busy" | "fail" | "refuse" | "redirect" | "hang" | "take-and-hang";

/** A message that a receiver took. Receivers of this kind drop nothing: what comes twice is here twice. */
export interface Taken {
  readonly path: string;
  readonly key: string;
  readonly atMs: number;
  readonly body: unknown;
  readonly headers: IncomingMessage["headers"];
}

export interface Receivers {
  readonly url: string;
  readonly taken: readonly Taken[];
  /** Times of all requests by path, taken or not: what a rate limit counts. */
  readonly asked: ReadonlyMap<string, readonly number[]>;
  /** What stands in Slack's channel by now, by `ts`. */
  readonly messages: readonly Message[];
  /** Ends every connection that waits for an answer. */
  hangUp(): void;
  close(): Promise<void>;
}

/** Slack keeps its messages: a bot can find, thread and update them. */
export interface Message {
  readonly ts: string;
  readonly thread: string | undefined;
  body: Record<string, unknown>;
}

/**
 * The receivers' side, played by the published rules: `/slack/…` an incoming webhook, `/api/…` Slack's Web API, `/teams/…` a workflow,
 * anything else a webhook. `fate` decides about every message; looking messages up always works.
 */
export async function startReceivers(fate: (path: string) => Fate): Promise<Receivers> {
  const taken: Taken[] = [];
  const asked = new Map<string, number[]>();
  const messages: Message[] = [];
  let clock = 1_700_000_000;

  const take = (path: string, headers: IncomingMessage["headers"], body: Record<string, unknown>): object | string => {
    taken.push({ path, key: keyOf(path, headers, body), atMs: Date.now(), body, headers });
    if (path === "/api/chat.postMessage") {
      const ts = `${++clock}.000100`;
      messages.push({ ts, thread: body["thread_ts"] as string | undefined, body });
      return { ok: true, ts, channel: body["channel"] };
    }
    return path.startsWith("/slack") ? "ok" : "";
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname: path, searchParams } = new URL(request.url ?? "", "http://x");
    const body = JSON.parse((await text(request)) || "{}") as Record<string, unknown>;
    if (path === "/api/conversations.history" || path === "/api/conversations.replies") {
      const thread = path.endsWith("replies") ? (searchParams.get("ts") ?? "") : undefined;
      const shown = messages.filter((message) => message.thread === thread).reverse();
      return reply(response, 200, {
        ok: true,
        messages: shown.map(({ ts, body: { metadata } }) => ({ ts, metadata })),
      });
    }
    if (path === "/api/chat.update") {
      const found = messages.find(({ ts }) => ts === body["ts"]);
      if (found !== undefined) found.body = { ...found.body, ...body };
      return reply(response, 200, found === undefined ? { ok: false, error: "message_not_found" } : { ok: true });
    }
    asked.set(path, [...(asked.get(path) ?? []), Date.now()]);
    const done = path.startsWith("/teams") ? 202 : 200;
    switch (fate(path)) {
      case "take":
        return reply(response, done, take(path, request.headers, body));
      case "busy":
        return reply(response, 429, "slow down", { "retry-after": "1" });
      case "fail":
        return reply(response, 503 - 3, "no");
      case "refuse":
        return path.startsWith("/api")
          ? reply(response, 200, { ok: false, error: "channel_not_found" })
          : reply(response, 404, "no_service");
      case "redirect":
        return reply(response, 302, "", { location: "http://127.0.0.1:1/elsewhere" });
      case "take-and-hang":
        take(path, request.headers, body);
    }
  };

  const server = createHttpServer((request, response) => void answer(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    asked,
    messages,
    hangUp: () => server.closeAllConnections(),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function keyOf(path: string, headers: IncomingMessage["headers"], body: Record<string, unknown>): string {
  if (path.startsWith("/api")) {
    return (body["metadata"] as { event_payload: { key: string } }).event_payload.key;
  }
  return String(headers["idempotency-key"] ?? JSON.stringify(body));
}

function reply(
  response: ServerResponse,
  status: number,
  body: object | string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

export interface MailServer {
  readonly url: URL;
  /** Messages as they came after DATA. */
  readonly mails: readonly string[];
  close(): Promise<void>;
}

/** The least of SMTP (RFC 5321) that takes a message. `at` answers a command in another way than with yes. */
export async function startMailServer(
  at: (command: string) => string | "hang" | undefined = () => undefined,
): Promise<MailServer> {
  const mails: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined); // a client that hangs up is the client's affair
    let mail: string[] | undefined;
    const say = (line: string) => socket.write(`${line}\r\n`);
    say("220 test");
    createInterface(socket).on("line", (line) => {
      if (mail !== undefined) {
        if (line !== ".") return void mail.push(line);
        mails.push(mail.join("\n"));
        mail = undefined;
        const other = at(".");
        return other === "hang" ? undefined : void say(other ?? "250 taken");
      }
      const command = line.slice(0, 4).toUpperCase();
      const other = at(command);
      if (other === "hang") return undefined;
      if (other !== undefined) return void say(other);
      if (command === "DATA") mail = [];
      return void say(command === "DATA" ? "354 go on" : command === "QUIT" ? "221 bye" : "250 fine");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: new URL(`smtp://127.0.0.1:${(server.address() as AddressInfo).port}`),
    mails,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
