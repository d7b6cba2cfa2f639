"""Makes online.json: python3 make_online.py > online.json (PySAD, scikit-learn, pandas; the versions go into the header).

Detectors with chance of their own are compared by ROC AUC on five sets, five seeds each; the others score by score.
"""
import json
import sys
from importlib.metadata import version

import numpy
import pandas
from inputs import Inputs
from pysad.models import LODA, MedianAbsoluteDeviation, RSHash, xStream
from scipy.stats import wasserstein_distance
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

WINDOW = 256


def labelled(kind, seed, d):
    """Two clusters; 5 % of the rows are spread around them (as in make_trees.py), or have one feature off by 1.5 to 2.5."""
    inputs = Inputs(seed)
    rows, labels = [], []
    for _ in range(1200):
        far = inputs.below(20) == 0
        centre = 3.0 * inputs.below(2)
        if kind == "spread":
            rows.append([inputs.real() * (2.5 if far else 0.6) + (0 if far else centre) for _ in range(d)])
        else:
            rows.append([inputs.real() * 0.6 + centre for _ in range(d)])
            if far:
                rows[-1][inputs.below(d)] += 1.5 + inputs.below(1000) / 1000
        labels.append(int(far))
    return numpy.array(rows), labels


def auc(labels, scores, start):
    return float(roc_auc_score(labels[start:], numpy.nan_to_num(numpy.array(scores[start:], dtype=float))))


def run(model, rows):
    return [float(numpy.ravel(model.fit_score_partial(row))[0]) for row in rows]


quality = []
for kind, seed, d in (("spread", 901, 2), ("spread", 902, 5), ("spread", 903, 8), ("one", 904, 3), ("one", 905, 6)):
    rows, labels = labelled(kind, seed, d)
    early = rows[:WINDOW]
    low, high = early.min(axis=0), early.max(axis=0)
    near = [0.0] * WINDOW + [
        float(NearestNeighbors(n_neighbors=5).fit(rows[i - WINDOW:i]).kneighbors([rows[i]])[0][0][-1])
        for i in range(WINDOW, len(rows))]
    quality.append({
        "kind": kind, "seed": seed, "d": d, "labels": "".join(map(str, labels)),
        "loda": [auc(labels, run(LODA(random_state=s), rows), WINDOW) for s in range(5)],
        "rsHash": [auc(labels, run(RSHash(low, high, num_hash_fns=4, random_state=s), rows), WINDOW) for s in range(5)],
        "xStream": [auc(labels, run(xStream(random_state=s), rows), WINDOW) for s in range(5)],
        "knnDistance": auc(labels, near, WINDOW),
        "knnScores": near[WINDOW:WINDOW + 200],
    })


def series(kind, seed):
    """1,500 values, 4 % of them anomalous: noise with spikes; a slow drift with spikes; a wave of 48 rows with shifted rows."""
    inputs = Inputs(seed)
    values, labels = [], []
    for i in range(1500):
        far = inputs.below(25) == 0
        value = inputs.real()
        if kind == "drift":
            value += 0.01 * i
        if kind == "wave":
            value = 0.3 * value + abs(i % 48 - 24) / 6
        values.append(value + (1.5 + inputs.below(1000) / 1000 if far else 0))
        labels.append(int(far))
    return values, labels


def seasonal(values, period, depth, window):
    """The definition, restated: deviation from the median of the phase, over the scaled median of the last deviations."""
    past, deviations, scores = [[] for _ in range(period)], [], []
    for i, value in enumerate(values):
        mine = past[i % period][-depth:]
        deviation = abs(value - float(numpy.median(mine))) if len(mine) >= 2 else None
        spread = 1.4826 * float(numpy.median(deviations[-window:])) if len(deviations) >= 30 else None
        scores.append(None if deviation is None or spread is None else deviation / max(spread, 1e-10))
        if deviation is not None:
            deviations.append(deviation)
        past[i % period].append(value)
    return scores


streams = []
for seed, kind in ((921, "noise"), (922, "drift"), (923, "wave")):
    values, labels = series(kind, seed)
    column = pandas.Series(values)
    weighted = column.ewm(span=60, adjust=False)
    z = ((column - weighted.mean().shift(1)).abs() / numpy.sqrt(weighted.var(bias=True).shift(1))).tolist()
    model = MedianAbsoluteDeviation(window_size=101)
    robust = []
    for value in values:  # the model's own fit_score_partial would learn before it scores
        robust.append(model.score_partial(numpy.array([value])) if len(model.window) > 0 else 0.0)
        model.fit_partial(numpy.array([value]))
    profile = seasonal(values, 48, 7, 300)
    start = 200
    streams.append({
        "seed": seed, "kind": kind, "labels": "".join(map(str, labels)), "start": start,
        "robustZ": robust[start:start + 200], "robustZAuc": auc(labels, robust, start),
        "ewma": z[start:start + 200], "ewmaAuc": auc(labels, z, start),
        "seasonalProfile": profile[start:start + 200], "seasonalProfileAuc": auc(labels, [0 if s is None else s for s in profile], start),
    })

def index_of_stability(a, b, smoothing=0.5):
    p, q = numpy.array(a) + smoothing, numpy.array(b) + smoothing
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * numpy.log(q / p)).sum())


pairs = []
for seed in range(30):
    inputs = Inputs(940 + seed)
    kind = "duplicates" if seed % 3 == 0 else "continuous"
    n, m = 5 + inputs.below(60), 5 + inputs.below(60)
    a = [row[0] for row in inputs.rows(n, 1, kind)]
    b = [row[0] + 0.5 for row in inputs.rows(m, 1, kind)]
    counts = [[inputs.below(40) for _ in range(8)] for _ in range(2)]
    pairs.append({"seed": 940 + seed, "kind": kind, "wasserstein": float(wasserstein_distance(a, b)),
                  "psi": index_of_stability(*counts)})

names = ("pysad", "scikit-learn", "scipy", "pandas", "numpy")
json.dump({"tool": ", ".join(f"{name} {version(name)}" for name in names),
           "command": "python3 make_online.py > online.json", "seed": "in each case",
           "tolerance": "scores 1e-9 relative, ROC AUC 0.02", "quality": quality, "streams": streams, "pairs": pairs}, sys.stdout)
print()
