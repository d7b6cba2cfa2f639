// Stands in for tap while mutants are tried: collects the tests of a file, so that they can be run again and again in one warm
// process. Same meaning of the assertions (tap's own comparison functions), but the first failure ends a test.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const { same, strict, match } = createRequire(fileURLToPath(import.meta.resolve("tap")))("tcompare");

/** Every test declared so far, in order. */
export const collected = [];
const teardowns = [];

function compare(how, found, wanted, wants, message) {
  const { match: holds, diff } = how(found, wanted);
  if (holds !== wants) throw new Error(`${message ?? "comparison"}\n${diff}`);
}

function thrown(call) {
  try {
    call();
  } catch (error) {
    return { error };
  }
  return undefined;
}

const assertions = {
  equal: (found, wanted, message) => assert.ok(Object.is(found, wanted), message ?? `${found} is not ${wanted}`),
  not: (found, unwanted, message) =>
    assert.ok(!Object.is(found, unwanted), message ?? `${found} is what it must not be`),
  ok: (value, message) => assert.ok(value, message),
  notOk: (value, message) => assert.ok(!value, message),
  strictSame: (found, wanted, message) => compare(strict, found, wanted, true, message),
  same: (found, wanted, message) => compare(same, found, wanted, true, message),
  match: (found, wanted, message) => compare(match, found, wanted, true, message),
  notMatch: (found, wanted, message) => compare(match, found, wanted, false, message),
  throws(call, wanted, message) {
    const found = thrown(call);
    if (found === undefined) throw new Error(typeof wanted === "string" ? wanted : (message ?? "nothing was thrown"));
    if (typeof wanted !== "object" || wanted === null) return;
    const { code, name, message: text, stack } = found.error;
    compare(match, wanted instanceof RegExp ? text : { code, name, message: text, stack }, wanted, true, message);
  },
  doesNotThrow(call) {
    const found = thrown(call);
    if (found !== undefined) throw found.error;
  },
  comment: () => undefined,
  teardown: (work) => void teardowns.push(work),
  async test(_name, ...rest) {
    await rest.at(-1)(assertions);
  },
};

/** Runs one collected test once. Rejects with its first failure. */
export async function runOnce({ work }) {
  try {
    await work(assertions);
  } finally {
    for (const teardown of teardowns.splice(0)) await teardown();
  }
}

// biome-ignore lint/style/noDefaultExport: it stands in for a package that has one.
export default {
  test: (name, ...rest) => void collected.push({ name, work: rest.at(-1), skip: rest.length > 1 && rest[0].skip }),
  setTimeout: () => undefined,
  teardown: () => undefined,
};
