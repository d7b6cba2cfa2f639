/** A mixed integer program in HiGHS' own form: minimise cost·x within bounds, the matrix column by column (CSC). */
export interface Milp {
  readonly cost: Float64Array;
  readonly columnLower: Float64Array;
  readonly columnUpper: Float64Array;
  /** 1: integer, 0: continuous. */
  readonly integer: Int32Array;
  readonly rowLower: Float64Array;
  readonly rowUpper: Float64Array;
  readonly starts: Int32Array;
  readonly indices: Int32Array;
  readonly values: Float64Array;
  /** A feasible value of every column: an answer exists however little time the solver gets. */
  readonly start: Float64Array;
}

/** What a solver says about a program. `gap01` is the proven distance from the best, as a ratio of the objective. */
export interface Solution {
  readonly values: Float64Array;
  readonly proven: boolean;
  readonly gap01: number;
}

export interface Entry {
  readonly column: number;
  readonly value: number;
}

/** `hard`: Σ value x ≤ limit. `soft`: Σ value x + shortfall ≥ limit, each unit of shortfall costs `price`. */
export type Row =
  | { readonly kind: "hard"; readonly entries: readonly Entry[]; readonly limit: number }
  | { readonly kind: "soft"; readonly entries: readonly Entry[]; readonly limit: number; readonly price: number };

/** Guards `floor` against 2.9999999996. */
const EPSILON = 1e-9;

/**
 * Minimises `costs`·x over whole numbers x ≥ 0 under `rows`; entries have positive values. Every soft row gets one shortfall column
 * after those of `costs`. Columns must be limited by some hard row. `order` lists columns, the one to fill first first: the
 * start takes as much of each as the hard rows leave and the first soft row still wants. O(columns · entries).
 */
export function buildMilp(costs: readonly number[], rows: readonly Row[], order: readonly number[]): Milp {
  const soft = rows.filter((row) => row.kind === "soft");
  const columns = costs.map((_, column) => columnOf(column, rows));
  const shortfalls = soft.map((row) => [{ row: rows.indexOf(row), value: 1 }]);
  const matrix = [...columns, ...shortfalls];
  const upper = columns.map((entries) => Math.min(...entries.map(({ row, value }) => hardTrips(rows[row], value, 0))));
  const counts = greedy(columns, rows, order);
  return {
    cost: Float64Array.from([...costs, ...soft.map(({ price }) => price)]),
    columnLower: new Float64Array(matrix.length),
    columnUpper: Float64Array.from([...upper, ...soft.map(() => Number.POSITIVE_INFINITY)]),
    integer: Int32Array.from(matrix, (_, column) => (column < costs.length ? 1 : 0)),
    rowLower: Float64Array.from(rows, (row) => (row.kind === "soft" ? row.limit : Number.NEGATIVE_INFINITY)),
    rowUpper: Float64Array.from(rows, (row) => (row.kind === "hard" ? row.limit : Number.POSITIVE_INFINITY)),
    starts: Int32Array.from([0, ...runningSums(matrix.map((entries) => entries.length))]),
    indices: Int32Array.from(matrix.flatMap((entries) => entries.map(({ row }) => row))),
    values: Float64Array.from(matrix.flatMap((entries) => entries.map(({ value }) => value))),
    start: Float64Array.from([...counts, ...soft.map((row) => Math.max(0, row.limit - activity(row, counts)))]),
  };
}

interface Coefficient {
  readonly row: number;
  readonly value: number;
}

function columnOf(column: number, rows: readonly Row[]): readonly Coefficient[] {
  return rows.flatMap(({ entries }, row) =>
    entries.filter((entry) => entry.column === column).map(({ value }) => ({ row, value })),
  );
}

/** How many more times `value` fits under a hard row that is already filled up to `used`. */
function hardTrips(row: Row | undefined, value: number, used: number): number {
  if (row?.kind !== "hard") return Number.POSITIVE_INFINITY;
  return Math.max(0, Math.floor((row.limit - used) / value + EPSILON));
}

function greedy(
  columns: readonly (readonly Coefficient[])[],
  rows: readonly Row[],
  order: readonly number[],
): readonly number[] {
  const counts = columns.map(() => 0);
  const used = rows.map(() => 0);
  const target = rows.findIndex((row) => row.kind === "soft");
  for (const column of order) {
    const entries = columns[column] ?? [];
    const wanted = entries.find(({ row }) => row === target);
    const missing = (rows[target]?.limit ?? 0) - (used[target] ?? 0);
    const want = wanted === undefined || missing <= 0 ? 0 : Math.ceil(missing / wanted.value);
    const count = Math.min(want, ...entries.map(({ row, value }) => hardTrips(rows[row], value, used[row] ?? 0)));
    counts[column] = count;
    for (const { row, value } of entries) used[row] = (used[row] ?? 0) + value * count;
  }
  return counts;
}

function activity(row: Row, counts: readonly number[]): number {
  return row.entries.reduce((sum, { column, value }) => sum + value * (counts[column] ?? 0), 0);
}

function runningSums(lengths: readonly number[]): readonly number[] {
  let sum = 0;
  return lengths.map((length) => {
    sum += length;
    return sum;
  });
}
