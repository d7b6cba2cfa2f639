import t from "tap";
import { createLogger } from "../../src/core/logger.js";
import { createServer, type Server, type WsEndpoint, type WsListener, type WsSocket } from "../../src/ws/transport.js";
import {
  BINARY,
  CLOSE,
  closePayload,
  type FrameParts,
  frame,
  handshake,
  openRaw,
  PING,
  PONG,
  type RawSocket,
  TEXT,
} from "./raw-frames.js";
import { TRANSPORTS } from "./support.js";

/**
 * RFC 6455 on bytes, by the sections of the Autobahn suite: 1 framing, 2 ping and pong, 3 reserved bits, 4 opcodes, 5 fragmentation, 6
 * UTF-8, 7 closing, 9 sizes, 12 and 13 compression. Where the RFC says "fail the connection", a close frame with the right code and a
 * bare end are both allowed, as the RFC allows them: uWebSockets.js ends without a word.
 */

const MAX_BYTES = 70_000;

const echo = (socket: WsSocket): WsListener => ({
  message: (data) => socket.send(Buffer.from(data)),
  drain() {},
  close() {},
});
const endpoint: WsEndpoint = {
  path: "/ws",
  protocols: [
    { name: "text.v1", binary: false },
    { name: "bytes.v1", binary: true },
  ],
  maxMessageBytes: MAX_BYTES,
  maxBufferedBytes: 1 << 20,
  admit: () => ({ kind: "accept", open: echo }),
};

type Expected =
  /** This comes back, in this order. */
  | { readonly back: readonly [opcode: number, payload: Buffer | string][] }
  /** The connection fails: with one of these codes, or without a close frame. */
  | { readonly fails: readonly number[] }
  /** The close is answered with this code, or none. */
  | { readonly closes: number };

interface Case {
  readonly section: string;
  readonly name: string;
  readonly send: readonly FrameParts[];
  readonly expected: Expected;
  readonly binary?: boolean;
  readonly trickled?: boolean;
}

const text = (payload: string | Buffer, parts: Partial<FrameParts> = {}): FrameParts => ({
  opcode: TEXT,
  payload,
  ...parts,
});
const more = (payload: string | Buffer, fin = false): FrameParts => ({ opcode: 0, payload, fin });
const begin = (payload: string | Buffer): FrameParts => text(payload, { fin: false });
const ping = (payload: string | Buffer = "", parts: Partial<FrameParts> = {}): FrameParts => ({
  opcode: PING,
  payload,
  ...parts,
});
const pong = (payload: string | Buffer = ""): FrameParts => ({ opcode: PONG, payload });
const close = (payload: Buffer = Buffer.alloc(0)): FrameParts => ({ opcode: CLOSE, payload });
const back = (...frames: readonly (readonly [number, Buffer | string])[]): Expected => ({
  back: frames.map(([a, b]) => [a, b]),
});
const same = (payload: string | Buffer): Expected => back([TEXT, payload]);
const fails = (...codes: readonly number[]): Expected => ({ fails: codes });
const hex = (bytes: string) => Buffer.from(bytes.replaceAll(" ", ""), "hex");

const cases: Case[] = [];
const add = (
  section: string,
  name: string,
  send: readonly FrameParts[],
  expected: Expected,
  how: Pick<Case, "binary" | "trickled"> = {},
) => cases.push({ section, name, send, expected, ...how });

// 1: framing, text and binary, around every form of the length.
for (const length of [0, 1, 125, 126, 127, 128, 65_535, 65_536]) {
  const body = "*".repeat(length);
  add("1.1", `text of ${length}`, [text(body)], same(body));
  const bytes = Buffer.alloc(length, 0xfe);
  add("1.2", `binary of ${length}`, [{ opcode: BINARY, payload: bytes }], back([BINARY, bytes]), { binary: true });
}
add("1.1", "text byte by byte", [text("hello, byte by byte")], same("hello, byte by byte"), { trickled: true });
add("1.2", "binary byte by byte", [{ opcode: BINARY, payload: "bytes" }], back([BINARY, "bytes"]), {
  binary: true,
  trickled: true,
});
add("1.3", "the wrong kind of frame: binary", [{ opcode: BINARY, payload: "x" }], fails(1003));
add("1.3", "the wrong kind of frame: text", [text("x")], fails(1003), { binary: true });
add("1.4", "two messages in one segment", [text("a"), text("b")], back([TEXT, "a"], [TEXT, "b"]));

