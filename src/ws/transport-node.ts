import { createServer as createHttpServer, type IncomingMessage, ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { type HttpReply, MillraceError } from "../core/index.js";
import { type BodyBudget, bodyCollector, declaredLength } from "./body.js";
import { problem } from "./problem.js";
import {
  chooseProtocol,
  type HttpApp,
  handshakeFault,
  type RequestHead,
  type Server,
  STREAM_HEADERS,
  STREAM_PROTOCOL,
  type StreamEndpoint,
  type TransportOptions,
  type WsAdmission,
  type WsEndpoint,
  type WsListener,
  type WsProtocol,
  type WsSocket,
  type WsTopic,
} from "./transport.js";

/** `node:http` with `ws`: runs wherever Node does. Rejects with MR_PORT_IN_USE. */
export async function createNodeServer(options: TransportOptions): Promise<Server> {
  const { app, limits } = options;
  const budget: BodyBudget = { used: 0, max: limits.maxBodiesBytes };
  const endpoints = new Map(options.endpoints.map((endpoint) => [endpoint.path, nodeEndpoint(endpoint)]));
  const server = createHttpServer({
    maxHeaderSize: 16 << 10,
    headersTimeout: limits.headMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: Math.min(2_000, limits.headMs),
    keepAliveTimeout: 10_000,
    requireHostHeader: false, // its absence is answered below, as any other fault
  });
  server.maxConnections = limits.maxConnections;
  server.setTimeout(120_000); // a client that reads its answer too slowly; sockets of `ws` are taken out of it

  let connections = 0;
  server.on("connection", (socket) => {
    connections++;
    socket.once("close", () => connections--);
  });
  let inFlight = 0;
  let idle: (() => void) | undefined;
  const streams = new Map(options.streams.map((stream) => [stream.path, stream]));
  /** The answers begun last, by socket: into the middle of one no other can be written. */
  const answers = new WeakMap<Duplex, ServerResponse>();
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    answers.set(request.socket, response);
    const fault = headFault(request);
    if (fault !== undefined) {
      writeReply(response, app.refuseHead(fault), { close: true });
      return;
    }
    const stream = request.method === "GET" ? streams.get(request.url?.split("?")[0] ?? "") : undefined;
    if (stream) {
      serveStream(stream, request, response);
      return;
    }
    inFlight++;
    response.once("close", () => {
      inFlight--;
      if (inFlight === 0) idle?.();
    });
    serveRequest(app, budget, request, response);
  };
  server.on("request", serve);
  // Without this listener Node says 100 Continue before the length has been looked at.
  server.on("checkContinue", serve);
  server.on("checkExpectation", (_request, response: ServerResponse) => {
    writeReply(response, app.refuseHead(417), { close: true });
  });
  server.on("connect", (request: IncomingMessage, socket: Duplex) => {
    socket.on("error", () => socket.destroy());
    answerUpgrade(request, socket, (response) => writeReply(response, app.refuseHead(405), { close: true }));
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    const answer = answers.get(socket);
    const isBetween = !answer?.headersSent || answer.writableFinished;
    if (socket.writable && isBetween && error.code !== "ECONNRESET")
      socket.end(replyText(app.refuseHead(STATUS_OF_FAULT[error.code ?? ""] ?? 400)), () => socket.destroy());
    else socket.destroy();
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, rest: Buffer) => {
    socket.on("error", () => socket.destroy());
    const head = readHead(request);
    const endpoint = head && request.method === "GET" ? endpoints.get(head.path) : undefined;
    const isWebSocket = request.headers.upgrade?.toLowerCase() === "websocket";
    if (head && endpoint && isWebSocket) {
      const decide = (admission: WsAdmission) => {
        if (socket.destroyed) return;
        if (admission.kind === "accept") endpoint.upgrade(request, socket, rest, admission.open);
        else answerUpgrade(request, socket, (response) => writeReply(response, admission.reply, { close: true }));
      };
      const fault = handshakeFault(head);
      const admission = fault ? { kind: "refuse" as const, reply: fault } : endpoint.spec.admit(head);
      if (admission instanceof Promise) void admission.then(decide);
      else decide(admission);
      return;
    }
    // Any other upgrade (h2c) is an offer we may ignore: answer it as the plain request it also is.
    answerUpgrade(request, socket, (response) => serve(request, response));
  });

  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const code = cause.code === "EADDRINUSE" || cause.code === "EACCES" ? "MR_PORT_IN_USE" : "MR_OPTION_INVALID";
      reject(new MillraceError(code, `listening on ${options.host}:${options.port}: ${cause.message}`, { cause }));
    });
    server.listen(options.port, options.host, resolve);
  });

  const beat = setInterval(
    () => {
      for (const endpoint of endpoints.values()) endpoint.heartbeat();
    },
    (limits.wsIdleS * 1_000) / 2,
  );
  beat.unref();

  let closing: Promise<void> | undefined;
  return {
    transport: "node",
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    topic: (binary) => new Topic(binary),
    close(graceMs) {
      closing ??= (async () => {
        clearInterval(beat);
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        if (inFlight > 0) await Promise.race([new Promise<void>((resolve) => (idle = resolve)), delay(graceMs)]);
        for (const endpoint of endpoints.values()) endpoint.terminateAll();
        server.closeAllConnections();
        await closed;
      })();
      return closing;
    },
  };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

