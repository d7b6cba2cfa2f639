import { type HttpReply, type Logger, MillraceError } from "../core/index.js";
import { problem } from "./problem.js";

/**
 * The socket side of the gateway, as the rest of the room sees it. Two implementations keep this contract (`transport-uws.ts`,
 * `transport-node.ts`); test/ws/transport.test.ts runs one table of cases on both.
 */

/** What is known of a request before its body. */
export interface RequestHead {
  /** Upper case. */
  readonly method: string;
  /** As sent, percent-escapes kept; always starts with `/`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly remoteAddress: string;
  /** `name` in lower case. Repeated headers are joined with `, `. */
  header(name: string): string | undefined;
}

/** Decided from the head alone: an answer, or how many bytes of body are wanted and what to do with them. */
export type Decision =
  | { readonly kind: "reply"; readonly reply: HttpReply }
  | {
      readonly kind: "body";
      readonly maxBodyBytes: number;
      /** Never rejects. */
      readonly handle: (body: Uint8Array) => Promise<HttpReply>;
    };

/** Who answers requests. Synchronous, because the head of a native request is gone after the first await. */
export interface HttpApp {
  begin(head: RequestHead): Decision;
  /** The answer to a body over its limit, and to one that no memory is left for. */
  refuseBody(reason: "too-large" | "busy" | "bad-length", maxBodyBytes: number): HttpReply;
  /** The answer to what could not be read as a request at all. */
  refuseHead(status: keyof typeof UNREADABLE): HttpReply;
}

/** What is wrong with a request that no route gets to see. */
export const UNREADABLE = {
  400: "this is not an HTTP/1.1 request with one Host",
  405: "this is no proxy: CONNECT is not offered",
  408: "the request took too long to arrive",
  413: "the extensions of a chunk are too long",
  417: "the only expectation met is 100-continue",
  431: "the head of the request is over 16 KB",
  505: "HTTP/1.1 is spoken here",
} as const;

export interface WsSocket {
  /** The subprotocol agreed on; undefined when the client named none of the endpoint's. */
  readonly protocol: string | undefined;
  /** A whole frame, text unless the subprotocol is binary. The bytes are not copied where that can be avoided: never change them. */
  send(frame: Uint8Array): void;
  /** Everything sent inside `work` leaves in as few system calls as possible. */
  cork(work: () => void): void;
  /** Bytes accepted by `send` that the kernel has not taken yet. 0 after close. */
  bufferedBytes(): number;
  /** Sends what is buffered, then a close frame. Safe to call twice. `reason` at most 123 bytes. */
  close(code: number, reason: string): void;
  /** Drops the connection and what is buffered. Safe to call twice. */
  terminate(): void;
}

/**
 * Sockets of one server that get the same frames. A frame published costs one call, whoever listens; it leaves with what this turn of
 * the event loop sends otherwise, in order. A socket that has gone leaves by itself.
 */
export interface WsTopic {
  add(socket: WsSocket): void;
  remove(socket: WsSocket): void;
  publish(frames: readonly Uint8Array[]): void;
}

export interface WsListener {
  /** Text, or bytes where the subprotocol is binary; the other kind closes the connection with 1003. */
  message(data: string | Uint8Array): void;
  /** The kernel took some of what was buffered. */
  drain(): void;
  /** Last call. */
  close(code: number): void;
}

export interface WsProtocol {
  readonly name: string;
  readonly binary: boolean;
}

export interface WsEndpoint {
  readonly path: string;
  /** The first of these that the client offers is agreed on; without one the connection is text. */
  readonly protocols: readonly WsProtocol[];
  /** A longer message closes the connection with 1009. */
  readonly maxMessageBytes: number;
  /** Bytes a connection may have waiting before frames the transport itself makes (pong, close) are dropped too. */
  readonly maxBufferedBytes: number;
  /** Who may connect is decided from the head alone; a promise where keys of signatures have to be fetched first. Never rejects. */
  admit(head: RequestHead): WsAdmission | Promise<WsAdmission>;
}

/** A response that goes on: `GET` of a path, answered 200 with server-sent events. Its socket takes events ready to be written. */
export interface StreamEndpoint {
  readonly path: string;
  admit(head: RequestHead): WsAdmission | Promise<WsAdmission>;
}

/** The protocol of such a socket. */
export const STREAM_PROTOCOL = "sse";

export const STREAM_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  "x-accel-buffering": "no", // proxies would wait for the end
  "x-content-type-options": "nosniff",
};

export type WsAdmission =
  /** The answer instead of 101. */
  | { readonly kind: "refuse"; readonly reply: HttpReply }
  /** `open` is called once the socket is upgraded; never when the client has gone meanwhile. */
  | { readonly kind: "accept"; open(socket: WsSocket): WsListener };

