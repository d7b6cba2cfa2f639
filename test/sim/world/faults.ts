import type { DatabaseFaults } from "./database.js";
import type { NetworkFaults } from "./process.js";
import type { Random } from "./random.js";

/** Something that happens to the world at a time. */
export type Fault =
  | { readonly kind: "kill" | "restart"; readonly atMs: number; readonly worker: number }
  | { readonly kind: "pause"; readonly atMs: number; readonly worker: number; readonly forMs: number }
  | { readonly kind: "broker down" | "streams full" | "database down"; readonly atMs: number; readonly forMs: number }
  | { readonly kind: "new program" | "purge" | "recreate input" | "wipe"; readonly atMs: number }
  | { readonly kind: "repartition"; readonly atMs: number; readonly to: number };

/** The process with the database, among the workers. */
export const SINK = -1;

/** What a seed does to its world. */
export interface Plan {
  readonly partitions: number;
  readonly workers: number;
  readonly messages: number;
  readonly untilMs: number;
  readonly network: NetworkFaults;
  readonly database: DatabaseFaults;
  /** How likely a process dies by itself, at some wake-up of its life: any await may be its last. */
  readonly deathChance01: number;
  readonly deathWithin: number;
  readonly faults: readonly Fault[];
}

export function planOf(random: Random): Plan {
  const untilMs = random.pick([4_000, 7_000, 11_000]);
  const workers = random.between(1, 3);
  const at = () => random.next() * untilMs;
  const worker = () => random.between(0, workers - 1);
  const many = (most: number, make: () => Fault): Fault[] => Array.from({ length: random.between(0, most) }, make);
  const destruction = random.next();
  const bad = random.chance(0.7);
  const partitions = random.between(1, 2);
  const others = [1, 2, 3].filter((to) => to !== partitions);
  const repartition: Fault | undefined =
    destruction > 0.08 && destruction < 0.3 ? { kind: "repartition", atMs: at(), to: random.pick(others) } : undefined;
  return {
    partitions,
    workers,
    messages: random.between(12, 50),
    untilMs,
    network: {
      requestLost01: bad ? random.next() * 0.03 : 0,
      answerLost01: bad ? random.next() * 0.04 : 0,
      requestLate01: bad ? random.next() * 0.03 : 0,
      delayMsMost: random.pick([2, 10, 60]),
    },
    database: {
      refuses01: bad ? random.next() * 0.3 : 0,
      answerLost01: bad ? random.next() * 0.2 : 0,
      delayMsMost: random.pick([5, 100, 700]),
      isRemote: random.chance(0.5),
      late01: bad ? random.next() * 0.1 : 0,
    },
    deathChance01: random.pick([0, 0.5, 0.9]),
    deathWithin: random.pick([60, 250, 900]),
    faults: [
      ...many(2, () => ({ kind: "kill", atMs: at(), worker: worker() })),
      ...many(3, () => ({ kind: "pause", atMs: at(), worker: worker(), forMs: random.between(100, 4_000) })),
      ...many(2, () => ({ kind: "restart", atMs: at(), worker: worker() })),
      ...many(1, () => ({ kind: "broker down", atMs: at(), forMs: random.between(50, 2_500) })),
      ...many(1, () => ({ kind: "streams full", atMs: at(), forMs: random.between(200, 2_500) })),
      ...many(1, () => ({ kind: "database down", atMs: at(), forMs: random.between(100, 4_000) })),
      ...many(1, () => ({ kind: "pause", atMs: at(), worker: SINK, forMs: random.between(100, 4_000) })),
      ...many(2, () => ({ kind: "kill", atMs: at(), worker: SINK })),
      // What was purged cannot be computed again: a repartition would be refused.
      ...many(2, () => ({ kind: "purge", atMs: (repartition?.atMs ?? 0) + at() })),
      ...(repartition === undefined ? [] : [repartition]),
      ...(random.chance(0.25) ? [{ kind: "new program", atMs: at() } as const] : []),
      ...(destruction < 0.08 ? [{ kind: "recreate input", atMs: at() } as const] : []),
      ...(destruction > 0.95 ? [{ kind: "wipe", atMs: at() } as const] : []),
    ],
  };
}