// 2: pings and pongs.
for (const length of [0, 1, 64, 125])
  add("2.1", `ping of ${length}`, [ping("p".repeat(length))], back([PONG, "p".repeat(length)]));
add(
  "2.2",
  "ping with bytes of no meaning",
  [ping(hex("00ff fe fd fc fb 00 ff"))],
  back([PONG, hex("00fffefdfcfb00ff")]),
);
add("2.3", "ping of 126", [ping("p".repeat(126))], fails(1002));
add("2.3", "ping that claims 65536", [ping("", { claimed: 65_536n })], fails(1002));
add("2.4", "ping byte by byte", [ping("slow")], back([PONG, "slow"]), { trickled: true });
add("2.5", "a pong nobody asked for", [pong(), text("x")], same("x"));
add("2.5", "a pong with payload nobody asked for", [pong("unasked"), text("x")], same("x"));
add("2.5", "pong, then ping", [pong("a"), ping("b")], back([PONG, "b"]));
const ten = Array.from({ length: 10 }, (_, i) => `ping ${i}`);
add(
  "2.6",
  "ten pings",
  ten.map((one) => ping(one)),
  back(...ten.map((one) => [PONG, one] as const)),
);
add(
  "2.6",
  "ten pings byte by byte",
  ten.map((one) => ping(one)),
  back(...ten.map((one) => [PONG, one] as const)),
  { trickled: true },
);

// 3: reserved bits, of which no extension has been agreed on.
for (let rsv = 1; rsv <= 7; rsv++) {
  add("3", `text with RSV ${rsv}`, [text("x", { rsv })], fails(1002));
  add("3", `ping with RSV ${rsv}`, [ping("x", { rsv })], fails(1002));
}

// 4: opcodes that do not exist.
for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
  add("4", `opcode ${opcode}`, [{ opcode }], fails(1002));
  add("4", `opcode ${opcode} with payload, after a message`, [text("x"), { opcode, payload: "y" }], fails(1002));
}

// 5: fragmentation.
add("5.1", "a ping in two fragments", [ping("a", { fin: false }), more("b", true)], fails(1002));
add("5.2", "a pong in two fragments", [{ opcode: PONG, payload: "a", fin: false }, more("b", true)], fails(1002));
add("5.3", "text in two", [begin("frag"), more("ment", true)], same("fragment"));
add(
  "5.4",
  "text in many",
  [begin("a"), ..."bcdefgh".split("").map((one) => more(one)), more("i", true)],
  same("abcdefghi"),
);
add("5.4", "text in fragments of nothing", [begin(""), more(""), more("", true)], same(""));
add("5.4", "text in an empty and a full one", [begin(""), more("x", true)], same("x"));
add("5.5", "text in two, byte by byte", [begin("frag"), more("ment", true)], same("fragment"), { trickled: true });
add(
  "5.6",
  "a ping between two fragments",
  [begin("frag"), ping("now"), more("ment", true)],
  back([PONG, "now"], [TEXT, "fragment"]),
);
add(
  "5.7",
  "pings between many",
  [begin("a"), ping("1"), more("b"), ping("2"), more("c", true)],
  back([PONG, "1"], [PONG, "2"], [TEXT, "abc"]),
);
add("5.8", "a pong between two fragments", [begin("a"), pong("x"), more("b", true)], same("ab"));
add("5.9", "a continuation of nothing", [more("x", true)], fails(1002));
add("5.10", "a continuation of nothing, unfinished", [more("x")], fails(1002));
add("5.11", "a continuation after a whole message", [text("x"), more("y", true)], fails(1002));
add("5.12", "a message within a message", [begin("a"), text("b")], fails(1002));
add("5.13", "a second beginning", [begin("a"), begin("b")], fails(1002));
add("5.14", "binary within text", [begin("a"), { opcode: BINARY, payload: "b" }], fails(1002, 1003));
add("5.15", "binary in two", [{ opcode: BINARY, payload: "a", fin: false }, more("b", true)], back([BINARY, "ab"]), {
  binary: true,
});

