import {
  type Clock,
  isMillraceError,
  type Lease,
  type Leases,
  type Membership,
  MillraceError,
  type Registers,
} from "../core/index.js";
import type { Presence } from "./presence.js";

/** Between two looks that must both miss a holder, as a part of a period. */
const MISSED_PART = 1 / 6;
/** Tries against other members that change the same register. */
const TRIES = 20;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface Holding {
  readonly epoch: number;
  /** Empty: released. Kept, because epochs never restart. */
  readonly holder: string;
  /** Where its process is found; see `Presence`. */
  readonly address?: string;
}

/** Each member's count of announcements: who stops counting is gone. */
type Beats = Record<string, number>;

/** When this process first saw a value as it is now, by its monotonic clock. */
interface Sighting {
  readonly value: number;
  readonly sinceMs: number;
}

/**
 * Leases as registers `lease/<name>` = {epoch, holder}, renewed by writing the same value again: its revision is the sign of life.
 * Members as one register `members/<group>` = {member: beats}.
 *
 * Cost: a register write a third of a period for each lease and each membership; one read a `tryAcquire`.
 * Errors: MR_LOG_UNAVAILABLE from `tryAcquire`, `holder`, `join` and `release`; renewals try on until the lease is given up.
 */
export function openLeases(registers: Registers, clock: Clock, periodMs: number, presence?: Presence): Leases {
  const seen = new Map<string, Sighting>();
  const missed = new Map<string, Sighting>();

  /** Two looks at one revision did not find its holder. */
  const isGone = async (key: string, { address }: Holding, revision: number): Promise<boolean> => {
    if (presence === undefined || address === undefined || (await presence.isThere(address))) {
      missed.delete(key);
      return false;
    }
    return unchanged(missed, key, revision, clock.monotonicMs(), periodMs * MISSED_PART);
  };

  const tryAcquire = async (name: string, holder: string, fenced = false): Promise<Lease | undefined> => {
    const key = keyOf(name);
    const current = await registers.get(key);
    const former: Holding = current === undefined ? { epoch: 0, holder: "" } : decode<Holding>(current.value);
    const revision = current?.revision ?? 0;
    const isStale = former.holder === "" || unchanged(seen, key, revision, clock.monotonicMs(), periodMs);
    if (!isStale && !(fenced && (await isGone(key, former, revision)))) return undefined;
    const address = presence && { address: presence.address };
    // Wall time keeps epochs growing even when the registers were lost while somebody held one; nothing else depends on it.
    const holding: Holding = { epoch: Math.max(former.epoch + 1, clock.nowMs()), holder, ...address };
    const sentMs = clock.monotonicMs();
    const taken = await registers.set(key, encode(holding), revision);
    if (taken === undefined) return undefined;
    seen.delete(key);
    missed.delete(key);
    return new HeldLease({ registers, clock, periodMs, name, holding }, taken, sentMs);
  };

  return {
    periodMs,
    tryAcquire,
    async holder(name) {
      const current = await registers.get(keyOf(name));
      const holding = current && decode<Holding>(current.value);
      return holding?.holder ? holding : undefined;
    },
    join: async (group, member) => {
      const membership = new Member({ registers, clock, periodMs }, `members/${group}`, member);
      await membership.announce();
      void membership.keep();
      return membership;
    },
  };
}

interface Means {
  readonly registers: Registers;
  readonly clock: Clock;
  readonly periodMs: number;
}

class HeldLease implements Lease {
  readonly name: string;
  readonly holder: string;
  readonly epoch: number;
  readonly #means: Means;
  readonly #holding: Holding;
  readonly #lost = new AbortController();
  readonly #released = new AbortController();
  #revision: number;
  /** When the newest renewal that succeeded was sent: others saw it later than this. */
  #sentMs: number;

