import t from "tap";
import { createLogger } from "../../../src/core/logger.js";
import { createTokenVerifier, issueToken, type JwtOptions, type TokenVerifier } from "../../../src/ws/access/jwt.js";
import { AUDIENCE, ISSUER, issuer, pair, SECRET, type TokenWishes, token, unsigned } from "./keys.js";

const logger = createLogger("silent");
const shared = { secret: SECRET, issuer: ISSUER, audience: AUDIENCE };
const secret = new TextEncoder().encode(SECRET);
const verifier = (options: JwtOptions) => createTokenVerifier(options, logger) as TokenVerifier;

t.test("a shared secret: what counts and what does not", async (t) => {
  const { verify } = verifier(shared);
  const good: [name: string, wishes: TokenWishes, expected: object][] = [
    ["plain", {}, { subject: "user:alice", role: "operator", limited: true }],
    ["the highest role", { claims: { roles: ["viewer", "boss", "manager"] } }, { role: "manager" }],
    ["roles as a sentence", { claims: { roles: "openid viewer" } }, { role: "viewer" }],
    ["one of several audiences", { claims: { aud: ["other", AUDIENCE] } }, { role: "operator" }],
    ["limited to channels", { claims: { channels: ["alerts"] } }, { channels: ["alerts"] }],
    ["expired within the tolerance", { expiresS: -2 }, { role: "operator" }],
  ];
  for (const [name, wishes, expected] of good)
    t.match(await verify(await token(secret, wishes)), { kind: "known", identity: expected }, name);

  const bad: [name: string, text: string | Promise<string>, why: string, status: number][] = [
    ["expired", token(secret, { expiresS: -60 }), "expired", 401],
    ["without end", token(secret, { expiresS: null }), "bad-credential", 401],
    ["of nobody", token(secret, { sub: null }), "bad-credential", 401],
    ["not yet", token(secret, { claims: { nbf: Date.now() / 1_000 + 600 } }), "bad-credential", 401],
    ["another secret", token(new TextEncoder().encode(`${SECRET}x`)), "bad-credential", 401],
    ["another issuer", token(secret, { claims: { iss: "https://evil.example" } }), "bad-credential", 401],
    ["another audience", token(secret, { claims: { aud: "payroll" } }), "bad-credential", 401],
    ["another algorithm of the family", token(secret, { alg: "HS512" }), "bad-credential", 401],
    ["an extension that must be understood", critical(), "bad-credential", 401],
    ["no role", token(secret, { claims: { roles: ["root"] } }), "permission", 403],
    ["roles that are none", token(secret, { claims: { roles: { admin: true } } }), "permission", 403],
    ["channels that are none", token(secret, { claims: { channels: "alerts" } }), "bad-credential", 401],
    ["alg none", unsigned({ alg: "none" }, { sub: "a", exp: 9e9, roles: ["admin"] }), "bad-credential", 401],
    ["alg NONE", unsigned({ alg: "NONE" }, { sub: "a", exp: 9e9, roles: ["admin"] }, "AA"), "bad-credential", 401],
    ["no algorithm", unsigned({}, { sub: "a", exp: 9e9, roles: ["admin"] }, "AA"), "bad-credential", 401],
    ["no JSON", "e30.bm8.AA", "bad-credential", 401],
    ["too long", `${"a".repeat(9_000)}.b.c`, "bad-credential", 401],
  ];
  for (const [name, text, why, status] of bad)
    t.match(await verify(await text), { kind: "refused", why, status }, name);
  const [head, , signature] = (await token(secret)).split(".");
  const forged = unsigned({}, { sub: "alice", exp: 9e9, roles: ["admin"], iss: ISSUER, aud: AUDIENCE }).split(".")[1];
  t.match(
    await verify(`${head}.${forged}.${signature}`),
    { why: "bad-credential" },
    "claims of one, signature of another",
  );
});

function critical() {
  return unsigned({ alg: "HS256", crit: ["x"], x: 1 }, { sub: "a", exp: 9e9, roles: ["admin"] }, "AA");
}

