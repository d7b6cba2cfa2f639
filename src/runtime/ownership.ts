import { type Clock, isMillraceError, type Lease, type Leases } from "../core/index.js";

/** Looks at a lease of somebody else a period: a dead owner is replaced after at most a period and one of these. */
const LOOKS_PER_PERIOD = 6;

/**
 * Does `work` whenever this process holds the lease: waits for it, works, waits again when it was lost. `work` gets a signal that
 * ends with the lease or with `signal`, and the lease is released when it has resolved. Resolves when `signal` aborts; rejects with
 * whatever `work` rejects with. While the log is away nobody holds anything.
 */
export async function whileHeld(options: {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly name: string;
  readonly holder: string;
  readonly signal: AbortSignal;
  readonly work: (lease: Lease, signal: AbortSignal) => Promise<void>;
}): Promise<void> {
  const { leases, clock, name, holder, signal, work } = options;
  while (!signal.aborted) {
    const lease = await orUndefined(leases.tryAcquire(name, holder));
    if (lease === undefined) {
      await clock.sleep(leases.periodMs / LOOKS_PER_PERIOD, signal);
      continue;
    }
    try {
      await work(lease, AbortSignal.any([lease.lost, signal]));
    } finally {
      await orUndefined(lease.release());
    }
    if (!signal.aborted) await clock.sleep(leases.periodMs / LOOKS_PER_PERIOD, signal);
  }
}

/** A log that is away is asked again; everything else is a mistake of ours. */
async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isMillraceError(error) && error.disposition === "retry") return undefined;
    throw error;
  }
}
