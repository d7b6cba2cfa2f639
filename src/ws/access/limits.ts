import { isIPv6 } from "node:net";
import { isLoopback } from "../auth.js";
import { type Identity, type Refusal, refused } from "./identity.js";

export interface AccessLimits {
  /** Requests an identity may make a second, and an address that shows no credential; five times as many at once. */
  readonly requestsPerSecond: number;
  /** The same for API keys, and for addresses at doors that check signatures: senders of webhooks do not repeat what was refused. */
  readonly ingestPerSecond: number;
  /** WebSocket connections of one identity and of one address. */
  readonly connectionsPerIdentity: number;
  readonly connectionsPerAddress: number;
  /** Refused credentials of one address: so many at once, then one every two seconds; after that nothing is verified. */
  readonly failuresAtOnce: number;
  /** False: addresses of this machine are not limited; behind a proxy on the same machine all would look alike. */
  readonly limitLoopback: boolean;
}

export const ACCESS_LIMITS: AccessLimits = {
  requestsPerSecond: 100,
  ingestPerSecond: 2_000,
  connectionsPerIdentity: 200,
  connectionsPerAddress: 1_000,
  failuresAtOnce: 20,
  limitLoopback: false,
};

const BURST_S = 5;
const FAILURES_PER_SECOND = 0.5;
/** Keys a set of buckets remembers. Over it the oldest is forgotten, full again: memory is bounded, the limit then a little less so. */
const BUCKETS_MOST = 50_000;

export interface Limiter {
  /** One request of somebody known. */
  request(identity: Identity): Refusal | undefined;
  /** One request of nobody in particular, or at a door that checks a signature by itself. */
  anonymous(address: string, at?: "door"): Refusal | undefined;
  /** Before a signature is checked: whether this address has guessed too often. */
  mayTry(address: string): Refusal | undefined;
  /** Counts a wrong credential. */
  failed(address: string): Refusal | undefined;
  /** Whether one more connection fits; `enter` counts it until the returned function is called. */
  mayConnect(identity: Identity, address: string): Refusal | undefined;
  enter(identity: Identity, address: string): () => void;
}

export function createLimiter(limits: AccessLimits, nowMs: () => number = () => performance.now()): Limiter {
  const perSecond = (rate: number) => tokenBuckets({ burst: rate * BURST_S, perSecond: rate, nowMs });
  const users = perSecond(limits.requestsPerSecond);
  const keys = perSecond(limits.ingestPerSecond);
  const addresses = perSecond(limits.requestsPerSecond);
  const doors = perSecond(limits.ingestPerSecond);
  const failures = tokenBuckets({ burst: limits.failuresAtOnce, perSecond: FAILURES_PER_SECOND, nowMs });
  const bySubject = counters();
  const byAddress = counters();
  const isFree = (address: string) => !limits.limitLoopback && isLoopback(address);
  const tooMany = refused(429, "rate", "too many requests; slow down");
  const guessing = refused(429, "rate", "too many wrong credentials from this address; wait a minute");
  return {
    request(identity) {
      if (!identity.limited) return undefined;
      const buckets = identity.role === undefined ? keys : users;
      return buckets.take(identity.subject) ? undefined : tooMany;
    },
    anonymous(address, at) {
      const buckets = at === "door" ? doors : addresses;
      return isFree(address) || buckets.take(networkOf(address)) ? undefined : tooMany;
    },
    mayTry: (address) => (isFree(address) || failures.has(networkOf(address)) ? undefined : guessing),
    failed: (address) => (isFree(address) || failures.take(networkOf(address)) ? undefined : guessing),
    mayConnect(identity, address) {
      const isOver =
        (identity.limited && bySubject.count(identity.subject) >= limits.connectionsPerIdentity) ||
        (!isFree(address) && byAddress.count(networkOf(address)) >= limits.connectionsPerAddress);
      return isOver ? refused(429, "connections", "too many connections; close some first") : undefined;
    },
    enter(identity, address) {
      const network = networkOf(address);
      bySubject.add(identity.subject, 1);
      byAddress.add(network, 1);
      return () => {
        bySubject.add(identity.subject, -1);
        byAddress.add(network, -1);
      };
    },
  };
}

interface Buckets {
  /** False when the bucket is empty; nothing is taken then. */
  take(key: string): boolean;
  has(key: string): boolean;
}

/** Token buckets by key: `burst` at once, refilled at `perSecond`. O(1) a call. */
export function tokenBuckets(options: { burst: number; perSecond: number; nowMs: () => number }): Buckets {
  const { burst, perSecond, nowMs } = options;
  const buckets = new Map<string, { tokens: number; thenMs: number }>();
  const refilled = (key: string) => {
    const now = nowMs();
    const bucket = buckets.get(key);
    if (!bucket) return { tokens: burst, thenMs: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.thenMs) * perSecond) / 1_000);
    bucket.thenMs = now;
    return bucket;
  };
  return {
    has: (key) => refilled(key).tokens >= 1,
    take(key) {
      const bucket = refilled(key);
      if (bucket.tokens < 1) return false;
      bucket.tokens -= 1;
      if (!buckets.has(key)) {
        const oldest = buckets.size >= BUCKETS_MOST ? buckets.keys().next().value : undefined;
        if (oldest !== undefined) buckets.delete(oldest);
        buckets.set(key, bucket);
      }
      return true;
    },
  };
}

function counters() {
  const counts = new Map<string, number>();
  return {
    count: (key: string) => counts.get(key) ?? 0,
    add(key: string, change: 1 | -1) {
      const count = (counts.get(key) ?? 0) + change;
      if (count > 0) counts.set(key, count);
      else counts.delete(key);
    },
  };
}

/** What one party holds: an IPv4 address, or the /64 of an IPv6 one. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = "", tail] = short.split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = tail === undefined ? front : [...front, ...Array(8 - front.length - back.length).fill("0"), ...back];
  const isIPv4 = groups.slice(0, 5).every((group) => group === "0") && groups[5] === "ffff";
  return isIPv4 ? groups.join(":") : groups.slice(0, 4).join(":");
}
