/** Small dense linear algebra on row-major arrays. */

/**
 * Lower Cholesky factor of the covariance `scatter / rows`, into `out`. A feature that never moved, or that others
 * determine, gets a pivot of 1e-9 of its variance (or of 1): it weighs much, but never infinitely.
 */
export function choleskyOf(scatter: Float64Array, rows: number, dims: number, out: Float64Array): void {
  for (let i = 0; i < dims; i++) {
    const variance = (scatter[i * dims + i] as number) / rows;
    for (let j = 0; j <= i; j++) {
      let sum = (scatter[i * dims + j] as number) / rows;
      for (let k = 0; k < j; k++) sum -= (out[i * dims + k] as number) * (out[j * dims + k] as number);
      if (i === j) out[i * dims + i] = Math.sqrt(Math.max(sum, variance * 1e-9, Number.MIN_VALUE * 1e16) || 1);
      else out[i * dims + j] = sum / (out[j * dims + j] as number);
    }
  }
}

/** Solves L y = x in place; returns the squared length of y: the squared Mahalanobis distance of x. */
export function solveLower(factor: Float64Array, dims: number, x: Float64Array): number {
  let squared = 0;
  for (let i = 0; i < dims; i++) {
    let sum = x[i] as number;
    for (let k = 0; k < i; k++) sum -= (factor[i * dims + k] as number) * (x[k] as number);
    const y = sum / (factor[i * dims + i] as number);
    x[i] = y;
    squared += y * y;
  }
  return squared;
}

/** Solves L' z = y in place. */
export function solveUpper(factor: Float64Array, dims: number, y: Float64Array): void {
  for (let i = dims - 1; i >= 0; i--) {
    let sum = y[i] as number;
    for (let k = i + 1; k < dims; k++) sum -= (factor[k * dims + i] as number) * (y[k] as number);
    y[i] = sum / (factor[i * dims + i] as number);
  }
}

/**
 * Eigenvalues (falling) and eigenvectors (rows of `vectors`, in the same order) of a symmetric matrix.
 * Cost O(d^3) a sweep, a handful of sweeps. Source: cyclic Jacobi rotations (Golub & Van Loan 8.5).
 */
export function symmetricEigen(matrix: Float64Array, dims: number): { values: Float64Array; vectors: Float64Array } {
  const a = matrix.slice();
  const v = new Float64Array(dims * dims);
  for (let i = 0; i < dims; i++) v[i * dims + i] = 1;
  for (let sweep = 0; sweep < 60 && offDiagonal(a, dims) > 1e-22 * diagonal(a, dims); sweep++)
    for (let p = 0; p < dims; p++) for (let q = p + 1; q < dims; q++) rotate(a, v, dims, p, q);
  const order = Array.from({ length: dims }, (_, i) => i);
  order.sort((i, j) => (a[j * dims + j] as number) - (a[i * dims + i] as number) || i - j);
  const values = Float64Array.from(order, (i) => a[i * dims + i] as number);
  const vectors = new Float64Array(dims * dims);
  order.forEach((from, to) => vectors.set(v.subarray(from * dims, (from + 1) * dims), to * dims));
  return { values, vectors };
}

function offDiagonal(a: Float64Array, dims: number): number {
  let sum = 0;
  for (let i = 0; i < dims; i++) for (let j = 0; j < i; j++) sum += (a[i * dims + j] as number) ** 2;
  return sum;
}

function diagonal(a: Float64Array, dims: number): number {
  let sum = 0;
  for (let i = 0; i < dims; i++) sum += (a[i * dims + i] as number) ** 2;
  return sum;
}

function rotate(a: Float64Array, v: Float64Array, dims: number, p: number, q: number): void {
  const apq = a[p * dims + q] as number;
  if (apq === 0) return;
  const theta = ((a[q * dims + q] as number) - (a[p * dims + p] as number)) / (2 * apq);
  const tan = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const cos = 1 / Math.sqrt(tan * tan + 1);
  const sin = tan * cos;
  for (let k = 0; k < dims; k++) {
    const kp = a[k * dims + p] as number;
    const kq = a[k * dims + q] as number;
    a[k * dims + p] = cos * kp - sin * kq;
    a[k * dims + q] = sin * kp + cos * kq;
  }
  for (let k = 0; k < dims; k++) {
    const pk = a[p * dims + k] as number;
    const qk = a[q * dims + k] as number;
    a[p * dims + k] = cos * pk - sin * qk;
    a[q * dims + k] = sin * pk + cos * qk;
    const vp = v[p * dims + k] as number;
    const vq = v[q * dims + k] as number;
    v[p * dims + k] = cos * vp - sin * vq;
    v[q * dims + k] = sin * vp + cos * vq;
  }
}