/** What Node's parser says of a request it gives up, where it is not simply unreadable. */
const STATUS_OF_FAULT: Readonly<Record<string, 408 | 413 | 431>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

function headFault({ httpVersionMajor, httpVersion, headers }: IncomingMessage): 400 | 505 | undefined {
  if (httpVersionMajor !== 1) return 505;
  return httpVersion === "1.1" && headers.host === undefined ? 400 : undefined;
}

function readHead(request: IncomingMessage): RequestHead | undefined {
  const url = request.url ?? "";
  if (!url.startsWith("/")) return undefined;
  const mark = url.indexOf("?");
  return {
    method: request.method ?? "GET",
    path: mark < 0 ? url : url.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1)),
    remoteAddress: request.socket.remoteAddress ?? "",
    header(name) {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
  };
}

function serveRequest(app: HttpApp, budget: BodyBudget, request: IncomingMessage, response: ServerResponse): void {
  const head = readHead(request);
  request.on("error", () => {}); // an abort while the body streams in; `close` follows
  if (!head) {
    writeReply(response, app.refuseHead(400), { close: true });
    return;
  }
  const hasBody =
    request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
  const decision = app.begin(head);
  if (decision.kind === "reply") {
    writeReply(response, decision.reply, { close: hasBody });
    return;
  }

  const { maxBodyBytes } = decision;
  const length = declaredLength(request.headers["content-length"]);
  if (length !== undefined && !(length <= maxBodyBytes)) {
    const reason = Number.isNaN(length) ? "bad-length" : "too-large";
    writeReply(response, app.refuseBody(reason, maxBodyBytes), { close: true });
    return;
  }
  if (request.headers.expect !== undefined) response.writeContinue();

  const body = bodyCollector(maxBodyBytes, budget);
  response.once("close", () => body.release());
  const onData = (chunk: Buffer) => {
    const verdict = body.push(chunk);
    if (verdict === "ok") return;
    request.off("data", onData).off("end", onEnd).pause();
    writeReply(response, app.refuseBody(verdict, maxBodyBytes), { close: true });
  };
  const onEnd = () => {
    void decision.handle(body.take()).then((reply) => {
      if (!response.destroyed) writeReply(response, reply, { close: false });
    });
  };
  request.on("data", onData).on("end", onEnd);
}

