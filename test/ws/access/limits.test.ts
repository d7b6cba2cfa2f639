import t from "tap";
import { ANONYMOUS, type Identity } from "../../../src/ws/access/identity.js";
import { ACCESS_LIMITS, createLimiter, networkOf, tokenBuckets } from "../../../src/ws/access/limits.js";

const user = (subject: string, more: Partial<Identity> = {}): Identity => ({ ...ANONYMOUS, subject, ...more });
const FAR = "203.0.113.7";

t.test("a bucket gives its burst at once, then its rate", async (t) => {
  let nowMs = 0;
  const buckets = tokenBuckets({ burst: 3, perSecond: 2, nowMs: () => nowMs });
  const take = (count: number) => Array.from({ length: count }, () => buckets.take("a"));
  t.same(take(4), [true, true, true, false]);
  nowMs = 499;
  t.same(take(1), [false], "1 ms early");
  nowMs = 500;
  t.same(take(2), [true, false]);
  nowMs = 1e9;
  t.same(take(4), [true, true, true, false], "never more than the burst");
  t.ok(buckets.take("b"), "keys do not share");
});

t.test("requests: by identity, API keys apart, the local key never, nobodies by address", async (t) => {
  const limits = { ...ACCESS_LIMITS, requestsPerSecond: 1, ingestPerSecond: 2 };
  const limiter = createLimiter(limits, () => 0);
  const passed = (ask: () => unknown) => Array.from({ length: 50 }, ask).filter((refusal) => !refusal).length;
  t.equal(
    passed(() => limiter.request(user("user:a"))),
    5,
  );
  t.equal(
    passed(() => limiter.request(user("user:b"))),
    5,
  );
  t.equal(
    passed(() => limiter.request(user("key:p", { role: undefined }))),
    10,
  );
  t.equal(
    passed(() => limiter.request(user("local", { limited: false }))),
    50,
  );
  t.equal(
    passed(() => limiter.anonymous(FAR)),
    5,
  );
  t.equal(
    passed(() => limiter.anonymous(FAR, "door")),
    10,
    "doors take as much as from API keys",
  );
  t.equal(
    passed(() => limiter.anonymous("127.0.0.1")),
    50,
    "this machine is free",
  );
  const everywhere = createLimiter({ ...limits, limitLoopback: true }, () => 0);
  t.equal(
    passed(() => everywhere.anonymous("127.0.0.1")),
    5,
    "unless it is told otherwise",
  );
});

t.test("guessing: after some wrong credentials the address is not listened to", async (t) => {
  let nowMs = 0;
  const limiter = createLimiter({ ...ACCESS_LIMITS, failuresAtOnce: 3 }, () => nowMs);
  for (let i = 0; i < 3; i++) t.equal(limiter.failed(FAR), undefined);
  t.match(limiter.failed(FAR), { status: 429, why: "rate" });
  t.match(limiter.mayTry(FAR), { status: 429 });
  t.equal(limiter.mayTry("203.0.113.8"), undefined, "the neighbour is");
  nowMs = 2_000;
  t.equal(limiter.mayTry(FAR), undefined, "one try every two seconds");
});

t.test("connections: by identity and by address, counted until they leave", async (t) => {
  const limiter = createLimiter({ ...ACCESS_LIMITS, connectionsPerIdentity: 2, connectionsPerAddress: 3 });
  const leave = limiter.enter(user("a"), FAR);
  limiter.enter(user("a"), FAR);
  t.match(limiter.mayConnect(user("a"), "203.0.113.8"), { why: "connections" });
  t.equal(limiter.mayConnect(user("b"), FAR), undefined);
  limiter.enter(user("b"), FAR);
  t.match(limiter.mayConnect(user("b"), FAR), { why: "connections" });
  t.match(limiter.mayConnect(user("local", { limited: false }), FAR), { why: "connections" });
  leave();
  t.equal(limiter.mayConnect(user("a"), FAR), undefined);
});

t.test("an IPv6 party holds a /64, an IPv4 one an address", async (t) => {
  t.equal(networkOf(FAR), FAR);
  t.equal(networkOf("2001:db8:1:2:3:4:5:6"), networkOf("2001:0db8:0001:0002:ffff::1"));
  t.not(networkOf("2001:db8:1:2::1"), networkOf("2001:db8:1:3::1"));
  t.not(networkOf("::ffff:203.0.113.7"), networkOf("::ffff:203.0.113.8"));
  t.equal(networkOf("::1"), "0:0:0:0");
  t.equal(networkOf("not an address"), "not an address");
});
