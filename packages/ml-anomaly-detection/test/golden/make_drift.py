"""Makes drift.json: python3 make_drift.py > drift.json (River; the version goes into the header)."""
import json
import sys

import river
from inputs import Inputs
from river import drift

ph = []
for seed in range(1, 13):
    inputs = Inputs(300 + seed)
    options = {"min_instances": (30, 5)[seed % 2], "delta": (0.005, 0.1, 0.0)[seed % 3], "threshold": (50.0, 8.0)[seed // 2 % 2],
               "alpha": (1 - 0.0001, 1.0, 0.99)[seed // 3 % 3], "mode": ("both", "up", "down")[seed % 3]}
    detector = drift.PageHinkley(**options)
    found, level = [], 0.0
    for i in range(3000):
        if inputs.below(300) == 0:
            level = 2 * inputs.real()
        detector.update(level + inputs.real())
        if detector.drift_detected:
            found.append(i)
    ph.append({"seed": 300 + seed, "rows": 3000, **options, "detections": found})

json.dump({"tool": f"River {river.__version__}", "command": "python3 make_drift.py > drift.json", "seed": "in each case",
           "tolerance": "exact", "pageHinkley": ph}, sys.stdout)
print()
