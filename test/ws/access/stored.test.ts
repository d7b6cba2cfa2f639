import t from "tap";
import { createLogger } from "../../../src/core/logger.js";
import {
  createCredential,
  followCredentials,
  listCredentials,
  type NewCredential,
  revokeCredential,
} from "../../../src/ws/access/stored.js";
import { memoryRegisters } from "../../support/memory-registers.js";

const logger = createLogger("silent");
const wall: NewCredential = { kind: "display", name: "east", expiresAtMs: null, channels: ["alerts"] };
const pump: NewCredential = { kind: "ingest", name: "pump", expiresAtMs: null, channels: null };

t.test("what is kept gives nothing away; what is known counts until it is revoked", async (t) => {
  const registers = memoryRegisters();
  const nowMs = Date.now();
  const token = await createCredential(registers, wall, nowMs);
  const key = await createCredential(registers, pump, nowMs);
  t.match(token, /^mrd_[0-9a-f]{12}_[\w-]{43}$/);
  t.match(key, /^mrk_/);
  const kept = Buffer.from((await registers.get("access/credentials"))?.value ?? "").toString();
  for (const text of [token, key]) t.notOk(kept.includes(text.slice(17)), "no secret is kept");

  const revoked: string[] = [];
  const store = await followCredentials({ registers, everyMs: 5, revoked: (one) => revoked.push(one), logger });
  t.teardown(() => store.close());
  t.equal(store.inForce(), 2);
  t.match(store.verify(token), {
    kind: "known",
    identity: { subject: "display:east", role: "viewer", channels: ["alerts"], expiresAtMs: Infinity },
  });
  t.match(store.verify(key), { kind: "known", identity: { subject: "key:pump", role: undefined } });
  const wrong = `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`;
  for (const text of [wrong, `${key.slice(0, 17)}${token.slice(17)}`, `mrd_${"0".repeat(12)}_${token.slice(17)}`])
    t.match(store.verify(text), { why: "bad-credential" }, "another secret, or another's secret");
  for (const text of ["", "mrd_x", `${token}x`, "a.b.c"]) t.notOk(store.recognises(text), JSON.stringify(text));

  registers.down = true;
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.match(store.verify(token), { kind: "known" }, "while the log is away the last state counts");
  registers.down = false;
  await revokeCredential(registers, { kind: "display", which: "east" }, nowMs);
  while (store.inForce() === 2) await new Promise((resolve) => setTimeout(resolve, 5));
  t.match(store.verify(token), { why: "revoked" });
  t.same(revoked, ["display:east"]);
  t.match(store.verify(key), { kind: "known" }, "the other one is not touched");
});

t.test("names are unique among those in force; ids and names revoke; ends are kept", async (t) => {
  const registers = memoryRegisters();
  await createCredential(registers, { ...wall, expiresAtMs: 100 }, 50);
  await t.rejects(createCredential(registers, wall, 99), { code: "MR_OPTION_INVALID", message: /already/ });
  await t.resolves(createCredential(registers, { ...wall, kind: "ingest" }, 99), "of another kind");
  const again = await createCredential(registers, { ...wall, expiresAtMs: 200 }, 100);
  const store = await followCredentials({ registers, everyMs: 1_000, revoked: () => {}, logger });
  t.teardown(() => store.close());
  t.match(store.verify(again), { why: "expired" });
  const [first] = await listCredentials(registers);
  await t.rejects(revokeCredential(registers, { kind: "display", which: first?.id ?? "" }, 150), {
    message: /in force/,
  });
  const [, , third] = await listCredentials(registers);
  t.match(await revokeCredential(registers, { kind: "display", which: third?.id ?? "" }, 150), { name: "east" });
  await t.rejects(revokeCredential(registers, { kind: "display", which: "east" }, 150), { code: "MR_OPTION_INVALID" });
});

t.test("two writers at once lose nothing", async (t) => {
  const registers = memoryRegisters();
  const names = Array.from({ length: 5 }, (_, i) => `n${i}`);
  await Promise.all(names.map((name) => createCredential(registers, { ...pump, name }, 1)));
  t.same((await listCredentials(registers)).map(({ name }) => name).sort(), names);
});
