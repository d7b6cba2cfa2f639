import { connect, type Socket } from "node:net";

/** A WebSocket client without manners: sends exactly the bytes it is told to. */
export interface RawSocket {
  /** Head of the answer to the handshake. */
  readonly head: string;
  send(...parts: readonly Buffer[]): void;
  /** One byte a write. */
  trickle(bytes: Buffer): Promise<void>;
  /** The next frame, or how the connection ended. */
  next(): Promise<Frame | "ended">;
  destroy(): void;
}

export interface Frame {
  readonly opcode: number;
  readonly fin: boolean;
  readonly payload: Buffer;
}

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export interface FrameParts {
  readonly opcode: number;
  readonly payload?: Buffer | string;
  readonly fin?: boolean;
  readonly rsv?: number;
  readonly masked?: boolean;
  /** Written instead of the real length, in the form it needs. */
  readonly claimed?: bigint;
}

/** RFC 6455 section 5.2, with everything that may be wrong in it. */
export function frame({ opcode, payload = "", fin = true, rsv = 0, masked = true, claimed }: FrameParts): Buffer {
  const body = Buffer.from(payload);
  const length = claimed ?? BigInt(body.length);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const bit = masked ? 0x80 : 0;
  const head =
    length < 126n
      ? Buffer.from([first, bit | Number(length)])
      : length < 65_536n
        ? Buffer.from([first, bit | 126, Number(length >> 8n), Number(length & 255n)])
        : Buffer.concat([Buffer.from([first, bit | 127]), bigEndian(length)]);
  if (!masked) return Buffer.concat([head, body]);
  const mask = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
  return Buffer.concat([head, mask, Buffer.from(body.map((byte, i) => byte ^ (mask[i % 4] ?? 0)))]);
}

export function closePayload(code: number, reason: Buffer | string = ""): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
}

function bigEndian(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

export function handshake(path: string, headers: Readonly<Record<string, string | undefined>> = {}): string {
  const all: Record<string, string | undefined> = {
    Host: "localhost",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\r\n`]));
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

export async function openRaw(port: number, request: string): Promise<RawSocket> {
  const socket: Socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  let bytes = Buffer.alloc(0);
  let ended = false;
  let wake: (() => void) | undefined;
  socket.on("data", (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    wake?.();
  });
  const end = () => {
    ended = true;
    wake?.();
  };
  socket.on("error", end).on("close", end).on("end", end);
  const more = () => new Promise<void>((resolve) => (wake = resolve));
  socket.write(request);
  while (!bytes.includes("\r\n\r\n") && !ended) await more();
  const headEnd = bytes.indexOf("\r\n\r\n");
  const head = bytes.subarray(0, Math.max(0, headEnd)).toString();
  bytes = bytes.subarray(headEnd + 4);
  return {
    head,
    send: (...parts) => void socket.write(Buffer.concat(parts)),
    async trickle(whole) {
      for (const byte of whole) {
        socket.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async next() {
      for (;;) {
        const found = readFrame(bytes);
        if (found) {
          bytes = bytes.subarray(found.size);
          return found.frame;
        }
        if (ended) return "ended";
        await more();
      }
    },
    destroy: () => socket.destroy(),
  };
}

function readFrame(bytes: Buffer): { frame: Frame; size: number } | undefined {
  if (bytes.length < 2) return undefined;
  const [first = 0, second = 0] = bytes;
  const short = second & 127;
  const head = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < head) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.length < head + length) return undefined;
  const frame = { opcode: first & 15, fin: first >= 0x80, payload: Buffer.from(bytes.subarray(head, head + length)) };
  return { frame, size: head + length };
}
