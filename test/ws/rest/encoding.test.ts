import { gzipSync } from "node:zlib";
import t from "tap";
import { decodeBody } from "../../../src/ws/rest/encoding.js";

const plain = Buffer.from("a reading");

t.test("gzip or nothing", async (t) => {
  for (const encoding of [undefined, "", "identity"])
    t.same(await decodeBody(plain, encoding, 9), { kind: "body", body: plain }, String(encoding));
  for (const encoding of ["gzip", " GZIP ", "x-gzip"])
    t.same(await decodeBody(gzipSync(plain), encoding, 9), { kind: "body", body: plain }, encoding);
  for (const encoding of ["br", "deflate", "gzip, gzip", "zstd"])
    t.match(await decodeBody(plain, encoding, 9), { kind: "unsupported", encoding }, encoding);
  await t.rejects(decodeBody(plain, "gzip", 9), { code: "MR_REQUEST_INVALID" });
  await t.rejects(decodeBody(gzipSync(plain).subarray(0, 12), "gzip", 9), { code: "MR_REQUEST_INVALID" }, "cut off");
  await t.rejects(decodeBody(gzipSync(plain), "gzip", 8), { code: "MR_TOO_LARGE" }, "one byte too many");
});

t.test("a bomb is stopped at the limit", async (t) => {
  const bomb = gzipSync(Buffer.alloc(200 << 20));
  t.ok(bomb.length < 300_000);
  const before = process.memoryUsage.rss();
  await t.rejects(decodeBody(bomb, "gzip", 1 << 20), { code: "MR_TOO_LARGE", message: /1048576/ });
  t.ok(process.memoryUsage.rss() - before < 64 << 20, "no more memory than an honest body");
});