t.test("public keys of each kind; a public key is no secret", async (t) => {
  for (const alg of ["RS256", "ES256", "EdDSA"]) {
    const { privateKey, pem } = await pair(alg);
    const { verify } = verifier({ publicKey: pem, issuer: ISSUER, audience: AUDIENCE });
    t.match(await verify(await token(privateKey, { alg })), { kind: "known" }, alg);
    const other = await pair(alg);
    t.match(await verify(await token(other.privateKey, { alg })), { why: "bad-credential" }, `${alg}: another key`);
    for (const bytes of [pem, pem.trim()]) {
      const confused = await token(new TextEncoder().encode(bytes), { alg: "HS256" });
      t.match(await verify(confused), { why: "bad-credential" }, `${alg}: HS256 signed with the public key`);
    }
  }
  const { pem, privateKey } = await pair("RS256");
  const pinned = verifier({ publicKey: pem, issuer: ISSUER, audience: AUDIENCE, algorithms: ["PS256"] });
  t.match(await pinned.verify(await token(privateKey, { alg: "RS256" })), { why: "bad-credential" }, "pinned to PS256");
});

t.test("a token whose key is at hand is verified in the same turn", async (t) => {
  const { state, close } = await issuer();
  t.teardown(close);
  const { privateKey, pem, jwk } = await pair("ES256");
  state.keys = [{ ...jwk, kid: "1" }];
  const published = verifier({ jwksUrl: `${state.url}/jwks`, issuer: ISSUER, audience: AUDIENCE });
  const sign = (sub: string) => token(privateKey, { alg: "ES256", kid: "1", sub });
  const first = published.verify(await sign("first"));
  t.type(first, Promise, "keys are fetched when the first token comes");
  t.match(await first, { kind: "known" });
  const cases = {
    published: published.verify(await sign("second")),
    secret: verifier(shared).verify(await token(secret)),
    pem: verifier({ publicKey: pem, issuer: ISSUER, audience: AUDIENCE }).verify(await sign("third")),
  };
  for (const [name, verdict] of Object.entries(cases)) t.match(verdict, { kind: "known" }, name);
  t.match(verifier(shared).verify(await token(secret, { expiresS: -60 })), { why: "expired" });
  t.match(verifier(shared).verify(await token(secret, { claims: { aud: "payroll" } })), { why: "bad-credential" });
  t.equal(state.asked, 1);
});

t.test("published keys: rotation, caching, outage, discovery", async (t) => {
  const { state, close } = await issuer();
  t.teardown(close);
  const [first, second] = [await pair("RS256"), await pair("ES256")];
  state.keys = [{ ...first.jwk, kid: "1" }];
  const options = { jwksUrl: `${state.url}/jwks`, issuer: ISSUER, audience: AUDIENCE, keyCooldownMs: 0 };
  let nowMs = Date.now();
  const { verify, seen } = verifier({ ...options, nowMs: () => nowMs });
  const old = await token(first.privateKey, { alg: "RS256", kid: "1" });
  t.match(await verify(old), { kind: "known" });
  for (let i = 0; i < 5; i++) await verify(await token(first.privateKey, { alg: "RS256", kid: "1", sub: `u${i}` }));
  t.equal(state.asked, 1, "asked once for many tokens");

  state.keys = [{ ...second.jwk, kid: "2" }];
  const fresh = await token(second.privateKey, { alg: "ES256", kid: "2", expiresS: 86_400 });
  t.match(await verify(fresh), { kind: "known" }, "an unknown key id asks again");
  t.equal(state.asked, 2);
  t.match(await verify(old), { why: "bad-credential" }, "the key that was withdrawn signs no more");
  t.match(seen(old), { subject: "user:alice" }, "but a token seen before counts for a while");
  nowMs += 601_000;
  t.equal(seen(old), undefined, "not for longer than ten minutes");
  t.equal(seen(fresh), undefined, "whatever its own end is");
  t.match(await verify(await token(second.privateKey, { alg: "ES256", kid: "1" })), { why: "bad-credential" });
  const hmac = await token(secret, { alg: "HS256", kid: "2" });
  t.match(await verify(hmac), { why: "bad-credential" }, "no secret among published keys");

  const away = verifier({ ...options, jwksUrl: `${state.url}/jwks` });
  state.status = 500;
  t.match(
    await away.verify(fresh),
    { status: 503, why: "keys-unavailable" },
    "an outage of the issuer is no wrong token",
  );
  state.status = 200;
  t.match(
    await away.verify(await token(second.privateKey, { alg: "ES256", kid: "2" })),
    { kind: "known" },
    "and passes",
  );

  const discovered = verifier({ issuer: state.url, audience: AUDIENCE });
  const mine = await token(second.privateKey, { alg: "ES256", kid: "2", claims: { iss: state.url } });
  t.match(await discovered.verify(mine), { kind: "known" }, "found by the issuer's OpenID configuration");
});