// 6: UTF-8. The sequences are those of the Unicode standard's table 3-7 and their neighbours.
const valid = [
  "κόσμε",
  "grüße",
  "水",
  "𝄞",
  "\u0000",
  "\u007f",
  "\u0080",
  "\u07ff",
  "\u0800",
  "\ud7ff",
  "\ue000",
  "\ufffd",
  "\uffff",
  "\u{10000}",
  "\u{10ffff}",
  "﷐",
];
for (const one of valid) add("6.1", `valid: ${hexOf(one)}`, [text(one)], same(one));
const invalid = [
  "80",
  "bf",
  "c0 80",
  "c1 bf",
  "c2",
  "e0 80 80",
  "e0 9f bf",
  "ed a0 80",
  "ed bf bf",
  "e1 80",
  "f0 80 80 80",
  "f0 8f bf bf",
  "f4 90 80 80",
  "f5 80 80 80",
  "f8 88 80 80 80",
  "fc 84 80 80 80 80",
  "fe",
  "ff",
  "ce ba e1",
  "61 ff 62",
];
for (const one of invalid) add("6.3", `invalid: ${one}`, [text(hex(one))], fails(1007));
const kosme = Buffer.from("κόσμε");
for (let cut = 1; cut < 5; cut++)
  add(
    "6.2",
    `a character cut after byte ${cut}`,
    [begin(kosme.subarray(0, cut)), more(kosme.subarray(cut), true)],
    same(kosme),
  );
add("6.4", "invalid only in the second fragment", [begin("ok"), more(hex("ff"), true)], fails(1007));

// 7: closing.
add("7.1", "close", [close()], { closes: 1005 });
add(
  "7.1",
  "a message, then close",
  [text("x"), close(closePayload(1000))],
  back([TEXT, "x"], [CLOSE, closePayload(1000)]),
);
add("7.1", "a ping after close is not answered", [close(closePayload(1000)), ping("x")], { closes: 1000 });
add("7.1", "a message after close is not read", [close(closePayload(1000)), text("x")], { closes: 1000 });
add("7.1", "close within a fragmented message", [begin("a"), close(closePayload(1000))], { closes: 1000 });
add("7.3", "a payload of one byte", [close(hex("03"))], fails(1002, 1005));
add("7.3", "code and reason", [close(closePayload(1000, "done"))], { closes: 1000 });
add("7.3", "a reason of 123 bytes", [close(closePayload(1000, "r".repeat(123)))], { closes: 1000 });
add("7.3", "a reason of 124 bytes", [close(closePayload(1000, "r".repeat(124)))], fails(1002));
add("7.5", "a reason that is not UTF-8", [close(closePayload(1000, hex("ceba e1ff")))], fails(1002, 1005, 1007));
for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 4000, 4999])
  add("7.7", `code ${code}`, [close(closePayload(code))], { closes: code });
// uWebSockets.js answers a close it does not like, codes of frameworks among them, with one that has no code (read as 1005).
for (const code of [3000, 3008, 3999]) add("7.7", `code ${code}`, [close(closePayload(code))], fails(code, 1005));
for (const code of [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535])
  add("7.9", `code ${code} may not be sent`, [close(closePayload(code))], fails(1002, 1005));

// 9: sizes.
add("9.1", "the longest message", [text("x".repeat(MAX_BYTES))], same("x".repeat(MAX_BYTES)));
add("9.1", "one byte more", [text("x".repeat(MAX_BYTES + 1))], fails(1009));
add("9.2", "too long in fragments", [begin("x".repeat(40_000)), more("x".repeat(40_000), true)], fails(1009));
add("9.3", "a claim of 2^40 bytes", [text("x", { claimed: 1n << 40n })], fails(1009));
add("9.3", "a claim with the highest bit", [text("x", { claimed: 1n << 63n })], fails(1002, 1009));
const many = Array.from({ length: 200 }, (_, i) => `message ${i}`);
add(
  "9.7",
  "200 messages in one write",
  many.map((one) => text(one)),
  back(...many.map((one) => [TEXT, one] as const)),
);

// 12, 13: compression is not offered, so the bit that marks it is reserved; see the handshake below too.
add("12", "a compressed frame", [text(hex("f248cdc9c90700"), { rsv: 4 })], fails(1002));
add("12", "a compressed empty message in two", [begin(""), { opcode: 0, payload: "", rsv: 4 }], fails(1002));

