"""Makes adwin.json: python3 make_adwin.py > adwin.json (River; the version goes into the header)."""
import json
import sys

import river
from inputs import Inputs
from river import drift

cases = []
for seed in range(1, 25):
    inputs = Inputs(seed)
    options = {
        "delta": (0.002, 0.05, 0.3)[seed % 3], "clock": (32, 1, 7)[seed % 3], "max_buckets": (5, 2, 9)[seed // 3 % 3],
        "min_window_length": (5, 1, 20)[seed // 6 % 3], "grace_period": (10, 0, 60)[seed // 2 % 3],
    }
    detector = drift.ADWIN(**options)
    found, after = [], []
    level = 0.0
    for i in range(3000):
        if inputs.below(400) == 0:
            level = inputs.real()
        detector.update(level + inputs.real())
        if detector.drift_detected:
            found.append(i)
            after.append([detector.width, detector.total, detector.variance])
    cases.append({"seed": seed, "rows": 3000, **options, "detections": found, "after": after,
                  "width": detector.width, "total": detector.total, "variance": detector.variance})

json.dump({"tool": f"River {river.__version__}", "command": "python3 make_adwin.py > adwin.json", "seed": "in each case",
           "tolerance": 1e-9, "cases": cases}, sys.stdout)
print()
