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

errors = []
for seed in range(1, 17):
    inputs = Inputs(350 + seed)
    two_sided = seed % 2 == 0
    detectors = {
        "ddm": drift.binary.DDM(warm_start=(30, 10)[seed % 2], warning_threshold=(2.0, 1.5)[seed % 2], drift_threshold=(3.0, 2.5)[seed % 2]),
        "eddm": drift.binary.EDDM(warm_start=(30, 10)[seed % 2], alpha=0.95, beta=(0.9, 0.85)[seed % 2]),
        "hddmA": drift.binary.HDDMA(drift_confidence=(0.001, 0.01)[seed % 3 == 0], warning_confidence=0.05, two_sided_test=two_sided),
        "hddmW": drift.binary.HDDMW(drift_confidence=(0.001, 0.01)[seed % 3 == 0], warning_confidence=0.05,
                                     lambda_val=(0.05, 0.2)[seed // 2 % 2], two_sided_test=two_sided),
    }
    found = {name: {"drifts": [], "warnings": []} for name in detectors}
    rate = 100
    for i in range(3000):
        if inputs.below(500) == 0:
            rate = 20 + inputs.below(600)
        x = 1 if inputs.below(1000) < rate else 0
        for name, detector in detectors.items():
            detector.update(x)
            if detector.drift_detected:
                found[name]["drifts"].append(i)
            elif detector.warning_detected:
                found[name]["warnings"].append(i)
    errors.append({"seed": 350 + seed, "rows": 3000, "twoSided": two_sided, "found": {
        name: {"drifts": each["drifts"], "warnings": len(each["warnings"])} for name, each in found.items()}})

json.dump({"tool": f"River {river.__version__}", "command": "python3 make_drift.py > drift.json", "seed": "in each case",
           "tolerance": "exact", "pageHinkley": ph, "errors": errors}, sys.stdout)
print()
