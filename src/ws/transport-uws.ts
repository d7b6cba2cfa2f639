import {
  App,
  type TemplatedApp,
  type HttpRequest as UwsRequest,
  type HttpResponse as UwsResponse,
  type WebSocket as UwsSocket,
  type us_listen_socket,
  us_socket_local_port,
} from "uWebSockets.js";
import { STATUS_CODES } from "node:http";
import { type HttpReply, MillraceError } from "../core/index.js";
import { type BodyBudget, bodyCollector, declaredLength } from "./body.js";
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
  type WsListener,
  type WsProtocol,
  type WsSocket,
  type WsTopic,
} from "./transport.js";

interface Connection {
  readonly protocol: WsProtocol | undefined;
  socket: Socket | undefined;
  listener: WsListener | undefined;
  /** Let go of once called: it holds what was decided from the request. */
  open: ((socket: WsSocket) => WsListener) | undefined;
}

/** Everything a server shares between its requests. */
interface Shared {
  readonly app: HttpApp;
  readonly budget: BodyBudget;
  closing: boolean;
  inFlight: number;
  idle: (() => void) | undefined;
}

/** uSockets' LIBUS_LISTEN_EXCLUSIVE_PORT: without it a second Millrace would listen on the same port and take half the connections. */
const LISTEN_EXCLUSIVE_PORT = 1;

