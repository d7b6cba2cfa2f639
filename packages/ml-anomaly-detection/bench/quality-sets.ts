import { type Detector, rocAuc } from "../src/index.js";

/** Where a set begins to be judged. */
export const JUDGED_FROM = 256;

export interface LabelledSet {
  /** "spread": 5 % of the rows are spread around two clusters; "one": 5 % have one feature off by 1.5 to 2.5. */
  readonly kind: string;
  readonly d: number;
}

interface Draws {
  below(n: number): number;
  real(): number;
}

/** 1,200 rows of two clusters with anomalies, and which rows are anomalous: `labelled` of test/golden/make_online.py. */
export function labelledRows({ kind, d }: LabelledSet, draws: Draws): { rows: number[][]; truth: boolean[] } {
  const truth: boolean[] = [];
  const rows = Array.from({ length: 1200 }, () => {
    const far = draws.below(20) === 0;
    const centre = 3 * draws.below(2);
    truth.push(far);
    if (kind === "spread")
      return Array.from({ length: d }, () => draws.real() * (far ? 2.5 : 0.6) + (far ? 0 : centre));
    const row = Array.from({ length: d }, () => draws.real() * 0.6 + centre);
    if (far) {
      const off = draws.below(d);
      row[off] = (row[off] as number) + 1.5 + draws.below(1000) / 1000;
    }
    return row;
  });
  return { rows, truth };
}

/** Area under the ROC curve of one pass, from row 256 on. */
export function aucOf(detector: Detector, { rows, truth }: { rows: number[][]; truth: boolean[] }): number {
  const scores = rows.map((row) => detector.process(row) ?? 0);
  return rocAuc(truth.slice(JUDGED_FROM), scores.slice(JUDGED_FROM));
}
