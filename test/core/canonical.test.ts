import fc from "fast-check";
import t from "tap";
import { canonicalJson } from "../../src/core/index.js";

t.test("keys are sorted at every depth, arrays keep their order", async (t) => {
  t.equal(canonicalJson({ b: [{ d: 1, c: 2 }, 3], a: null }), '{"a":null,"b":[{"c":2,"d":1},3]}');
});

t.test("the text does not depend on insertion order", async (t) => {
  const property = fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
    const reversed = Object.fromEntries(Object.entries(value).reverse());
    return canonicalJson(value) === canonicalJson(reversed);
  });
  t.doesNotThrow(() => fc.assert(property));
});
