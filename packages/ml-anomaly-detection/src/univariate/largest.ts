/** The largest of the numbers that are not NaN; `undefined` when none is. */
export function largest(values: Float64Array): number | undefined {
  let most: number | undefined;
  for (let f = 0; f < values.length; f++) {
    const value = values[f] as number;
    if (!Number.isNaN(value) && (most === undefined || value > most)) most = value;
  }
  return most;
}

/** Each number's share of the sum of those that are not NaN, in place; all 0 when that sum is 0. */
export function toShares(values: Float64Array): Float64Array {
  let total = 0;
  for (let f = 0; f < values.length; f++) if (Number.isNaN(values[f])) values[f] = 0;
  for (let f = 0; f < values.length; f++) total += values[f] as number;
  for (let f = 0; f < values.length; f++) values[f] = total > 0 ? (values[f] as number) / total : 0;
  return values;
}
