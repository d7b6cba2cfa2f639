import assert from "node:assert/strict";
import fc from "fast-check";
import { Kind, Parser } from "nats";
import t from "tap";
import { type Frame, Splitter } from "../../src/streams/frames.js";
import { headersOf, Place, ReadMessage, subjectOf } from "../../src/streams/reader-protocol.js";

type Said = readonly (string | number)[];

const latin1 = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("latin1");

/** The client's own parser, saying what it finds. */
function parserInto(said: Said[]): Parser {
  return new Parser({
    push(found) {
      const event = found as { kind: number; msg: unknown; data: Uint8Array | undefined };
      if (event.kind !== Kind.MSG) {
        said.push([event.kind, latin1(event.data)]);
        return;
      }
      const { subject, reply, sid, hdr } = event.msg as {
        subject: Uint8Array;
        reply?: Uint8Array;
        sid: number;
        hdr: number;
      };
      said.push([event.kind, sid, latin1(subject), latin1(reply), Math.max(0, hdr), latin1(event.data)]);
    },
  });
}

/** The same, of a splitter that takes the even subscriptions itself. */
function splitterInto(said: Said[], subscriptions: readonly number[]): Splitter {
  const take = (sid: number) => (frame: Frame) => {
    const { bytes, subjectFrom, subjectTo, replyFrom, replyTo, headersFrom, bodyFrom, bodyTo } = frame;
    const of = (from: number, to: number) => bytes.toString("latin1", from, to);
    const names = [of(subjectFrom, subjectTo), of(replyFrom, replyTo)];
    said.push([Kind.MSG, sid, ...names, bodyFrom - headersFrom, of(headersFrom, bodyTo)]);
  };
  const taken = subscriptions.filter((sid) => sid % 2 === 0);
  return new Splitter(parserInto(said), new Map(taken.map((sid) => [sid, take(sid)])));
}

const token = fc.stringMatching(/^[a-zA-Z0-9_$.äж-]{1,12}$/);
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(Buffer.from("\r\nMSG a 1 2\r\nxx\r\n"), Buffer.alloc(3_000, "\n")),
);
const message = fc
  .record({
    subject: token,
    sid: fc.integer({ min: 1, max: 12 }),
    reply: fc.option(token),
    headers: fc.option(bytes),
    body: bytes,
    gap: fc.constantFrom(" ", " ", " ", "  ", "\t"),
  })
  .map(({ subject, sid, reply, headers, body, gap }) => {
    const sizes = headers === null ? [body.length] : [headers.length, headers.length + body.length];
    const line = [headers === null ? "MSG" : "HMSG", subject, sid, ...(reply === null ? [] : [reply]), ...sizes].join(
      gap,
    );
    return Buffer.concat([Buffer.from(`${line}\r\n`), headers ?? Buffer.alloc(0), body, Buffer.from("\r\n")]);
  });
const other = fc
  .constantFrom("PING\r\n", "PONG\r\n", "+OK\r\n", 'INFO {"a":"\\n"}\r\n', "-ERR 'no'\r\n")
  .map((line) => Buffer.from(line));
const SUBSCRIPTIONS = Array.from({ length: 12 }, (_, i) => i + 1);

t.test("what is said is what the client's parser says of it, wherever the network cuts", async (t) => {
  const property = fc.property(
    fc.array(fc.oneof({ weight: 4, arbitrary: message }, other), { maxLength: 30 }),
    fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 20 }),
    (parts, cuts) => {
      const stream = Buffer.concat(parts);
      const expected: Said[] = [];
      parserInto(expected).parse(stream);
      const said: Said[] = [];
      const splitter = splitterInto(said, SUBSCRIPTIONS);
      for (let at = 0, i = 0; at < stream.length; i++) {
        const length = cuts[i % cuts.length] as number;
        const chunk = stream.subarray(at, at + length);
        splitter.parse(i % 2 === 0 ? chunk : new Uint8Array(chunk)); // the client's first piece is no Buffer
        at += length;
      }
      assert.deepEqual(said, expected);
      assert.equal(said.length, parts.length);
    },
  );
  t.doesNotThrow(() => fc.assert(property, { seed: 41, numRuns: 500 }));
});

t.test(
  "put in where the client's parser is in the middle of a message, it begins with the next piece that begins with one",
  async (t) => {
    const said: Said[] = [];
    const parser = parserInto(said);
    const taken: string[] = [];
    parser.parse(Buffer.from("PING\r\nMSG a 1 3\r\nx"));
    const splitter = new Splitter(parser, new Map([[2, (frame) => void taken.push(subjectOf(frame))]]));
    splitter.parse(Buffer.from("yz\r"));
    splitter.parse(Buffer.from("\nMSG b 2 0\r\n\r\n"));
    splitter.parse(Buffer.from("MSG c 2 0\r\n\r\n"));
    t.same(taken, ["c"]);
    t.same(
      said.map(([, , subject]) => subject),
      [undefined, "a", "b"],
    );
  },
);

