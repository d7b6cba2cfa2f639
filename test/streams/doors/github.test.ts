import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import fc from "fast-check";
import t from "tap";
import { encodeToken } from "../../../src/core/index.js";
import { connectLog, githubDoor, streamSpecs } from "../../../src/streams/index.js";
import { httpRequest } from "../../support/http.js";
import { readAll } from "../../support/log.js";
import { startNats } from "../../support/nats.js";
import { bytes, text } from "../../support/text.js";

const SECRET = "s3cret";
const KEY = "local-key";
const sign = (body: Uint8Array, secret = SECRET) => `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
const PUSH = { ref: "refs/heads/main", repository: { full_name: "rust-lang/rust.rs" }, note: "ñ 本 \ud83d\ude9a" };

t.test("github door", async (t) => {
  const server = await startNats({ maxPayloadMb: 1 });
  t.teardown(server.stop);
  const { log, close, maxPayloadBytes } = await connectLog({ url: server.url, name: "test", timeoutMs: 500 });
  t.teardown(close);
  for (const spec of streamSpecs(4)) await log.ensureStream(spec);
  const door = githubDoor({ log, secrets: [SECRET, "former"], localKey: KEY, maxPayloadBytes });
  const deliver = (body: Uint8Array, headers: Record<string, string> = {}) =>
    door.handle(
      httpRequest(door.path, body, {
        "content-type": "application/json",
        "x-hub-signature-256": sign(body),
        "x-github-event": "push",
        "x-github-delivery": "d-1",
        ...headers,
      }),
    );
  const stored = async () => (await log.info("github")).messages;
  const newest = async () => (await readAll(log, "github", "github.*.*.*.*")).at(-1);

  await t.test("a signed delivery is in the log, byte for byte, before it is answered", async (t) => {
    const body = bytes(`  ${JSON.stringify(PUSH)}\n`);
    const reply = await deliver(body, { "x-github-hook-id": "77" });
    t.match(reply, { status: 202, body: '{"accepted":1}' });
    const message = await newest();
    t.equal(Buffer.compare(message?.data ?? bytes(""), body), 0);
    t.match(message?.subject, /^github\.[0-3]\.rust-lang\.rust%2Ers\.push$/);
    const headers = ["X-GitHub-Event", "X-GitHub-Delivery", "X-GitHub-Hook-ID", "Millrace-Door", "Millrace-Source"];
    t.same(
      headers.map((name) => message?.header(name)),
      ["push", "d-1", "77", "webhook", "live"],
    );
    t.match([door.method, door.path, door.access, door.maxBodyBytes], ["POST", "/hooks/github", "own", 26_214_400]);
  });

  await t.test("without a right signature: 401 and nothing in the log", async (t) => {
    const before = await stored();
    const body = bytes(PUSH.ref);
    const wrong = {
      missing: "",
      short: "sha256=abc",
      "another secret's": sign(body, "other"),
      "another body's": sign(bytes("x")),
      "sha-1 only": `sha1=${createHmac("sha1", SECRET).update(body).digest("hex")}`,
      "upper case": sign(body).toUpperCase(),
    };
    for (const [what, signature] of Object.entries(wrong)) {
      await t.rejects(deliver(body, { "x-hub-signature-256": signature }), { code: "MR_UNAUTHORIZED" }, what);
    }
    const property = fc.asyncProperty(fc.nat(body.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const other = Uint8Array.from(body, (byte, i) => (i === at ? byte ^ change : byte));
      const refused = await deliver(other, { "x-hub-signature-256": sign(body) }).then(
        () => false,
        () => true,
      );
      if (!refused) throw new Error(`byte ${at} changed by ${change} was not noticed`);
    });
    await t.resolves(fc.assert(property, { seed: 11, numRuns: 100 }));
    t.equal(await stored(), before);
    t.throws(() => githubDoor({ log, secrets: [], localKey: KEY, maxPayloadBytes }), { code: "MR_OPTION_INVALID" });
  });

  await t.test("the former secret still counts", async (t) => {
    const body = bytes(JSON.stringify(PUSH));
    t.equal((await deliver(body, { "x-hub-signature-256": sign(body, "former") })).status, 202);
  });

  await t.test("bytes that are not text, a byte order mark, nothing: right signatures are right", async (t) => {
    const bodies = [
      Uint8Array.from([0x7b, 0xff, 0xfe, 0x00, 0x7d]),
      bytes("\ufeff{}"),
      new Uint8Array(0),
      bytes("{broken"),
    ];
    for (const body of bodies) {
      t.equal((await deliver(body)).status, 202, `${[...body.slice(0, 5)]}`);
      const message = await newest();
      t.match(message?.subject, /^github\.[0-3]\.-\.-\.push$/);
      t.equal(Buffer.compare(message?.data ?? bytes("?"), body), 0);
    }
  });

  await t.test("a form: signed as a form, logged as the JSON in it", async (t) => {
    const form = bytes(`a=1&payload=${encodeURIComponent(JSON.stringify(PUSH))}`);
    const type = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
    t.equal((await deliver(form, type)).status, 202);
    t.equal(text((await newest())?.data ?? bytes("")), JSON.stringify(PUSH));
    const other = bytes("a=1");
    t.equal((await deliver(other, type)).status, 202);
    t.equal(text((await newest())?.data ?? bytes("")), "a=1");
  });

  await t.test("strange names, kinds and headers are filed, not refused", async (t) => {
    const cases: readonly (readonly [unknown, string, RegExp])[] = [
      [{ repository: { full_name: "a/b/c" } }, "push", /\.-\.-\.push$/],
      [{ repository: { full_name: "x".repeat(5_000) } }, "push", /\.-\.-\.push$/],
      [{ repository: { full_name: `a/${"x".repeat(300)}` } }, "push", /\.a\.-\.push$/],
      [{ repository: { full_name: 7 } }, "push", /\.-\.-\.push$/],
      [null, "push", /\.-\.-\.push$/],
      [PUSH, "brand_new.event >", /\.brand_new%2Eevent%20%3E$/],
      [PUSH, "", /rust%2Ers\.-$/],
    ];
    for (const [body, event, subject] of cases) {
      t.equal((await deliver(bytes(JSON.stringify(body)), { "x-github-event": event })).status, 202);
      t.match((await newest())?.subject, subject);
    }
    t.match(await deliver(bytes("{}"), { "x-github-event": "ping" }), { status: 200 });
  });

  await t.test("every kind of real payload lands under its repository", async (t) => {
    const examples = createRequire(import.meta.url)("@octokit/webhooks-examples") as {
      name: string;
      examples: object[];
    }[];
    t.ok(examples.length > 50);
    for (const { name, examples: payloads } of examples) {
      for (const payload of payloads) {
        const body = bytes(JSON.stringify(payload));
        const { full_name = "-/-" } = (payload as { repository?: { full_name?: string } }).repository ?? {};
        await deliver(body, { "x-github-event": name });
        const subject = (
          await log.last("github", `github.*.${full_name.split("/").map(encodeToken).join(".")}.${name}`)
        )?.subject;
        if (subject === undefined) t.fail(`${name} of ${full_name} is not in the log`);
      }
    }
  });

  await t.test("a time source is named only with the key", async (t) => {
    const body = bytes("{}");
    const named = async (headers: Record<string, string>) => {
      await deliver(body, headers);
      return (await newest())?.header("Millrace-Source");
    };
    t.equal(await named({ "x-millrace-source": "sample" }), "live");
    t.equal(await named({ "x-millrace-source": "sample", authorization: "Bearer wrong" }), "live");
    t.equal(await named({ "x-millrace-source": "sample", authorization: `Bearer ${KEY}` }), "sample");
    t.equal(await named({ "x-millrace-source": "a.b", authorization: `Bearer ${KEY}` }), "live");
  });

  await t.test("too large, full, away", async (t) => {
    const before = await stored();
    await t.rejects(deliver(new Uint8Array(maxPayloadBytes - 4_095)), {
      code: "MR_TOO_LARGE",
      message: /takes at most 1044480/,
    });
    const [spec] = streamSpecs(4);
    if (spec === undefined) throw new Error("no stream");
    await log.ensureStream({ ...spec, maxBytes: (await log.info("github")).bytes });
    await t.rejects(deliver(bytes("{}")), { code: "MR_LOG_FULL" });
    t.equal(await stored(), before);
    await server.kill();
    await t.rejects(deliver(bytes("{}")), { code: "MR_LOG_UNAVAILABLE" });
  });
});
