import { autoDetector } from "../auto/auto-detector.js";
import { calibrated } from "../calibration/calibrated.js";
import { spot } from "../calibration/spot.js";
import type { Detector } from "../core/detector.js";
import { slidingLof } from "../lof/sliding.js";
import { mahalanobis } from "../multivariate/mahalanobis.js";
import { pcaMonitor } from "../multivariate/pca.js";
import { knnDistance } from "../neighbours/knn-distance.js";
import { loda } from "../projections/loda.js";
import { rsHash } from "../projections/rs-hash.js";
import { xStream } from "../projections/x-stream.js";
import { halfSpaceTrees } from "../trees/half-space.js";
import { isolationForest } from "../trees/isolation.js";
import { randomCutForest } from "../trees/random-cut.js";
import { ewma } from "../univariate/ewma.js";
import { robustZ } from "../univariate/robust-z.js";

const RARE = { boundary: { quantile: 0.999 } } as const;

/**
 * Detectors a user can name, each with its usual boundary: scores are calibrated, above 0.5 is an alarm. Those whose raw
 * scores have no natural boundary flag what is beyond the 99.9 % quantile of their last 10,000 scores.
 */
export const DETECTORS: Readonly<Record<string, (features: readonly string[]) => Detector>> = {
  auto: (features) => autoDetector({ features }),
  lof: (features) => calibrated(slidingLof({ features }), RARE),
  hst: (features) => calibrated(halfSpaceTrees({ features }), RARE),
  iforest: (features) => calibrated(isolationForest({ features }), RARE),
  rrcf: (features) => calibrated(randomCutForest({ features }), RARE),
  mahalanobis: (features) => calibrated(mahalanobis({ features }), { boundary: { threshold: 1 } }),
  pca: (features) => calibrated(pcaMonitor({ features }), { boundary: { threshold: 1 } }),
  robustz: (features) => calibrated(robustZ({ features }), { boundary: { threshold: 3.5 } }),
  ewma: (features) => calibrated(ewma({ features }), { boundary: { threshold: 3.5 } }),
  knn: (features) => calibrated(knnDistance({ features }), RARE),
  loda: (features) => calibrated(loda({ features }), RARE),
  rshash: (features) => calibrated(rsHash({ features }), RARE),
  xstream: (features) => calibrated(xStream({ features }), RARE),
  spot(features) {
    const detector = spot({ features });
    return calibrated(detector, { boundary: { threshold: detector.boundary } });
  },
};