t.test("what no message can be goes to the client's parser, which refuses it", async (t) => {
  for (const line of [
    "MSG a 2\r\n",
    "MSG a 2 b c 3\r\n",
    "HMSG a 2 3\r\n",
    "HMSG a 2 b 1 2 3\r\n",
    "XYZ\r\n",
    "Msh a 2 3\r\n",
  ]) {
    const said: Said[] = [];
    t.throws(() => parserInto([]).parse(Buffer.from(line)), line);
    t.throws(() => splitterInto(said, SUBSCRIPTIONS).parse(Buffer.from(line)), line);
    t.same(said, []);
  }
});

t.test(
  "a large message that comes in many pieces is put together once, and its neighbours are not copied",
  async (t) => {
    const found: Frame["bytes"][] = [];
    const splitter = new Splitter(parserInto([]), new Map([[2, ({ bytes }) => void found.push(bytes)]]));
    const small = Buffer.from("MSG s 2 1\r\nx\r\n");
    const large = Buffer.concat([Buffer.from("MSG s 2 1000000\r\n"), Buffer.alloc(1_000_000), Buffer.from("\r\n")]);
    const stream = Buffer.concat([small, large, small]);
    for (let at = 0; at < stream.length; at += 65_536) splitter.parse(stream.subarray(at, at + 65_536));
    t.same(
      found.map(({ length }) => length),
      [65_536, large.length, stream.length % 65_536],
    );
    t.equal(found[0]?.buffer, stream.buffer);
    t.equal(found[2]?.buffer, stream.buffer);
  },
);

/** A frame of one message. */
function frameOf(reply: string, headers = "", body = "", subject = "s.0.a"): Frame {
  let found: Frame | undefined;
  const splitter = new Splitter(parserInto([]), new Map([[2, (frame) => (found = frame)]]));
  const sizes = headers === "" ? body.length : `${headers.length} ${headers.length + body.length}`;
  splitter.parse(
    Buffer.from(`${headers === "" ? "MSG" : "HMSG"} ${subject} 2 ${reply} ${sizes}\r\n${headers}${body}\r\n`),
  );
  return found as Frame;
}

t.test("a message's place: of our consumer only, in both forms of the reply", async (t) => {
  const place = new Place("telemetry", "mr-abc");
  for (const [reply, sequence, delivery] of [
    ["$JS.ACK.telemetry.mr-abc.1.1234567890123.77.1700000000000000000.5", 1_234_567_890_123, 77],
    ["$JS.ACK.hub.ACCOUNT.telemetry.mr-abc.12.9.1.1700000000000000000.0.x7", 9, 1],
    ["$JS.ACK.mr-abc.mr-abc.telemetry.mr-ab.mr-abc.1.2.3.4.5", undefined, undefined],
  ] as const) {
    const isOurs = place.read(frameOf(reply));
    if (sequence === undefined) continue;
    t.ok(isOurs, reply);
    t.same([place.sequence, place.delivery], [sequence, delivery]);
  }
  for (const reply of [
    "$JS.ACK.telemetry.mr-abd.1.2.3.4.5",
    "$JS.ACK.telemetry.mr-abc",
    "$JS.ACK.telemetry.mr-abc.1",
    "$JS.ACK.telemetry.mr-abc.1.2",
    "$JS.ACK.telemetry.mr-abc.1.2.3",
    "_INBOX.a.mr-abc.1.2.3.4.5",
    "$JS",
  ])
    t.notOk(place.read(frameOf(reply, "", "$JS.ACK.telemetry.mr-abc.1.2.3.4.5")), reply);
});

t.test("subject, headers and body of a message", async (t) => {
  const frame = frameOf("r", "NATS/1.0\r\nA: one\r\nB: two\r\n\r\n", "body", "s.0.größe");
  t.equal(subjectOf(frame), "s.0.größe");
  t.equal(headersOf(frame)?.get("B"), "two");
  const message = new ReadMessage(7, "s", frame);
  t.equal(Buffer.from(message.data).toString(), "body");
  t.same([message.header("A"), message.header("B"), message.header("C")], ["one", "two", undefined]);
  t.equal(new ReadMessage(7, "s", frameOf("r")).header("A"), undefined);
  t.equal(headersOf(frameOf("r")), undefined);
  t.equal(headersOf(frameOf("r", "NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\n\r\n"))?.code, 408);
});