for (const transport of TRANSPORTS) {
  t.test(`${transport}: RFC 6455, ${cases.length} cases`, { timeout: 120_000 }, async (t) => {
    const server = await listen(transport);
    t.teardown(() => server.close(0));
    for (const one of cases) t.equal(await outcome(server, one), "as expected", `${one.section} ${one.name}`);
    const after = await openRaw(server.port, handshake("/ws"));
    after.send(frame(text("still here")));
    t.match(await after.next(), { opcode: TEXT });
    after.destroy();
  });

  t.test(`${transport}: the handshake`, async (t) => {
    const server = await listen(transport);
    t.teardown(() => server.close(0));
    const headOf = async (request: string) => {
      const socket = await openRaw(server.port, request);
      socket.destroy();
      return socket.head;
    };
    const good = await headOf(handshake("/ws"));
    t.match(good, /^HTTP\/1\.1 101 /);
    t.match(good, /^sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=$/im, "the RFC's own example");
    t.notMatch(good, /sec-websocket-(?:protocol|extensions)/i);
    const offers: [offered: string, agreed: string | undefined][] = [
      ["text.v1", "text.v1"],
      ["bytes.v1, text.v1", "bytes.v1"],
      ["other, text.v1", "text.v1"],
      ["other", undefined],
    ];
    for (const [offered, agreed] of offers) {
      const head = await headOf(handshake("/ws", { "Sec-WebSocket-Protocol": offered }));
      t.equal(/^sec-websocket-protocol: (.*)$/im.exec(head)?.[1]?.trim(), agreed, `offered ${offered}`);
    }
    const deflate = await headOf(
      handshake("/ws", { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" }),
    );
    t.match(deflate, /^HTTP\/1\.1 101 /);
    t.notMatch(deflate, /sec-websocket-extensions/i, "compression is not agreed on");
    t.match(await headOf(handshake("/ws", { Connection: "keep-alive, Upgrade" })), /^HTTP\/1\.1 101 /);
    t.match(await headOf(handshake("/ws", { Upgrade: "WebSocket" })), /^HTTP\/1\.1 101 /);
    for (const [name, headers] of [
      ["no key", { "Sec-WebSocket-Key": undefined }],
      ["no upgrade", { Upgrade: undefined }],
      ["another upgrade", { Upgrade: "h2c" }],
    ] as const)
      t.notMatch(await headOf(handshake("/ws", headers)), /^HTTP\/1\.1 101 /, name);
    t.notMatch(await headOf(handshake("/ws").replace("GET", "POST")), /^HTTP\/1\.1 101 /, "POST");
    t.notMatch(await headOf(handshake("/elsewhere")), /^HTTP\/1\.1 101 /, "another path");
  });
}

function listen(transport: "uws" | "node"): Promise<Server> {
  const app = {
    begin: () => ({ kind: "reply" as const, reply: { status: 404 } }),
    refuseBody: () => ({ status: 400 }),
    refuseHead: (status: number) => ({ status }),
  };
  return createServer({
    transport,
    host: "127.0.0.1",
    port: 0,
    app,
    endpoints: [endpoint],
    logger: createLogger("silent"),
  });
}

async function outcome(server: Server, { send, expected, binary, trickled }: Case): Promise<string> {
  const socket = await openRaw(
    server.port,
    handshake("/ws", { "Sec-WebSocket-Protocol": binary ? "bytes.v1" : undefined }),
  );
  const bytes = Buffer.concat(send.map(frame));
  if (trickled) await socket.trickle(bytes);
  else socket.send(bytes);
  const found = await judge(socket, expected);
  socket.destroy();
  return found;
}

async function judge(socket: RawSocket, expected: Expected): Promise<string> {
  if ("back" in expected) {
    for (const [opcode, payload] of expected.back) {
      const got = await socket.next();
      if (got === "ended") return "ended too early";
      if (got.opcode !== opcode || !got.payload.equals(Buffer.from(payload)) || !got.fin)
        return `opcode ${got.opcode}, ${got.payload.length} bytes: ${got.payload.subarray(0, 40).toString("latin1")}`;
    }
    return "as expected";
  }
  for (;;) {
    const got = await socket.next();
    if (got === "ended") return "fails" in expected ? "as expected" : "ended without a close frame";
    if (got.opcode !== CLOSE) {
      if ("closes" in expected) return `opcode ${got.opcode} after a close`;
      continue; // what came before the mistake was answered
    }
    const code = got.payload.length < 2 ? 1005 : got.payload.readUInt16BE(0);
    if ("fails" in expected) return expected.fails.includes(code) ? "as expected" : `closed with ${code}`;
    if (code !== expected.closes && !(expected.closes === 1005 && code === 1000)) return `closed with ${code}`;
    return (await socket.next()) === "ended" ? "as expected" : "something after the close frame";
  }
}

function hexOf(value: string): string {
  return Buffer.from(value).toString("hex");
}