/** uWebSockets.js. Rejects with MR_PORT_IN_USE. */
export async function createUwsServer(options: TransportOptions): Promise<Server> {
  const { limits } = options;
  const shared: Shared = {
    app: options.app,
    budget: { used: 0, max: limits.maxBodiesBytes },
    closing: false,
    inFlight: 0,
    idle: undefined,
  };
  const server = App();
  // The filter counts a socket in and out while it speaks HTTP, but never out once it was upgraded.
  let filtered = 0;
  let upgraded = 0;
  let live = 0;
  let topics = 0;
  const connections = () => filtered - upgraded + live;
  const countSocket = (res: UwsResponse, change: number) => {
    filtered += change;
    if (change > 0 && (shared.closing || connections() > limits.maxConnections)) res.close();
  };
  server.filter(countSocket);
  for (const endpoint of options.endpoints) {
    server.ws<Connection>(endpoint.path, {
      // Over the native limit the connection is cut without a close frame, so ours (1009) is checked below it.
      maxPayloadLength: endpoint.maxMessageBytes * 4,
      // Those who publish look at sockets long before this; who passes it all the same is cut off rather than skipped.
      maxBackpressure: endpoint.maxBufferedBytes * 4 + (64 << 10),
      closeOnBackpressureLimit: true,
      idleTimeout: limits.wsIdleS,
      sendPingsAutomatically: true,
      upgrade(res, req, context) {
        // A key alone is enough for the native router.
        if (req.getHeader("upgrade").toLowerCase() !== "websocket") {
          req.setYield(true);
          return;
        }
        const key = req.getHeader("sec-websocket-key");
        const protocol = chooseProtocol(req.getHeader("sec-websocket-protocol"), endpoint.protocols);
        const decide = (admission: WsAdmission) => {
          if (admission.kind === "refuse") {
            writeReply(res, admission.reply, { close: true, head: false });
            return;
          }
          upgraded++;
          const { open } = admission;
          const connection = {
            protocol,
            open: (socket: WsSocket) => open(socket),
            socket: undefined,
            listener: undefined,
          };
          res.upgrade<Connection>(connection, key, protocol?.name ?? "", "", context);
        };
        const head = readHead(req, res);
        const fault = handshakeFault(head);
        const admission = fault ? { kind: "refuse" as const, reply: fault } : endpoint.admit(head);
        if (!(admission instanceof Promise)) {
          decide(admission);
          return;
        }
        let aborted = false;
        res.onAborted(() => {
          aborted = true;
        });
        // Not inside `cork`, although uWebSockets.js advises it on standard error: when its work is done it looks at the response again,
        // which an upgrade has turned into a WebSocket, and now and then reads there that the connection is to be closed.
        void admission.then((decided) => {
          if (!aborted) decide(decided);
        });
      },
      open(ws) {
        live++;
        const connection = ws.getUserData();
        connection.socket = new Socket(ws, connection.protocol);
        connection.listener = connection.open?.(connection.socket);
        connection.open = undefined;
      },
      message(ws, message, isBinary) {
        const { protocol, listener } = ws.getUserData();
        const binary = protocol?.binary ?? false;
        if (isBinary !== binary) {
          ws.end(1003, binary ? "binary frames only" : "text frames only");
          return;
        }
        if (message.byteLength > endpoint.maxMessageBytes) {
          ws.end(1009, "message too large");
          return;
        }
        const bytes = Buffer.from(message);
        listener?.message(binary ? bytes : bytes.toString());
      },
      drain(ws) {
        ws.getUserData().listener?.drain();
      },
      close(ws, code) {
        live--;
        const { socket, listener } = ws.getUserData();
        socket?.release();
        listener?.close(code);
      },
    });
  }
  for (const stream of options.streams) server.get(stream.path, (res, req) => serveStream(stream, res, req));
  server.any("/*", (res, req) => serveRequest(shared, res, req));

  const socket = await new Promise<us_listen_socket | false>((resolve) => {
    // The types leave out that options may follow host and port.
    const listen = server.listen as unknown as (
      host: string,
      port: number,
      options: number,
      then: typeof resolve,
    ) => void;
    listen.call(server, options.host, options.port, LISTEN_EXCLUSIVE_PORT, resolve);
  });
  if (!socket) {
    server.close();
    throw new MillraceError("MR_PORT_IN_USE", `listening on ${options.host}:${options.port}: taken, or not permitted`);
  }

  let closed: Promise<void> | undefined;
  return {
    transport: "uws",
    port: us_socket_local_port(socket),
    connections,
    topic: (binary) => createTopic(server, String(++topics), binary),
    close(graceMs) {
      closed ??= (async () => {
        shared.closing = true;
        if (shared.inFlight > 0)
          await Promise.race([new Promise<void>((resolve) => (shared.idle = resolve)), delay(graceMs)]);
        server.close(); // also the listen socket: closing that by hand as well is a segmentation fault
      })();
      return closed;
    },
  };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

/** Copies what is needed: the native request is gone after the handler's first await. */
function readHead(req: UwsRequest, res: UwsResponse): RequestHead {
  const headers = new Map<string, string>();
  req.forEach((name, value) => {
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  });
  return {
    method: req.getCaseSensitiveMethod().toUpperCase(),
    path: req.getUrl(),
    query: new URLSearchParams(req.getQuery() ?? ""),
    remoteAddress: Buffer.from(res.getRemoteAddressAsText()).toString(),
    header: (name) => headers.get(name),
  };
}

function serveRequest(shared: Shared, res: UwsResponse, req: UwsRequest): void {
  const { app } = shared;
  const head = readHead(req, res);
  // One flag guards the native response: it must not be touched after an abort or after it was ended.
  let done = false;
  shared.inFlight++;
  const finish = () => {
    if (done) return false;
    done = true;
    body?.release();
    shared.inFlight--;
    if (shared.inFlight === 0) shared.idle?.();
    return true;
  };
  const reply = (answer: HttpReply, close: boolean) => {
    if (finish()) writeReply(res, answer, { close: close || shared.closing, head: head.method === "HEAD" });
  };
  let body: ReturnType<typeof bodyCollector> | undefined;
  res.onAborted(finish);

  const length = declaredLength(head.header("content-length"));
  const hasBody = head.header("transfer-encoding") !== undefined || (length !== undefined && length !== 0);
  const decision = app.begin(head);
  if (decision.kind === "reply") {
    reply(decision.reply, hasBody);
    return;
  }
  const { maxBodyBytes, handle } = decision;
  if (length !== undefined && !(length <= maxBodyBytes)) {
    reply(app.refuseBody(Number.isNaN(length) ? "bad-length" : "too-large", maxBodyBytes), true);
    return;
  }
  const collector = bodyCollector(maxBodyBytes, shared.budget);
  body = collector;
  res.onData((chunk, isLast) => {
    if (done) return;
    const verdict = collector.push(new Uint8Array(chunk));
    if (verdict !== "ok") {
      reply(app.refuseBody(verdict, maxBodyBytes), true);
      return;
    }
    if (isLast) void handle(collector.take()).then((answer) => reply(answer, false));
  });
}

/** Ends the response in one write. With `close` the connection goes with it: nothing more is read. */
function writeReply(res: UwsResponse, reply: HttpReply, { close, head }: { close: boolean; head: boolean }): void {
  res.cork(() => {
    res.writeStatus(`${reply.status} ${STATUS_CODES[reply.status] ?? "Unknown"}`);
    if (reply.type !== undefined) res.writeHeader("content-type", reply.type);
    for (const [name, value] of Object.entries(reply.headers ?? {})) res.writeHeader(name, value);
    if (reply.status === 204 || reply.status === 304) res.endWithoutBody(undefined, close);
    else if (head) res.endWithoutBody(Buffer.byteLength(reply.body ?? ""), close);
    else res.end(reply.body ?? "", close);
  });
}

/** The handle of a closed connection must not be touched, so it is let go of. */
class Socket implements WsSocket {
  readonly protocol: string | undefined;
  #ws: UwsSocket<Connection> | undefined;
  readonly #binary: boolean;

  constructor(ws: UwsSocket<Connection>, protocol: WsProtocol | undefined) {
    this.#ws = ws;
    this.protocol = protocol?.name;
    this.#binary = protocol?.binary ?? false;
  }

  /** The connection has gone. */
  release(): void {
    this.#ws = undefined;
  }

  send(frame: Uint8Array): void {
    this.#ws?.send(frame, this.#binary);
  }

  cork(work: () => void): void {
    this.#ws?.cork(work);
  }

  bufferedBytes(): number {
    return this.#ws?.getBufferedAmount() ?? 0;
  }

  close(code: number, reason: string): void {
    this.#ws?.end(code, reason);
  }

  terminate(): void {
    this.#ws?.close();
  }

  subscribe(topic: string): void {
    this.#ws?.subscribe(topic);
  }

  unsubscribe(topic: string): void {
    this.#ws?.unsubscribe(topic);
  }
}

function serveStream(endpoint: StreamEndpoint, res: UwsResponse, req: UwsRequest): void {
  let socket: Stream | undefined;
  let listener: WsListener | undefined;
  let aborted = false;
  res.onAborted(() => {
    aborted = true;
    socket?.release();
    listener?.close(1006);
  });
  const decide = (admission: WsAdmission) => {
    if (admission.kind === "refuse") {
      aborted = true;
      writeReply(res, admission.reply, { close: false, head: false });
      return;
    }
    res.cork(() => {
      res.writeStatus("200 OK");
      for (const [name, value] of Object.entries(STREAM_HEADERS)) res.writeHeader(name, value);
      res.write(": hello\n\n");
    });
    let endedWith: number | undefined;
    const stream = new Stream(res, (code) => {
      endedWith = code;
      listener?.close(code);
    });
    socket = stream;
    const opened = admission.open(stream);
    listener = opened;
    // Refused before `open` came back: nobody was there to be told.
    if (endedWith !== undefined) {
      opened.close(endedWith);
      return;
    }
    res.onWritable(() => {
      if (stream.resume()) listener?.drain();
      return true;
    });
  };
  const admission = endpoint.admit(readHead(req, res));
  if (admission instanceof Promise) void admission.then((decided) => !aborted && decide(decided));
  else decide(admission);
}

/** A response does not say how much of it waits, so from the first sign of it we keep what follows to ourselves. */
class Stream implements WsSocket {
  readonly protocol = STREAM_PROTOCOL;
  #res: UwsResponse | undefined;
  readonly #ended: (code: number) => void;
  #blocked = false;
  #blockedBytes = 0;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;

  constructor(res: UwsResponse, ended: (code: number) => void) {
    this.#res = res;
    this.#ended = ended;
  }

  release(): void {
    this.#res = undefined;
    this.#waiting = [];
  }

  send(frame: Uint8Array): void {
    if (!this.#res) return;
    if (this.#blocked) {
      this.#waiting.push(frame);
      this.#waitingBytes += frame.byteLength;
    } else this.#write(frame);
  }

  #write(bytes: Uint8Array): void {
    const res = this.#res;
    res?.cork(() => {
      this.#blocked = !res.write(bytes);
    });
    this.#blockedBytes = this.#blocked ? bytes.byteLength : 0;
  }

  /** False while there is still something waiting. */
  resume(): boolean {
    this.#blocked = false;
    this.#blockedBytes = 0;
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (bytes.byteLength > 0) this.#write(bytes);
    return !this.#blocked;
  }

  cork(work: () => void): void {
    const res = this.#res;
    if (res) res.cork(work);
  }

  bufferedBytes(): number {
    return this.#waitingBytes + this.#blockedBytes;
  }

  close(code: number): void {
    const res = this.#res;
    if (!res) return;
    const rest = Buffer.concat(this.#waiting);
    this.release();
    res.cork(() => res.end(rest, true));
    this.#ended(code);
  }

  terminate(): void {
    this.#res?.close();
  }
}

function createTopic(server: TemplatedApp, id: string, binary: boolean): WsTopic {
  return {
    add: (socket) => (socket as Socket).subscribe(id),
    remove: (socket) => (socket as Socket).unsubscribe(id),
    publish(frames) {
      for (const frame of frames) server.publish(id, frame, binary);
    },
  };
}
