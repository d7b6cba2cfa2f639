import fc from "fast-check";
import t from "tap";
import { decodeToken, encodeToken, partitionOf } from "../../src/core/index.js";

t.test("tokens: plain text stays, the rest is escaped", async (t) => {
  const table = [
    ["truck-17", "truck-17"],
    ["rust-lang", "rust-lang"],
    ["docs.rs", "docs%2Ers"],
    ["a b*>", "a%20b%2A%3E"],
    ["", "%"],
    ["é", "%C3%A9"],
  ] as const;
  for (const [text, token] of table) {
    t.equal(encodeToken(text), token);
    t.equal(decodeToken(token), text);
  }
});

t.test("tokens: every text comes back, and no token holds a dot, star, blank or >", async (t) => {
  const property = fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (text) => {
    const token = encodeToken(text);
    return decodeToken(token) === text && /^[A-Za-z0-9_%-]+$/.test(token);
  });
  t.doesNotThrow(() => fc.assert(property));
});

t.test("tokens: what encodeToken never writes is refused", async (t) => {
  for (const token of ["%2", "a%zz", "%FF", "%2e"]) {
    t.throws(() => decodeToken(token), { code: "MR_REQUEST_INVALID" }, token);
  }
});

t.test("partitionOf: the published FNV-1a vectors, and always in range", async (t) => {
  // Vectors of the 32-bit FNV-1a reference: "" 811c9dc5, "a" e40c292c, "foobar" bf9cf968.
  t.equal(partitionOf([""], 2 ** 32), 0x811c9dc5);
  t.equal(partitionOf(["a"], 2 ** 32), 0xe40c292c);
  t.equal(partitionOf(["foo", "bar"], 2 ** 32), 0xbf9cf968);
  const property = fc.property(fc.string(), fc.integer({ min: 1, max: 64 }), (key, partitions) => {
    const partition = partitionOf([encodeToken(key)], partitions);
    return Number.isInteger(partition) && partition >= 0 && partition < partitions;
  });
  t.doesNotThrow(() => fc.assert(property));
});