t.test("a token seen before is not verified again, until it ends", async (t) => {
  let nowMs = Date.now();
  const { verify, seen } = verifier({ ...shared, nowMs: () => nowMs });
  const text = await token(secret, { expiresS: 60 });
  t.equal(seen(text), undefined);
  await verify(text);
  t.match(seen(text), { subject: "user:alice" });
  t.equal(seen(`${text}x`), undefined);
  nowMs += 60_001;
  t.equal(seen(text), undefined);
});

t.test("roles may stand deep in the claims, or under a name with dots", async (t) => {
  const deep = verifier({ ...shared, rolesClaim: "realm_access.roles" });
  t.match(await deep.verify(await token(secret, { claims: { realm_access: { roles: ["admin"] } } })), {
    identity: { role: "admin" },
  });
  const dotted = verifier({ ...shared, rolesClaim: "https://a.example/roles" });
  t.match(await dotted.verify(await token(secret, { claims: { "https://a.example/roles": ["viewer"] } })), {
    kind: "known",
  });
  t.match(await verifier({ ...shared, rolesClaim: "constructor.name" }).verify(await token(secret)), {
    why: "permission",
  });
});

t.test("options that do not fit together are refused", async (t) => {
  const { pem } = await pair("RS256");
  const table: [name: string, options: JwtOptions, message: RegExp][] = [
    ["short secret", { secret: "short" }, /at least 32 bytes/],
    ["two kinds of key", { secret: SECRET, publicKey: pem }, /give one of/],
    ["HS256 with a public key", { publicKey: pem, algorithms: ["RS256", "HS256"] }, /HS256 does not fit/],
    ["RS256 with a secret", { secret: SECRET, algorithms: ["RS256"] }, /RS256 does not fit/],
    ["none", { secret: SECRET, algorithms: ["none"] }, /none does not fit/],
    ["published keys without issuer", { jwksUrl: "https://a.example/jwks", audience: "x" }, /MILLRACE_JWT_ISSUER/],
    ["published keys without audience", { issuer: "https://a.example" }, /MILLRACE_JWT_AUDIENCE/],
    ["keys in the clear", { jwksUrl: "http://a.example/jwks", issuer: "i", audience: "x" }, /https only/],
    ["no PEM", { publicKey: "no" }, /must be PEM/],
  ];
  for (const [name, options, message] of table)
    t.throws(() => createTokenVerifier(options, logger), { code: "MR_OPTION_INVALID", message }, name);
  t.equal(createTokenVerifier({}, logger), undefined, "nothing configured");
});

t.test("issued tokens count", async (t) => {
  const text = await issueToken(shared, { subject: "bob", role: "manager", channels: ["alerts"], ttlS: 60 });
  t.match(await verifier(shared).verify(text), {
    identity: { subject: "user:bob", role: "manager", channels: ["alerts"], expiresAtMs: Number },
  });
  await t.rejects(issueToken({}, { subject: "bob", role: "viewer", ttlS: 60 }), { code: "MR_OPTION_INVALID" });
});
