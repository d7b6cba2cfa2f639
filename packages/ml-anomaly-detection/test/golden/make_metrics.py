"""Makes metrics.json: python3 make_metrics.py > metrics.json (vus; the version goes into the header)."""
import json
import sys
from importlib.metadata import version

import numpy
from inputs import Inputs
from sklearn.metrics import roc_auc_score
from vus.utils.metrics import metricor

cases = []
for seed in range(1, 13):
    inputs = Inputs(400 + seed)
    n, buffer, thresholds = 120 + inputs.below(200), (0, 5, 12, 20)[seed % 4], (250, 40)[seed % 2]
    labels, scores = numpy.zeros(n), numpy.zeros(n)
    for _ in range(1 + inputs.below(4)):
        start = inputs.below(n - 12)
        labels[start:start + 1 + inputs.below(10)] = 1
    for i in range(n):
        scores[i] = inputs.real() + 0.8 * labels[max(0, i - 2)]
        if seed % 3 == 0:
            scores[i] = round(scores[i])
    *_, pr = metricor().RangeAUC_volume_opt(labels, scores, buffer, thresholds)
    cases.append({"seed": 400 + seed, "buffer": buffer, "thresholds": thresholds, "labels": labels.astype(int).tolist(),
                  "scores": scores.tolist(), "vusPr": float(pr), "rocAuc": float(roc_auc_score(labels, scores))})

json.dump({"tool": f"vus {version('vus')}", "command": "python3 make_metrics.py > metrics.json", "seed": "in each case",
           "tolerance": 1e-9, "cases": cases}, sys.stdout)
print()
