import {
  AnomalyError,
  type AutoDetector,
  adwin,
  autoDetector,
  calibrated,
  type Detector,
  ddm,
  discord,
  eddm,
  ewma,
  halfSpaceTrees,
  hddmA,
  hddmW,
  type Input,
  isolationForest,
  klDrift,
  knnDistance,
  kswin,
  loda,
  mahalanobis,
  multivariateDrift,
  pageHinkley,
  pcaMonitor,
  psiDrift,
  randomCutForest,
  robustZ,
  rsHash,
  type Stateful,
  seasonalProfile,
  slidingLof,
  spot,
  wassersteinDrift,
  xStream,
} from "../src/index.js";

/** One detector under test: how to make it and how one value goes in. */
export interface Subject {
  name: string;
  /** Features a row has; drift detectors take 1. */
  dimensions: number;
  make(): Stateful & {
    step(row: ArrayLike<number>): number | boolean | undefined;
    peek?(row: number[]): number | undefined;
    /** The detector itself; drift detectors have none. */
    scoring?: Scoring;
  };
  /** Rows after which a well-behaved stream must have been scored at least once. */
  warmUp: number;
  /** The smallest and largest score documented; drift detectors answer true or false. */
  range?: [number, number];
}

type Scoring = Detector;

function scoring(
  name: string,
  dimensions: number,
  warmUp: number,
  range: [number, number],
  make: () => Scoring,
): Subject {
  return {
    name,
    dimensions,
    warmUp,
    range,
    make() {
      const detector = make();
      return Object.assign(Object.create(detector), {
        scoring: detector,
        step: (row: ArrayLike<number>) => detector.process(row),
        peek: (row: number[]) => detector.scoreOne(row),
        save: () => detector.save(),
        load: (bytes: Uint8Array) => detector.load(bytes),
        memoryBytes: () => detector.memoryBytes(),
      });
    },
  };
}

function drift(name: string, make: () => Stateful & { update(x: number): boolean }): Subject {
  return driftOfRows(name, 1, () => {
    const detector = make();
    return Object.assign(Object.create(detector), {
      update: (row: ArrayLike<number>) => detector.update(row[0] as number),
      save: () => detector.save(),
      load: (bytes: Uint8Array) => detector.load(bytes),
      memoryBytes: () => detector.memoryBytes(),
    });
  });
}

function driftOfRows(
  name: string,
  dimensions: number,
  make: () => Stateful & { update(x: ArrayLike<number>): boolean },
): Subject {
  return {
    name,
    dimensions,
    warmUp: 0,
    make() {
      const detector = make();
      return Object.assign(Object.create(detector), {
        step: (row: ArrayLike<number>) => detector.update(row),
        save: () => detector.save(),
        load: (bytes: Uint8Array) => detector.load(bytes),
        memoryBytes: () => detector.memoryBytes(),
      });
    },
  };
}

/** Gives each row a time, 40 minutes after the last. */
function timed(detector: AutoDetector): Scoring {
  let rows = 0;
  return Object.assign(Object.create(detector), {
    scoreOne: (x: Input) => detector.scoreOne(x, rows * 2_400_000),
    learnOne: (x: Input) => detector.learnOne(x, rows++ * 2_400_000),
    explain: (x: Input) => detector.explain(x, rows * 2_400_000),
    process: (x: Input) => detector.process(x, rows++ * 2_400_000),
    save: () => new Uint8Array([...new Uint8Array(new Uint32Array([rows]).buffer), ...detector.save()]),
    load(bytes: Uint8Array) {
      detector.load(bytes.subarray(Math.min(4, bytes.length))); // first what may fail
      rows = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    },
    memoryBytes: () => detector.memoryBytes(),
  });
}

