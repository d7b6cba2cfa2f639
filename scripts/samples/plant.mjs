/**
 * Plants what a real feed has and a history does not: repeats and garbage. The shares are small and exact, so that an
 * end-to-end test can ask where each one went.
 */
import { integer, pick } from "./random.mjs";

const DUPLICATE_SHARE = 0.01;
const MALFORMED_SHARE = 0.003;
const HOUR_MS = 3_600_000;

/**
 * @param lines records with `at` (ms), in any order; what is already equal in time keeps its order
 * @param garble `(random, line, n)` makes malformed record number n out of a copy of a good one; its content is unique
 * @returns lines in delivery order and how many of them were planted
 */
export function plant(random, lines, garble) {
  const lastMs = lines.reduce((max, { at }) => Math.max(max, at), 0);
  // A repeat comes 2 s to 6 h later, mostly soon: the logarithm of the delay is uniform. Never after the last event.
  const repeats = sampleOf(random, lines, Math.round(lines.length * DUPLICATE_SHARE)).map((line) => {
    const delayMs = Math.round(2_000 * (3 * 3_600) ** random());
    return { ...line, at: Math.min(line.at + Math.min(delayMs, 6 * HOUR_MS), lastMs) };
  });
  const garbage = sampleOf(random, lines, Math.round(lines.length * MALFORMED_SHARE)).map((line, n) =>
    garble(random, { ...line, at: Math.min(line.at + 1 + integer(random, 60_000), lastMs) }, n),
  );
  // Array sort is stable, and repeats stand after all originals: a repeat never overtakes its original.
  const sorted = [...lines, ...repeats, ...garbage].sort((a, b) => a.at - b.at);
  return { lines: sorted, duplicates: repeats.length, malformed: garbage.length };
}

function sampleOf(random, items, count) {
  const chosen = new Set();
  while (chosen.size < count) chosen.add(pick(random, items));
  return [...chosen];
}
