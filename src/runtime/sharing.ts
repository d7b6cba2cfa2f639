import { type Clock, isMillraceError, type Lease, type Leases, type Membership } from "../core/index.js";

/** Looks at the others' leases a period: a dead owner is replaced after at most a period and one of these. */
const LOOKS_PER_PERIOD = 6;
/** What a dead member held is kept so long, share or not: until then the members may still count the dead one. */
const KEEP_PERIODS = 1.5;

/**
 * How many of `names` the member at `rank` of `alive` members takes: shares differ by at most one, none exceeds ⌈names / alive⌉, and
 * together they are all of them.
 */
export function shareOf(names: number, alive: number, rank: number): number {
  return Math.floor(names / alive) + (rank < names % alive ? 1 : 0);
}

export interface SharingOptions {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly membership: Membership;
  /** Who we are among the members. */
  readonly member: string;
  /** What is shared, in the same order everywhere: neighbours tend to stay together. Read anew at every look. */
  readonly names: () => readonly string[];
  /** Aborted: everything is given back. */
  readonly signal: AbortSignal;
  /** Works on a name until its signal aborts (`lease.lost`, or the name is wanted elsewhere); the lease is released when it resolves. */
  readonly work: (name: string, lease: Lease, signal: AbortSignal) => Promise<void>;
}

/**
 * Keeps this member's share of the names at work: takes what is free while it has less, hands back what it has too much, and takes
 * over at once what a dead member held, share or not (evened out once everybody counts the same members). No leader: members agree because each looks at
 * the same leases and the same members; while their views differ, leases decide.
 *
 * Resolves when `signal` has aborted and all work has ended. Rejects with whatever `work` rejects with.
 * Costs one or two register reads a look and name that is not ours.
 */
export async function shareNames(options: SharingOptions): Promise<void> {
  const { leases, clock, membership, member, signal } = options;
  const atWork = new Map<string, { stop: AbortController; done: Promise<void>; keepUntilMs: number }>();
  let failure: { error: unknown } | undefined;

  const take = (name: string, lease: Lease, keepUntilMs: number): void => {
    const stop = new AbortController();
    const run = async (): Promise<void> => {
      try {
        await options.work(name, lease, AbortSignal.any([lease.lost, stop.signal]));
      } catch (error) {
        failure ??= { error };
      }
      await whileAway(lease.release());
      atWork.delete(name);
    };
    atWork.set(name, { stop, done: run(), keepUntilMs });
  };

  const look = async (): Promise<void> => {
    const names = options.names();
    const alive = membership.alive();
    const rank = Math.max(0, alive.indexOf(member));
    const share = shareOf(names.length, Math.max(1, alive.length), rank);
    const start = Math.floor((names.length * rank) / Math.max(1, alive.length));
    const preferred = [...names.slice(start), ...names.slice(0, start)];
    for (const [name, { stop }] of atWork) if (!names.includes(name)) stop.abort();
    const ours = preferred.filter((name) => atWork.has(name));
    for (const name of ours.slice(share)) {
      const extra = atWork.get(name);
      if (extra !== undefined && extra.keepUntilMs <= clock.monotonicMs()) extra.stop.abort();
    }
    for (const name of preferred) {
      if (signal.aborted || failure !== undefined) return;
      if (atWork.has(name)) continue;
      const wanted = atWork.size < share;
      // Beyond our share only what a dead member holds: tryAcquire takes it once it has seen it unrenewed for a period.
      if (!wanted && (await leases.holder(name)) === undefined) continue;
      const lease = await leases.tryAcquire(name, member, true); // tasks write under the epoch of their lease alone
      const keepMs = wanted ? 0 : KEEP_PERIODS * leases.periodMs;
      if (lease !== undefined) take(name, lease, clock.monotonicMs() + keepMs);
    }
  };

  while (!signal.aborted && failure === undefined) {
    await whileAway(look());
    await clock.sleep(leases.periodMs / LOOKS_PER_PERIOD, signal);
  }
  const ending = [...atWork.values()].map(({ stop, done }) => {
    stop.abort();
    return done;
  });
  await Promise.all(ending);
  if (failure !== undefined) throw failure.error;
}

/** A log that is away is asked again at the next look; everything else is a mistake of ours. */
async function whileAway(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isMillraceError(error) || error.disposition !== "retry") throw error;
  }
}
