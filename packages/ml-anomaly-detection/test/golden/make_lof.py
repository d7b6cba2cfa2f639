"""Makes lof.json: python3 make_lof.py > lof.json (scikit-learn and numpy; the versions go into the header)."""
import json
import sys
import warnings

import numpy
import sklearn
from inputs import Inputs
from sklearn.neighbors import LocalOutlierFactor

warnings.simplefilter("ignore")  # "duplicates lead to very large scores": they are part of the test
KINDS = ("continuous", "lattice", "duplicates")
METRICS = ("euclidean", "manhattan", "chebyshev")

cases = []
for seed in range(1, 204):
    inputs = Inputs(seed)
    kind = KINDS[seed % 3]
    metric = METRICS[seed // 3 % 3]
    n, d, k = 8 + inputs.below(30), 1 + inputs.below(5), 1 + inputs.below(20)
    contamination = "auto" if seed % 4 else 0.1
    rows, queries = inputs.rows(n, d, kind), inputs.rows(3, d, kind)
    # Copies of real rows: a tree works distances out term by term, brute force through a matrix product, which makes
    # the distance of two equal rows up to 1e-8. On the lattice both are exact, and brute force has one order of ties.
    algorithm = "kd_tree" if kind == "duplicates" else "brute"
    lof = LocalOutlierFactor(n_neighbors=k, metric=metric, algorithm=algorithm, contamination=contamination)
    lof.fit(rows)
    novelty = LocalOutlierFactor(n_neighbors=k, metric=metric, algorithm=algorithm, novelty=True).fit(rows)
    cases.append({
        "seed": seed, "kind": kind, "metric": metric, "n": n, "d": d, "k": k,
        "contamination": None if contamination == "auto" else contamination,
        "boundary": -float(lof.offset_),
        "scores": (-lof.negative_outlier_factor_).tolist(),
        "novelty": (-novelty.score_samples(queries)).tolist(),
    })

streams = []
for seed, d, window, k, metric in ((901, 1, 20, 5, "euclidean"), (902, 3, 40, 10, "euclidean"), (903, 2, 64, 1, "manhattan"),
                                   (904, 2, 30, 29, "chebyshev"), (905, 4, 50, 20, "euclidean")):
    rows = Inputs(seed).rows(200, d, "continuous")
    scores = []
    for t in range(k + 1, len(rows)):
        held = rows[max(0, t - window):t]
        fitted = LocalOutlierFactor(n_neighbors=k, metric=metric, algorithm="brute", novelty=True).fit(held)
        scores.append(-float(fitted.score_samples([rows[t]])[0]))
    streams.append({"seed": seed, "d": d, "window": window, "k": k, "metric": metric, "rows": len(rows), "scores": scores})

json.dump({
    "tool": f"scikit-learn {sklearn.__version__}, numpy {numpy.__version__}",
    "command": "python3 make_lof.py > lof.json", "seed": "in each case", "tolerance": 1e-9,
    "cases": cases, "streams": streams,
}, sys.stdout)
print()
