"""Makes discord.json: python3 make_discord.py > discord.json (STUMPY, scikit-learn; the versions go into the header)."""
import json
import sys
from importlib.metadata import version

import numpy
import stumpy
from inputs import Inputs
from sklearn.metrics import roc_auc_score


def series(seed, period):
    """1,200 values of a saw-tooth with noise; in three places one period runs backwards or is cut off. Labels: those rows."""
    inputs = Inputs(seed)
    values, labels = [], [0] * 1200
    for i in range(1200):
        values.append((i % period) / period + 0.05 * inputs.real())
    for place in (500, 750, 1000):
        start = place - place % period + period * inputs.below(3)
        kind = inputs.below(2)
        for j in range(period):
            value = (period - j) / period if kind == 0 else min(j / period, 0.5)
            values[start + j] = value + 0.05 * inputs.real()
            labels[start + j] = 1
    return values, labels


out = []
for seed, period in ((951, 20), (952, 32), (953, 50)):
    values, labels = series(seed, period)
    left = stumpy.stumpi(numpy.array(values[:2 * period]), period, egress=False)
    scores = [0.0] * (2 * period)
    for value in values[2 * period:]:
        left.update(value)
        scores.append(float(left.left_P_[-1]))
    start = 200
    out.append({"seed": seed, "period": period, "labels": "".join(map(str, labels)), "start": start,
                "scores": scores[start:start + 400], "auc": float(roc_auc_score(labels[start:], scores[start:]))})
json.dump({"tool": f"STUMPY {version('stumpy')}", "command": "python3 make_discord.py > discord.json",
           "seed": "in each case", "tolerance": "1e-6 absolute", "series": out}, sys.stdout)
print()