export interface TransportLimits {
  /** HTTP and WebSocket together; more are closed at once. */
  readonly maxConnections: number;
  /** Request bodies of all connections together; a body beyond is answered 503. */
  readonly maxBodiesBytes: number;
  /** A WebSocket connection that answers no ping for this long is closed. 8 to 960 s. */
  readonly wsIdleS: number;
  /** node only: from the first byte of a request to the last of its head (uWS: 10 s, fixed). */
  readonly headMs: number;
  /** node only: from the first byte of a request to the last of its body (uWS: at least 16 KB in 10 s, fixed). */
  readonly requestMs: number;
}

export const DEFAULT_LIMITS: TransportLimits = {
  maxConnections: 10_000,
  maxBodiesBytes: 64 << 20,
  wsIdleS: 60,
  headMs: 10_000,
  requestMs: 30_000,
};

export interface TransportOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly app: HttpApp;
  readonly endpoints: readonly WsEndpoint[];
  readonly streams: readonly StreamEndpoint[];
  readonly limits: TransportLimits;
}

export interface Server {
  readonly transport: "uws" | "node";
  readonly port: number;
  /** Open connections of either kind. */
  connections(): number;
  /** A topic for WebSockets of this server that speak text, or binary. */
  topic(binary: boolean): WsTopic;
  /** Takes no more connections, gives requests in flight `graceMs` to end, then closes every socket. Safe to call twice. */
  close(graceMs: number): Promise<void>;
}

export interface CreateServerOptions extends Omit<TransportOptions, "limits" | "streams"> {
  readonly streams?: readonly StreamEndpoint[];
  readonly transport: "auto" | "uws" | "node";
  readonly limits?: Partial<TransportLimits>;
  readonly logger: Logger;
  /** For tests of the fallback. */
  readonly loadUws?: () => Promise<{ createUwsServer(options: TransportOptions): Promise<Server> }>;
}

/**
 * Listens. `auto` takes uWebSockets.js where it has a binary for this platform and Node version, else `node:http` with `ws`, with one
 * warning. Rejects with MR_PORT_IN_USE; with MR_BINARY_MISSING when `uws` is asked for by name and does not load.
 */
export async function createServer(options: CreateServerOptions): Promise<Server> {
  const { transport, logger, loadUws = () => import("./transport-uws.js") } = options;
  const transportOptions: TransportOptions = {
    host: options.host,
    port: options.port,
    app: options.app,
    endpoints: options.endpoints,
    streams: options.streams ?? [],
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  };
  if (transport !== "node") {
    const uws = await loadUws().catch((cause: unknown) => {
      if (transport === "uws") {
        throw new MillraceError("MR_BINARY_MISSING", `loading uWebSockets.js for Node ${process.version} failed`, {
          cause,
        });
      }
      logger.warn(
        { err: cause },
        "uWebSockets.js does not load here; using node:http and ws instead, slower but complete",
      );
    });
    if (uws) return uws.createUwsServer(transportOptions);
  }
  const { createNodeServer } = await import("./transport-node.js");
  return createNodeServer(transportOptions);
}

/** The protocol to agree on: the client's order counts. */
export function chooseProtocol(offered: string | undefined, known: readonly WsProtocol[]): WsProtocol | undefined {
  for (const name of offered?.split(",") ?? []) {
    const protocol = known.find((one) => one.name === name.trim());
    if (protocol) return protocol;
  }
  return undefined;
}

const HANDSHAKE_KEY = /^[+/0-9A-Za-z]{22}==$/;

/** RFC 6455 section 4.2.1: what is wrong with a request to open a WebSocket, as an answer; undefined when nothing is. */
export function handshakeFault(head: RequestHead): HttpReply | undefined {
  const version = head.header("sec-websocket-version");
  if (version !== "13")
    return problem(426, `sec-websocket-version must be 13, not ${version?.slice(0, 20) ?? "missing"}`, {
      headers: { "sec-websocket-version": "13", upgrade: "websocket" },
    });
  if (HANDSHAKE_KEY.test(head.header("sec-websocket-key") ?? "")) return undefined;
  return problem(400, "sec-websocket-key must be 16 bytes as base64");
}

/** A topic of any sockets: one call a socket. */
export function loopTopic(): WsTopic {
  const sockets = new Set<WsSocket>();
  return {
    add: (socket) => sockets.add(socket),
    remove: (socket) => sockets.delete(socket),
    publish(frames) {
      for (const socket of sockets) {
        socket.cork(() => {
          for (const frame of frames) socket.send(frame);
        });
      }
    },
  };
}
