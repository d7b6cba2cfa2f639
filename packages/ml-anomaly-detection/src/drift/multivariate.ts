import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { DriftDetector, Input, Stateful } from "../core/detector.js";
import { integerOption } from "../core/errors.js";
import { type FeatureOption, FeatureReader } from "../core/features.js";
import { adwin } from "./adwin.js";

export interface MultivariateDriftOptions {
  /** Number of features, or their names. */
  features: FeatureOption;
  /**
   * A detector for one feature. Divide its chance of a false change by `features`: one of many fires by chance sooner.
   * @default adwin({ delta: 0.002 / features })
   */
  make?: (feature: number, features: number) => DriftDetector;
  /** A change of the whole: so many features changed ... @default 1 */
  quorum?: number;
  /** ... within so many rows. @default 100 */
  within?: number;
}

/** Watches rows of several features for a change: see `multivariateDrift`. */
export interface MultivariateDrift extends Stateful {
  /** Takes the next row; true when it reveals a change of the whole. Missing values are ignored. */
  update(x: Input): boolean;
  /** Rows since each feature last changed, Infinity when it never did. The array is reused. */
  sinceChange(): Float64Array;
}

/**
 * A drift detector for each feature and one answer: a change when `quorum` of them fired within the last rows. Once told,
 * it is told again only after the features have fallen silent.
 *
 * It sees what each feature shows alone: not a change of their correlation only (give it `pcaMonitor`'s raw score too).
 * State:  that of its members and a number a feature. O(features) a row.
 * Errors: AD_OPTION_INVALID, AD_INPUT_INVALID, AD_STATE_INVALID.
 */
export function multivariateDrift(options: MultivariateDriftOptions): MultivariateDrift {
  return new Multivariate(options);
}

class Multivariate implements MultivariateDrift {
  readonly kind = "multivariateDrift";
  private readonly reader: FeatureReader;
  private readonly members: readonly DriftDetector[];
  private readonly quorum: number;
  private readonly within: number;
  private readonly optionText: string;
  private rows = 0;
  private told = false;
  /** Row at which each feature last changed. */
  private readonly changed: Float64Array;
  private readonly since: Float64Array;

  constructor(options: MultivariateDriftOptions) {
    this.reader = new FeatureReader(options.features, true);
    const d = this.reader.dimensions;
    const make = options.make ?? (() => adwin({ delta: 0.002 / d }));
    this.members = Array.from({ length: d }, (_, f) => make(f, d));
    this.quorum = integerOption("quorum", options.quorum ?? 1, 1, d);
    this.within = integerOption("within", options.within ?? 100, 1, 1_000_000_000);
    const kinds = this.members.map(({ kind }) => kind);
    this.optionText = JSON.stringify([this.reader.describe(), kinds, this.quorum, this.within]);
    this.changed = new Float64Array(d).fill(Number.NEGATIVE_INFINITY);
    this.since = new Float64Array(d);
  }

  update(x: Input): boolean {
    const row = this.reader.read(x);
    this.rows++;
    let recent = 0;
    for (let f = 0; f < row.length; f++) {
      if ((this.members[f] as DriftDetector).update(row[f] as number)) this.changed[f] = this.rows;
      if (this.rows - (this.changed[f] as number) < this.within) recent++;
    }
    const whole = recent >= this.quorum;
    const news = whole && !this.told;
    this.told = whole;
    return news;
  }

  sinceChange(): Float64Array {
    for (let f = 0; f < this.since.length; f++) this.since[f] = this.rows - (this.changed[f] as number);
    return this.since;
  }

  memoryBytes(): number {
    return this.members.reduce((sum, member) => sum + member.memoryBytes() + 32, 64);
  }

  save(): Uint8Array {
    const to = new ByteWriter(this.kind, this.optionText).f64(this.rows).bool(this.told).f64s(this.changed);
    for (const member of this.members) to.blob(member.save());
    return to.done();
  }

  load(bytes: Uint8Array): void {
    const from = new ByteReader(bytes, this.kind, this.optionText);
    const rows = from.f64();
    const told = from.bool();
    const changed = new Float64Array(this.changed.length);
    from.f64s(changed);
    const before = this.members.map((member) => member.save());
    try {
      for (const member of this.members) member.load(from.blob());
      from.done();
    } catch (error) {
      this.members.forEach((member, f) => void member.load(before[f] as Uint8Array)); // all or none
      throw error;
    }
    this.rows = rows;
    this.told = told;
    this.changed.set(changed);
  }
}
