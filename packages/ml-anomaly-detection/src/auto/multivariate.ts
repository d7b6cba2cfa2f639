import { calibratedScore } from "../calibration/calibrated.js";
import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Detector, Input } from "../core/detector.js";
import { FeatureReader } from "../core/features.js";
import { mahalanobis } from "../multivariate/mahalanobis.js";
import { trainingRows } from "../multivariate/reference.js";
import type { AutoDetector, AutoOptions } from "./auto-detector.js";

/** Half a minute of one-second readings: long enough to see past noise, short enough to alarm within it. */
const SPAN_ROWS = 30;

/** The detector behind `autoDetector()` for several features; its text is there. */
export class Multivariate implements AutoDetector {
  readonly kind = "autoDetector";
  readonly dimensions: number;
  private readonly names: readonly string[];
  private readonly inner: Detector;
  private readonly train: number;

  constructor(options: AutoOptions) {
    const features = options.features ?? 1;
    this.dimensions = new FeatureReader(features).dimensions;
    this.names = typeof features === "number" ? Array.from({ length: features }, (_, i) => `feature ${i}`) : features;
    this.train = trainingRows(this.dimensions, SPAN_ROWS);
    this.inner = mahalanobis({ features, span: SPAN_ROWS, train: this.train });
  }

  scoreOne(x: Input): number | undefined {
    const raw = this.inner.scoreOne(x);
    return raw === undefined ? undefined : calibratedScore(raw, 1, 1);
  }

  learnOne(x: Input): void {
    this.inner.learnOne(x);
  }

  process(x: Input): number | undefined {
    const raw = this.inner.process(x);
    return raw === undefined ? undefined : calibratedScore(raw, 1, 1);
  }

  explain(x: Input): Float64Array {
    return this.inner.explain(x);
  }

  describe(x: Input): string {
    const raw = this.inner.scoreOne(x);
    if (raw === undefined) return `warming up: scores begin after ${this.train} rows`;
    const shares = this.inner.explain(x);
    let most = 0;
    for (let f = 1; f < shares.length; f++) if ((shares[f] as number) > (shares[most] as number)) most = f;
    const times = Number(raw.toPrecision(3));
    return `together the last rows are ${times} times the limit away from normal, ${Math.round(100 * (shares[most] as number))} % of it through ${this.names[most]}`;
  }

  memoryBytes(): number {
    return this.inner.memoryBytes() + 64;
  }

  save(): Uint8Array {
    return new ByteWriter(this.kind, "multivariate").blob(this.inner.save()).done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, "multivariate");
    this.inner.load(from.blob());
  }
}
