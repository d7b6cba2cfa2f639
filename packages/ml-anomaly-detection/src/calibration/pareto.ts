/** A generalised Pareto tail: P(excess > y) = (1 + shape y / scale)^(-1 / shape), exponential for shape 0. */
export interface ParetoTail {
  readonly scale: number;
  readonly shape: number;
}

const tail = { scale: 0, shape: 0 };
/** Shape is kept within: below, the likelihood has no maximum; above 1 the mean is infinite and few excesses cannot tell. */
const LEAST_SHAPE = -0.5;
const MOST_SHAPE = 1;

/**
 * Maximum-likelihood fit to the first `count` positive excesses; the result is reused by the next call.
 *
 * With theta = shape / scale the likelihood is a function of theta alone (Grimshaw, Technometrics 1993): it is scanned
 * on both sides of 0 and refined by golden section. O(100 x count) logarithms. Fewer than 10 excesses: exponential.
 */
export function fitTail(excesses: Float64Array, count: number): ParetoTail {
  let mean = 0;
  let most = 0;
  for (let i = 0; i < count; i++) {
    mean += (excesses[i] as number) / count;
    most = Math.max(most, excesses[i] as number);
  }
  tail.scale = mean;
  tail.shape = 0;
  if (count < 10 || !(mean > 0)) return tail;
  let best = -Math.log(mean) - 1; // the exponential
  let bestTheta = 0;
  let step = 0;
  for (let i = -20; i <= 20; i++) {
    // From near -1 / most, where the tail ends at the largest excess, to 10 / mean.
    const theta = i < 0 ? (-1 / most) * 0.98 ** ((20 + i) * 6 + 1) : (10 / mean) * 0.5 ** (20 - i);
    const value = profile(excesses, count, theta);
    if (value > best) {
      best = value;
      bestTheta = theta;
      step = i < 0 ? 0.13 : 1;
    }
  }
  if (bestTheta === 0) return tail;
  let low = bestTheta * (1 - 0.5 * step);
  let high = bestTheta * (1 + step);
  if (bestTheta < 0) high = Math.max(high, -0.9999 / most);
  for (let i = 0; i < 30; i++) {
    const a = high - 0.618033988749895 * (high - low);
    const b = low + 0.618033988749895 * (high - low);
    if (profile(excesses, count, a) > profile(excesses, count, b)) high = b;
    else low = a;
  }
  const theta = (low + high) / 2;
  const shape = meanLog(excesses, count, theta);
  tail.shape = Math.min(Math.max(shape, LEAST_SHAPE), MOST_SHAPE);
  tail.scale = shape === tail.shape ? shape / theta : scaleFor(excesses, count, tail.shape);
  return tail;
}

function meanLog(excesses: Float64Array, count: number, theta: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += Math.log1p(theta * (excesses[i] as number));
  return sum / count;
}

/** Log-likelihood per excess at the best shape for this theta; -Infinity outside the shapes allowed. */
function profile(excesses: Float64Array, count: number, theta: number): number {
  const shape = meanLog(excesses, count, theta);
  const scale = shape / theta;
  if (!(scale > 0) || shape < LEAST_SHAPE || shape > MOST_SHAPE) return Number.NEGATIVE_INFINITY;
  return -Math.log(scale) - shape - 1;
}

/** Scale that gives the tail of this shape the mean of the excesses (shape < 1), else twice their mean. */
function scaleFor(excesses: Float64Array, count: number, shape: number): number {
  let mean = 0;
  for (let i = 0; i < count; i++) mean += (excesses[i] as number) / count;
  return mean * Math.max(1 - shape, 0.1);
}
