"""Times the reference implementations on rows given as JSON on stdin; prints rows a second by name.

Input: {"rows8": [[8 numbers], ...], "values": [number, ...], "names": [entries to compare with]}. Each peer gets as
many rows as it manages in about two seconds, in order, after a warm-up of one window; score and learn together, as the detectors here are timed.
"""
import json
import sys
import time
import warnings

import numpy
import rrcf
from pysad.models import LODA, MedianAbsoluteDeviation, RSHash, RobustRandomCutForest, xStream
from pysad.models import HalfSpaceTrees as PysadHalfSpaceTrees
from river import anomaly, drift
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

warnings.simplefilter("ignore")
data = json.load(sys.stdin)
rows8, values = data["rows8"], data["values"]
SECONDS = 2.0


def timed(step, rows, warm):
    for row in rows[:warm]:
        step(row)
    start, done = time.process_time(), 0
    while time.process_time() - start < SECONDS:
        for row in rows[warm:warm + 50]:
            step(row)
        done += 50
    return done / (time.process_time() - start)


def scored_then_learned(model, rows, warm):
    def step(x):
        model.score_one(x)
        model.learn_one(x)
    return timed(step, rows, warm)


def pysad(model, rows=None, warm=500):
    return timed(model.fit_score_partial, numpy.array(rows8 if rows is None else rows), warm)


def half_space_trees():
    low, high = limits()
    rows = [dict(enumerate(((numpy.array(r) - low) / (high - low)).tolist())) for r in rows8]
    return scored_then_learned(anomaly.HalfSpaceTrees(seed=1), rows, 500)


def limits():
    return numpy.min(rows8, axis=0), numpy.max(rows8, axis=0)


def nearest_refit():
    held = [rows8[i] for i in range(256)]

    def step(x):
        NearestNeighbors(n_neighbors=5).fit(held).kneighbors([x])
        held.pop(0)
        held.append(x)
    return timed(step, rows8, 2)


def adwin():
    model = drift.ADWIN()
    return timed(model.update, values, 5000)


def lof_refit(window):
    held = [rows8[i % len(rows8)] for i in range(window)]

    def step(x):
        fitted = LocalOutlierFactor(n_neighbors=20, novelty=True).fit(held)
        fitted.score_samples([x])
        held.pop(0)
        held.append(x)
    return timed(step, rows8, 2)


def cut_forest():
    trees = [rrcf.RCTree() for _ in range(50)]
    count = [0]

    def step(x):
        i = count[0]
        for tree in trees:
            if i >= 256:
                tree.forget_point(i - 256)
            tree.insert_point(x, index=i)
            tree.codisp(i)
        count[0] += 1
    return timed(step, rows8, 260)


PEERS = {
    "halfSpaceTrees 10 x 8, 8-D": [
        ("river HalfSpaceTrees", half_space_trees),
        ("PySAD HalfSpaceTrees", lambda: pysad(PysadHalfSpaceTrees(*limits(), num_trees=10, max_depth=8))),
    ],
    "adwin": [("river ADWIN", adwin)],
    "slidingLof 256, k 20, 8-D": [("scikit-learn LocalOutlierFactor, refitted", lambda: lof_refit(256))],
    "slidingLof 4096, k 20, 8-D": [("scikit-learn LocalOutlierFactor, refitted", lambda: lof_refit(4096))],
    "randomCutForest 50 x 256, 8-D": [
        ("rrcf", cut_forest),
        ("PySAD RobustRandomCutForest", lambda: pysad(RobustRandomCutForest(num_trees=50), warm=260)),
    ],
    "knnDistance 256, 5th, 8-D": [("scikit-learn NearestNeighbors, refitted", nearest_refit)],
    "loda 100 x 10, 8-D": [("PySAD LODA", lambda: pysad(LODA()))],
    "rsHash 100, 8-D": [("PySAD RSHash", lambda: pysad(RSHash(*limits(), num_hash_fns=4)))],
    "xStream 50 x 15, 8-D": [
        ("PySAD xStream", lambda: pysad(xStream(num_components=50, n_chains=50), warm=260)),
    ],
    "robustZ 500": [
        ("PySAD MedianAbsoluteDeviation", lambda: pysad(MedianAbsoluteDeviation(), [[v] for v in values], 600)),
    ],
}
wanted = set(data["names"])
print(json.dumps({name: [{"peer": peer, "rate": run()} for peer, run in peers]
                  for name, peers in PEERS.items() if name in wanted}))
