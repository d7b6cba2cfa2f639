/** Non-negative ridge regression: no truck saves fuel by driving. */

/**
 * Weights w >= 0 that minimise mean((y - Xw)^2) + ridge * sum((s w)^2), s the root mean square of each column, by
 * coordinate descent until nothing moves. O(columns^2) a sweep after O(rows * columns^2). Deterministic.
 */
export function nonNegativeRidge(rows, targets, ridge) {
  const columns = rows[0].map((_, j) => j);
  const mean = (of) => rows.reduce((sum, row, i) => sum + of(row, i), 0) / rows.length;
  const scale = columns.map((j) => Math.sqrt(mean((row) => row[j] ** 2)) || 1);
  const gram = columns.map((j) => columns.map((k) => mean((row) => row[j] * row[k]) / scale[j] / scale[k]));
  const moment = columns.map((j) => mean((row, i) => row[j] * targets[i]) / scale[j]);
  const weights = columns.map(() => 0);
  for (let sweep = 0, moved = Number.POSITIVE_INFINITY; moved > 1e-12 && sweep < 100_000; sweep++) {
    moved = 0;
    for (const j of columns) {
      const rest = columns.reduce((sum, k) => (k === j ? sum : sum + gram[j][k] * weights[k]), 0);
      const next = Math.max(0, (moment[j] - rest) / (gram[j][j] + ridge));
      moved = Math.max(moved, Math.abs(next - weights[j]));
      weights[j] = next;
    }
  }
  return weights.map((weight, j) => weight / scale[j]);
}
