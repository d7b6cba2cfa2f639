import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isMillraceError } from "../../src/core/index.js";
import { seededRandom } from "../support/random.js";
import { expectedRows, type Rows } from "./expected.js";
import { type Feed, feed } from "./feed.js";
import { FIRST_MS, makeInput, writeInput } from "./input.js";
import { PARTITIONS, WINDOW_MS } from "./topologies.js";
import { strike, USUAL, type Victim } from "./victims.js";
import type { World } from "./world.js";

const STEPS = 12;
const EVENTS_PER_STEP = 500;
const PER_SECOND = 2_500;
/** Everything must stand in the tables so long after the last event was acknowledged and everybody lives again. */
const SETTLE_MS = 60_000;
/** What is right must stay right: a process that was paused may still have something to say. */
const STAY_MS = 1_500;

export interface RoundResult {
  readonly round: number;
  readonly seed: number;
  readonly victim: Victim;
  /** Sent and not in a task's outputs at the moment of the strike. */
  readonly eventsInFlight: number;
  /** Rows over the three tables. */
  readonly rowsExpected: number;
  readonly rowsFound: number;
  readonly idsTwice: number;
  /** From the end of the input until everything was there. */
  readonly settleMs: number;
  readonly ok: boolean;
  /** What differs, a few lines. */
  readonly differences: readonly string[];
}

/** One round on a world that has had `round` rounds: load, a strike in the middle, everything compared with the input file. */
export async function runRound(
  world: World,
  round: number,
  seed: number,
  victims: readonly Victim[] = USUAL,
): Promise<RoundResult> {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1)); // neighbours among the seeds begin alike
  const victim = victims[Math.floor(random() * victims.length)] as Victim;
  const fromMs = FIRST_MS + round * STEPS * WINDOW_MS;
  // The last step is empty: its tick closes the windows before.
  const full = makeInput({ random, round, fromMs, steps: STEPS - 1, eventsPerStep: EVENTS_PER_STEP });
  const steps = [...full, { events: [], t: fromMs + STEPS * WINDOW_MS }];
  const path = join(world.directory, `input-${round}.ndjson`);
  writeInput(path, steps);
  const expected = await expectedRows(path);

  const ending = new AbortController();
  const load = feed(world.connection, steps, PER_SECOND, ending.signal);
  const at = (0.15 + 0.7 * random()) * load.total;
  while (load.acknowledged < at) await delay(5);
  const eventsInFlight = await inFlight(world, load);
  try {
    await strike(world, victim, random);
  } catch (error) {
    ending.abort(); // nobody would hear of it: the round is over
    await load.done.catch(() => undefined);
    throw error;
  }
  await load.done;

  // The first events are up to 400 ms older than the round; the step before it was empty.
  const look = () => world.found(round, fromMs - WINDOW_MS, fromMs + (STEPS - 1) * WINDOW_MS);
  const endedMs = performance.now();
  let settledMs = endedMs;
  let found: Rows | undefined;
  while (performance.now() < endedMs + SETTLE_MS) {
    found = (await look()) ?? found;
    settledMs = performance.now();
    if (found !== undefined && total(found) >= total(expected)) break;
    await delay(100);
  }
  await delay(STAY_MS);
  found = (await look()) ?? found;
  const idsTwice = (await world.idsTwice()) ?? -1;
  const differences = compare(expected, found);
  return {
    ...{ round, seed, victim, eventsInFlight, idsTwice, differences },
    rowsExpected: total(expected),
    rowsFound: found === undefined ? 0 : total(found),
    settleMs: Math.round(settledMs - endedMs),
    ok: differences.length === 0 && idsTwice === 0,
  };
}

/** Events that are sent and whose outputs are not yet in the log. */
async function inFlight({ connection: { log } }: World, load: Feed): Promise<number> {
  let behind = load.outstanding;
  const markers = new Map<number, number>();
  try {
    for (let p = 0; p < PARTITIONS; p++)
      markers.set(p, (await log.readMarker("accepted", `kill.intake/${p}`))?.sequence ?? 0);
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    return behind; // a cluster still getting over the last round: at least what is on its way
  }
  const least = Math.min(...markers.values());
  for (const sequence of load.sequences) if (sequence > least) behind++;
  return behind;
}

function total({ readings, late, windows }: Rows): number {
  return readings + late + windows.length;
}

function compare(expected: Rows, found: Rows | undefined): readonly string[] {
  if (found === undefined) return ["nobody answers"];
  const lines: string[] = [];
  for (const name of ["readings", "late"] as const)
    if (expected[name] !== found[name]) lines.push(`${name}: expected ${expected[name]}, found ${found[name]}`);
  const [had, has] = [new Set(expected.windows), new Set(found.windows)];
  const missing = expected.windows.filter((row) => !has.has(row));
  const extra = found.windows.filter((row, i) => !had.has(row) || row === found.windows[i - 1]);
  if (missing.length > 0) lines.push(`windows missing: ${missing.length}, such as ${missing.slice(0, 3).join("; ")}`);
  if (extra.length > 0) lines.push(`windows too many: ${extra.length}, such as ${extra.slice(0, 3).join("; ")}`);
  return lines;
}
