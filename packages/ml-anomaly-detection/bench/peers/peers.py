"""Times the reference implementations on rows given as JSON on stdin; prints rows a second by name.

Input: {"rows8": [[8 numbers], ...], "values": [number, ...]}. Each peer gets as many rows as it manages in about two
seconds, in order, after a warm-up of one window; score and learn together, as the detectors here are timed.
"""
import json
import sys
import time
import warnings

import numpy
import rrcf
from river import anomaly, drift
from sklearn.neighbors import LocalOutlierFactor

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


def half_space_trees():
    low, high = numpy.min(rows8, axis=0), numpy.max(rows8, axis=0)
    model = anomaly.HalfSpaceTrees(seed=1)
    rows = [dict(enumerate(((numpy.array(r) - low) / (high - low)).tolist())) for r in rows8]

    def step(x):
        model.score_one(x)
        model.learn_one(x)
    return timed(step, rows, 500)


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
    "halfSpaceTrees 10 x 8, 8-D": ("river HalfSpaceTrees", half_space_trees),
    "adwin": ("river ADWIN", adwin),
    "slidingLof 256, k 20, 8-D": ("scikit-learn LocalOutlierFactor, refitted", lambda: lof_refit(256)),
    "slidingLof 4096, k 20, 8-D": ("scikit-learn LocalOutlierFactor, refitted", lambda: lof_refit(4096)),
    "randomCutForest 50 x 256, 8-D": ("rrcf", cut_forest),
}
print(json.dumps({name: {"peer": peer, "rate": run()} for name, (peer, run) in PEERS.items()}))