/** An answer for a socket that has no request. */
function replyText({ status, type, headers = {}, body = "" }: HttpReply): string {
  const all = { ...headers, ...(type && { "content-type": type }), "content-length": Buffer.byteLength(body) };
  const lines = Object.entries({ ...all, connection: "close" }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n${body}`;
}

/** `close` when the request's body was not read to its end: the connection cannot be used again. */
function writeReply(response: ServerResponse, reply: HttpReply, { close }: { close: boolean }): void {
  const body = reply.body ?? "";
  const bodyless = reply.status === 204 || reply.status === 304;
  response.writeHead(reply.status, {
    ...(reply.type === undefined ? {} : { "content-type": reply.type }),
    ...(bodyless ? {} : { "content-length": Buffer.byteLength(body) }),
    ...reply.headers,
    ...(close ? { connection: "close" } : {}),
  });
  response.end(bodyless || response.req.method === "HEAD" ? undefined : body);
}

function serveStream(endpoint: StreamEndpoint, request: IncomingMessage, response: ServerResponse): void {
  request.on("error", () => {});
  const decide = (admission: WsAdmission) => {
    if (response.destroyed) return;
    if (admission.kind === "refuse") {
      writeReply(response, admission.reply, { close: false });
      return;
    }
    response.writeHead(200, STREAM_HEADERS);
    response.write(": hello\n\n");
    request.socket.setTimeout(0);
    const isOpen = () => !response.writableEnded && !response.destroyed;
    let code = 1006;
    const listener = admission.open({
      protocol: STREAM_PROTOCOL,
      send(frame) {
        if (isOpen()) response.write(frame);
      },
      cork(work) {
        response.cork();
        try {
          work();
        } finally {
          response.uncork();
        }
      },
      bufferedBytes: () => (isOpen() ? response.writableLength : 0),
      close(why) {
        code = why;
        if (isOpen()) response.end(() => request.socket.end());
      },
      terminate: () => response.destroy(),
    });
    response.on("drain", () => listener.drain());
    response.once("close", () => listener.close(code));
  };
  const head = readHead(request);
  const admission = head && endpoint.admit(head);
  if (admission instanceof Promise) void admission.then(decide);
  else if (admission) decide(admission);
}

/** After `upgrade` Node has let go of the socket, so the answer needs a response of its own. */
function answerUpgrade(request: IncomingMessage, socket: Duplex, write: (response: ServerResponse) => void): void {
  const response = new ServerResponse(request);
  response.assignSocket(socket as Parameters<ServerResponse["assignSocket"]>[0]);
  response.shouldKeepAlive = false;
  response.once("finish", () => socket.end());
  write(response);
}

type Open = (socket: WsSocket) => WsListener;

interface NodeEndpoint {
  readonly spec: WsEndpoint;
  upgrade(request: IncomingMessage, socket: Duplex, rest: Buffer, open: Open): void;
  heartbeat(): void;
  terminateAll(): void;
}

function nodeEndpoint(spec: WsEndpoint): NodeEndpoint {
  const server = new WebSocketServer({
    noServer: true,
    // Called only when something was offered; undefined agrees on nothing.
    handleProtocols: (offered) => chooseProtocol([...offered].join(), spec.protocols)?.name ?? false,
    maxPayload: spec.maxMessageBytes,
    perMessageDeflate: false,
    clientTracking: false,
  });
  // What handshakeFault leaves over, such as a list of protocols that is none.
  server.on("wsClientError", (error, socket, request) => {
    const reply = problem(400, `this is not a WebSocket handshake: ${error.message}`);
    answerUpgrade(request, socket, (response) => writeReply(response, reply, { close: true }));
  });
  const alive = new Map<WebSocket, boolean>();
  return {
    spec,
    upgrade(request, duplex, rest, open) {
      server.handleUpgrade(request, duplex, rest, (ws) => {
        alive.set(ws, true);
        ws.on("pong", () => alive.set(ws, true));
        ws.on("close", () => alive.delete(ws));
        openSocket(spec, open, ws, duplex);
      });
    },
    heartbeat() {
      for (const [ws, answered] of alive) {
        if (!answered) ws.terminate();
        else {
          alive.set(ws, false);
          ws.ping();
        }
      }
    },
    terminateAll() {
      for (const ws of alive.keys()) ws.terminate();
    },
  };
}

function openSocket(spec: WsEndpoint, open: Open, ws: WebSocket, duplex: Duplex): void {
  const isOpen = () => ws.readyState === ws.OPEN;
  const protocol = spec.protocols.find(({ name }) => name === ws.protocol);
  const binary = protocol?.binary ?? false;
  const socket = new Socket(ws, duplex, protocol);
  const listener: WsListener = open(socket);
  ws.on("message", (data, isBinary) => {
    if (isBinary !== binary) {
      ws.close(1003, binary ? "binary frames only" : "text frames only");
      return;
    }
    if (isOpen()) listener.message(binary ? (data as Buffer) : data.toString());
  });
  // Pongs are made by `ws` itself: a client that pings and never reads would grow them without end.
  ws.on("ping", () => {
    if (ws.bufferedAmount > spec.maxBufferedBytes) ws.terminate();
  });
  ws.on("error", () => {}); // oversized or broken frames: `ws` answers 1009 or 1007 and `close` follows
  duplex.on("drain", () => {
    if (isOpen()) listener.drain();
  });
  ws.on("close", (code) => {
    socket.left();
    listener.close(code);
  });
}

class Socket implements WsSocket {
  readonly protocol: string | undefined;
  readonly #ws: WebSocket;
  readonly #duplex: Duplex;
  readonly #binary: boolean;
  readonly #topics = new Set<Topic>();

  constructor(ws: WebSocket, duplex: Duplex, protocol: WsProtocol | undefined) {
    this.#ws = ws;
    this.#duplex = duplex;
    this.protocol = protocol?.name;
    this.#binary = protocol?.binary ?? false;
  }

  get #isOpen(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  send(frame: Uint8Array): void {
    if (this.#isOpen) this.#ws.send(frame, { binary: this.#binary });
  }

  /** Whole frames as bytes of the connection: what `ws` would write, as long as nothing is compressed. */
  write(frames: Buffer): void {
    if (this.#isOpen) this.#duplex.write(frames);
  }

  cork(work: () => void): void {
    this.#duplex.cork();
    try {
      work();
    } finally {
      this.#duplex.uncork();
    }
  }

  bufferedBytes(): number {
    return this.#isOpen ? this.#ws.bufferedAmount : 0;
  }

  close(code: number, reason: string): void {
    if (this.#isOpen) this.#ws.close(code, reason);
  }

  terminate(): void {
    this.#ws.terminate();
  }

  entered(topic: Topic): void {
    this.#topics.add(topic);
  }

  left(topic?: Topic): void {
    if (topic) this.#topics.delete(topic);
    else for (const one of this.#topics) one.remove(this);
  }
}

/** The frames are joined once into the bytes every connection gets: one write a socket, whatever their number. */
class Topic implements WsTopic {
  readonly #opcode: number;
  readonly #sockets = new Set<Socket>();

  constructor(binary: boolean) {
    this.#opcode = binary ? 2 : 1;
  }

  add(socket: WsSocket): void {
    this.#sockets.add(socket as Socket);
    (socket as Socket).entered(this);
  }

  remove(socket: WsSocket): void {
    this.#sockets.delete(socket as Socket);
    (socket as Socket).left(this);
  }

  publish(frames: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(frames.flatMap((frame) => [frameHeader(this.#opcode, frame.byteLength), frame]));
    for (const socket of this.#sockets) socket.write(bytes);
  }
}

/** RFC 6455 section 5.2: one unmasked frame that is the whole message. */
function frameHeader(opcode: number, length: number): Buffer {
  if (length < 126) return Buffer.from([0x80 | opcode, length]);
  if (length < 65_536) return Buffer.from([0x80 | opcode, 126, length >> 8, length & 255]);
  const header = Buffer.alloc(10);
  header[0] = 0x80 | opcode;
  header[1] = 127;
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}
