import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from "node:crypto";
import fc from "fast-check";
import { compactVerify } from "jose";
import t from "tap";
import { isSignedBy, publishedKey } from "../../../src/ws/access/signature.js";
import { pair, SECRET, token, unsigned } from "./keys.js";

const secret = new TextEncoder().encode(SECRET);
const secretKey = createSecretKey(secret);
const ALL = ["HS256", "HS384", "HS512", "RS256", "RS512", "PS256", "PS384", "ES256", "ES384", "ES512", "EdDSA"];
const isSecret = (alg: string) => alg.startsWith("HS");

t.test("every algorithm with its own key, and with no other", async (t) => {
  const made: { alg: string; key: KeyObject; text: string }[] = [];
  for (const alg of ALL) {
    if (isSecret(alg)) made.push({ alg, key: secretKey, text: await token(secret, { alg }) });
    else {
      const { privateKey, pem } = await pair(alg);
      made.push({ alg, key: createPublicKey(pem), text: await token(privateKey, { alg }) });
    }
  }
  for (const { alg, text, key } of made) {
    t.ok(
      isSignedBy(text, [alg], () => key),
      alg,
    );
    t.notOk(
      isSignedBy(text, ["none"], () => key),
      `${alg} where it is not allowed`,
    );
    t.notOk(
      isSignedBy(text, [alg], () => undefined),
      `${alg} without a key`,
    );
    for (const other of made)
      if (other.key !== key)
        t.notOk(
          isSignedBy(text, ALL, () => other.key),
          `${alg} with the key of ${other.alg}`,
        );
  }
});

t.test("a public key is no secret, and a small one none at all", async (t) => {
  const { privateKey, pem } = await pair("RS256");
  const key = createPublicKey(pem);
  for (const bytes of [pem, pem.trim()]) {
    const confused = await token(new TextEncoder().encode(bytes), { alg: "HS256" });
    t.notOk(isSignedBy(confused, ["HS256", "RS256"], () => key));
  }
  const details = { ...key.asymmetricKeyDetails, modulusLength: 1_024 };
  const small = new Proxy(key, {
    get: (of, name) => (name === "asymmetricKeyDetails" ? details : Reflect.get(of, name)),
  });
  t.notOk(isSignedBy(await token(privateKey, { alg: "RS256" }), ["RS256"], () => small));
});

t.test("whatever is unusual is left to the library", async (t) => {
  const text = await token(secret);
  const [head = "", body = "", signature = ""] = text.split(".");
  const last = signature.at(-1) as string;
  // The same bytes with other bits where base64 has some to spare.
  const spare = String.fromCharCode(last.charCodeAt(0) + 1);
  const cases: Record<string, string> = {
    "a critical extension": await token(secret, { header: { crit: ["b64"], b64: true } }),
    "a key in the header": await token(secret, { header: { jwk: { kty: "oct" } } }),
    "an address in the header": await token(secret, { header: { jku: "https://evil.example" } }),
    "no signature": `${head}.${body}.`,
    "a signature written another way": `${head}.${body}.${signature.slice(0, -1)}${spare}`,
    padding: `${text}=`,
    "four parts": `${text}.${signature}`,
    "two parts": `${head}.${body}`,
    "alg none": unsigned({ alg: "none" }, {}),
    "no object": `${Buffer.from("null").toString("base64url")}.${body}.${signature}`,
    nothing: "",
  };
  for (const [name, one] of Object.entries(cases))
    t.notOk(
      isSignedBy(one, [...ALL, "none"], () => secretKey),
      name,
    );
});

t.test("nothing is taken that the library would refuse", async (t) => {
  const text = await token(secret);
  const change = fc.record({ at: fc.nat(text.length - 1), to: fc.constantFrom(..."AZaz09_-.=") });
  const property = fc.asyncProperty(fc.array(change, { minLength: 0, maxLength: 2 }), async (changes) => {
    const letters = [...text];
    for (const { at, to } of changes) letters[at] = to;
    const changed = letters.join("");
    const ours = isSignedBy(changed, ["HS256"], () => secretKey);
    const theirs = await compactVerify(changed, secret, { algorithms: ["HS256"] }).then(
      () => true,
      () => false,
    );
    return !ours || theirs;
  });
  await fc.assert(property, { seed: 20_261_120, numRuns: 300 });
  t.pass();
});

t.test("published keys: by name, for their own use", async (t) => {
  const { jwk } = await pair("ES256");
  const header = { alg: "ES256", kid: "1" };
  const keys = (more: object) => [{ ...jwk, kid: "1", ...more }] as JsonWebKey[];
  t.ok(publishedKey(keys({}), header));
  t.ok(publishedKey(keys({ use: "sig", key_ops: ["verify"] }), header));
  const refused: [name: string, found: JsonWebKey[], wanted: typeof header | { alg: string; kid: undefined }][] = [
    ["another name", keys({}), { ...header, kid: "2" }],
    ["no name", keys({ kid: undefined }), { ...header, kid: undefined }],
    ["two of one name", [...keys({}), ...keys({})], header],
    ["another algorithm", keys({}), { ...header, alg: "ES384" }],
    ["for encryption", keys({ use: "enc" }), header],
    ["for other operations", keys({ key_ops: ["sign"] }), header],
  ];
  for (const [name, found, wanted] of refused) t.equal(publishedKey(found, wanted), undefined, name);
});