  constructor(means: Means & { name: string; holding: Holding }, revision: number, sentMs: number) {
    this.#means = means;
    this.#holding = means.holding;
    this.name = means.name;
    this.holder = means.holding.holder;
    this.epoch = means.holding.epoch;
    this.#revision = revision;
    this.#sentMs = sentMs;
    void this.#keep();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    if (this.#released.signal.aborted || this.#lost.signal.aborted) return;
    this.#released.abort();
    const { registers } = this.#means;
    const key = keyOf(this.name);
    const free = encode({ epoch: this.epoch, holder: "" });
    if ((await registers.set(key, free, this.#revision)) !== undefined) return;
    // A renewal was still on its way. Should this miss as well, the lease expires by itself.
    const current = await registers.get(key);
    if (current !== undefined && decode<Holding>(current.value).epoch === this.epoch)
      await registers.set(key, free, current.revision);
  }

  async #keep(): Promise<void> {
    const { clock, periodMs } = this.#means;
    const ended = AbortSignal.any([this.#released.signal, this.#lost.signal]);
    while (!ended.aborted) {
      await clock.sleep(periodMs / 3, ended);
      if (ended.aborted) return;
      const renewing = this.#renew();
      const leftMs = () => this.#sentMs + (2 * periodMs) / 3 - clock.monotonicMs();
      for (let renewed = false; !renewed && !ended.aborted; ) {
        if (leftMs() <= 0) this.#lost.abort();
        else renewed = await within(clock, renewing, leftMs());
      }
    }
  }

  /** Resolves when an attempt has succeeded, or the lease has ended. */
  async #renew(): Promise<void> {
    const { registers, clock, periodMs } = this.#means;
    const key = keyOf(this.name);
    while (!this.#lost.signal.aborted && !this.#released.signal.aborted) {
      const sentMs = clock.monotonicMs();
      try {
        const revision = await registers.set(key, encode(this.#holding), this.#revision);
        if (revision !== undefined) {
          this.#revision = revision;
          this.#sentMs = sentMs;
          return;
        }
        // Either somebody took it, or an earlier renewal of ours arrived whose answer did not: an epoch has one holder.
        const current = await registers.get(key);
        if (current === undefined || decode<Holding>(current.value).epoch !== this.epoch) this.#lost.abort();
        else this.#revision = current.revision;
      } catch (error) {
        if (!isMillraceError(error)) throw error;
        await clock.sleep(periodMs / 12, this.#lost.signal);
      }
    }
  }
}

class Member implements Membership {
  readonly #means: Means;
  readonly #key: string;
  readonly #member: string;
  readonly #left = new AbortController();
  #beat = 0;
  /** Others by name, with the beat last seen. */
  readonly #others = new Map<string, Sighting>();

  constructor(means: Means, key: string, member: string) {
    this.#means = means;
    this.#key = key;
    this.#member = member;
  }

  alive(): readonly string[] {
    const { clock, periodMs } = this.#means;
    const now = clock.monotonicMs();
    const others = [...this.#others].filter(([, { sinceMs }]) => now - sinceMs < periodMs).map(([name]) => name);
    return (this.#left.signal.aborted ? others : [...others, this.#member]).sort();
  }

  async leave(): Promise<void> {
    if (this.#left.signal.aborted) return;
    this.#left.abort();
    await this.#change(({ [this.#member]: _ours, ...others }) => others);
  }

  async announce(): Promise<void> {
    this.#beat += 1;
    await this.#change((beats) => ({ ...this.#withoutGone(beats), [this.#member]: this.#beat }));
  }

  async keep(): Promise<void> {
    const { clock, periodMs } = this.#means;
    for (;;) {
      await clock.sleep(periodMs / 3, this.#left.signal);
      if (this.#left.signal.aborted) return;
      await this.announce().catch((error: unknown) => {
        if (!isMillraceError(error)) throw error; // a log that is away counts nobody: the next beat tells
      });
    }
  }

  /** Forgets those we have seen still for three periods: paused ones announce themselves again. */
  #withoutGone(beats: Beats): Beats {
    const { clock, periodMs } = this.#means;
    const gone = (name: string) => clock.monotonicMs() - (this.#others.get(name)?.sinceMs ?? Infinity) >= 3 * periodMs;
    return Object.fromEntries(Object.entries(beats).filter(([name]) => !gone(name)));
  }

  async #change(change: (beats: Beats) => Beats): Promise<void> {
    const { registers, clock, periodMs } = this.#means;
    for (let tries = 1; ; tries++) {
      const current = await registers.get(this.#key);
      const beats = current === undefined ? {} : decode<Beats>(current.value);
      this.#see(beats);
      if ((await registers.set(this.#key, encode(change(beats)), current?.revision ?? 0)) !== undefined) return;
      if (tries >= TRIES)
        throw new MillraceError("MR_LOG_UNAVAILABLE", `announcing in ${this.#key}: ${TRIES} others were faster`);
      await clock.sleep((periodMs / 300) * (tries % 5)); // others beat at other times
    }
  }

  #see(beats: Beats): void {
    const now = this.#means.clock.monotonicMs();
    for (const name of this.#others.keys()) if (beats[name] === undefined) this.#others.delete(name);
    for (const [name, value] of Object.entries(beats)) {
      if (name === this.#member || this.#others.get(name)?.value === value) continue;
      this.#others.set(name, { value, sinceMs: now });
    }
  }
}

/** Notes what we see; true when it has been the same for a whole period. */
function unchanged(seen: Map<string, Sighting>, key: string, value: number, nowMs: number, periodMs: number): boolean {
  const before = seen.get(key);
  if (before?.value === value) return nowMs - before.sinceMs >= periodMs;
  seen.set(key, { value, sinceMs: nowMs });
  return false;
}

/** True when `work` is done within `ms`. */
async function within(clock: Clock, work: Promise<void>, ms: number): Promise<boolean> {
  const over = new AbortController();
  try {
    return await Promise.race([work.then(() => true), clock.sleep(ms, over.signal).then(() => false)]);
  } finally {
    over.abort("over"); // the default reason costs a stack trace
  }
}

function keyOf(name: string): string {
  return `lease/${name}`;
}

function encode(value: Holding | Beats): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

function decode<T>(value: Uint8Array): T {
  return JSON.parse(decoder.decode(value)) as T;
}