/** Every detector this package offers: a new one is tested by one line here. */
export const SUBJECTS: readonly Subject[] = [
  scoring("slidingLof 1-D", 1, 21, [0, 1e120], () => slidingLof({ window: 60 })),
  scoring("slidingLof 3-D floor", 3, 30, [0, 1e120], () =>
    slidingLof({ features: 3, window: 64, neighbours: 7, metric: "manhattan", resolution: 0.01, warmUp: 30 }),
  ),
  scoring("calibrated(slidingLof) fixed", 2, 21, [0, 1], () =>
    calibrated(slidingLof({ features: 2, window: 60 }), { boundary: { threshold: 1.5 } }),
  ),
  scoring("calibrated(slidingLof) quantile, protected", 2, 100, [0, 1], () =>
    calibrated(slidingLof({ features: 2, window: 60, neighbours: 5 }), {
      boundary: { quantile: 0.95, window: 200 },
      learnFlagged: false,
    }),
  ),
  scoring("calibrated(mahalanobis) risk", 2, 200, [0, 1], () =>
    calibrated(mahalanobis({ features: 2 }), { boundary: { risk: 1e-2, warmUp: 100 } }),
  ),
  scoring("autoDetector", 1, 101, [0, 1], () => autoDetector()),
  scoring("autoDetector with time", 1, 101, [0, 1], () => timed(autoDetector())),
  scoring("autoDetector of 3", 3, 250, [0, 1], () => autoDetector({ features: 3 })),
  scoring("mahalanobis 3-D", 3, 100, [0, Number.MAX_VALUE], () => mahalanobis({ features: 3 })),
  scoring("mahalanobis smoothed", 2, 120, [0, Number.MAX_VALUE], () =>
    mahalanobis({ features: 2, span: 10, memory: Number.POSITIVE_INFINITY }),
  ),
  scoring("pcaMonitor 4-D", 4, 110, [0, Number.MAX_VALUE], () => pcaMonitor({ features: 4, span: 5 })),
  scoring("pcaMonitor 1-D", 1, 100, [0, Number.MAX_VALUE], () => pcaMonitor()),
  scoring("halfSpaceTrees 3-D", 3, 100, [0, 1], () => halfSpaceTrees({ features: 3, window: 100, height: 6 })),
  scoring("halfSpaceTrees limits", 1, 50, [0, 1], () =>
    halfSpaceTrees({ window: 50, trees: 4, height: 5, limits: [[-2, 2]] }),
  ),
  scoring("isolationForest 2-D", 2, 64, [0, 1], () =>
    isolationForest({ features: 2, window: 128, refit: 64, trees: 10, sample: 64 }),
  ),
  scoring("randomCutForest 2-D", 2, 32, [0, 64], () =>
    randomCutForest({ features: 2, window: 64, trees: 5, warmUp: 32 }),
  ),
  scoring("randomCutForest shingled", 1, 24, [0, 32], () =>
    randomCutForest({ window: 32, trees: 4, shingle: 4, warmUp: 16 }),
  ),
  scoring("spot", 1, 200, [0, 300], () => spot({ warmUp: 200, risk: 1e-3, excesses: 40 })),
  scoring("spot, drifting", 1, 100, [0, 300], () => spot({ warmUp: 100, risk: 1e-2, level: 0.9, depth: 20 })),
  scoring("randomCutForest, imputing", 2, 32, [0, 64], () =>
    randomCutForest({ features: 2, window: 64, trees: 5, warmUp: 32, missing: "forest" }),
  ),
  scoring("knnDistance 1-D", 1, 6, [0, 1e120], () => knnDistance({ window: 40 })),
  scoring("knnDistance 3-D", 3, 10, [0, 1e120], () =>
    knnDistance({ features: 3, window: 60, neighbours: 3, metric: "chebyshev", warmUp: 10 }),
  ),
  scoring("robustZ", 1, 30, [0, 1e120], () => robustZ({ window: 101 })),
  scoring("robustZ 3-D", 3, 10, [0, 1e120], () => robustZ({ features: 3, window: 50, warmUp: 10, resolution: 0.01 })),
  scoring("ewma", 1, 30, [0, 1e120], () => ewma()),
  scoring("ewma 3-D", 3, 10, [0, 1e120], () => ewma({ features: 3, span: 20, warmUp: 10 })),
  scoring("seasonalProfile", 1, 60, [0, 1e120], () => seasonalProfile({ period: 12, depth: 4, window: 50 })),
  scoring("loda 1-D", 1, 50, [-1000, 1000], () => loda({ projections: 10, warmUp: 50 })),
  scoring("loda 5-D", 5, 100, [-1000, 1000], () => loda({ features: 5, projections: 30, bins: 6 })),
  scoring("rsHash 3-D", 3, 64, [-64, 0], () => rsHash({ features: 3, components: 10, slots: 200, warmUp: 64 })),
  scoring("rsHash 1-D", 1, 40, [-64, 0], () =>
    rsHash({ components: 8, slots: 100, warmUp: 40, tables: 1, decay: 0.1 }),
  ),
  scoring("xStream 3-D", 3, 50, [-64, 0], () =>
    xStream({ features: 3, projections: 8, chains: 4, depth: 6, window: 50 }),
  ),
  scoring("xStream 1-D", 1, 32, [-64, 0], () => xStream({ projections: 5, chains: 3, depth: 5, window: 32 })),
  scoring("discord", 1, 21, [0, 2 * Math.sqrt(10)], () => discord({ length: 10, window: 120 })),
  drift("ddm", () => ddm()),
  drift("eddm", () => eddm({ warmUp: 5 })),
  drift("hddmA", () => hddmA({ twoSided: true })),
  drift("hddmW", () => hddmW({ twoSided: true })),
  drift("kswin", () => kswin({ window: 60, sample: 20 })),
  drift("pageHinkley", () => pageHinkley({ threshold: 5 })),
  drift("klDrift", () => klDrift({ window: 20, warmUp: 40, hypotheses: 2 })),
  drift("psiDrift", () => psiDrift({ reference: 60, window: 20, bins: 5 })),
  drift("wassersteinDrift", () => wassersteinDrift({ reference: 60, window: 20, alpha: 0.05 })),
  driftOfRows("multivariateDrift", 3, () =>
    multivariateDrift({ features: 3, make: () => adwin({ clock: 8 }), quorum: 2 }),
  ),
  drift("adwin", () => adwin({ clock: 8 })),
];

/** Streams every detector must survive. */
export const STREAMS: Readonly<Record<string, (i: number, real: () => number) => number>> = {
  noise: (_i, real) => real(),
  shift: (i, real) => real() + (i > 300 ? 6 : 0),
  constant: () => 4.2,
  steps: (i) => Math.floor(i / 50),
  duplicates: (_i, real) => Math.round(real()),
  huge: (_i, real) => real() * 1e300,
  tiny: (_i, real) => real() * 1e-300,
  hugeConstant: () => -1e308,
  holes: (i, real) => (i % 3 === 0 ? Number.NaN : i % 17 === 0 ? Number.NEGATIVE_INFINITY : real()),
  missing: () => Number.NaN,
  extremes: (i, real) => (i % 41 === 0 ? Number.MAX_VALUE : i % 43 === 0 ? -Number.MAX_VALUE : real()),
};

export { AnomalyError };
