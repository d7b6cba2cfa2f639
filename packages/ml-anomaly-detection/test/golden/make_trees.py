"""Makes trees.json: python3 make_trees.py > trees.json (River, scikit-learn; the versions go into the header)."""
import json
import sys

import numpy
import river
import sklearn
from inputs import Inputs
from river.anomaly import HalfSpaceTrees
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score


def heap(branch, height):
    """Splits of a River tree in heap order."""
    level, out = [branch], []
    for _ in range(height):
        out += [[node.feature, node.threshold] for node in level]
        level = [child for node in level for child in node.children]
    return out


def unit(x):
    return min(max((x + 2) / 4, 0.0), 1.0)


hst = []
for seed, d, height, window in ((1, 1, 3, 20), (2, 3, 5, 50), (3, 4, 6, 30)):
    model = HalfSpaceTrees(n_trees=4, height=height, window_size=window, seed=seed)
    rows = [[unit(x) for x in row] for row in Inputs(700 + seed).rows(260, d, "continuous")]
    holes = Inputs(800 + seed)
    scores, missing = [], []
    for i, row in enumerate(rows):
        gone = holes.below(d) if d > 1 and holes.below(5) == 0 else -1
        missing.append(gone)
        x = {j: v for j, v in enumerate(row) if j != gone}
        if i == 0:
            x = dict(enumerate(row))  # River draws its trees over the features of the first row
            missing[0] = -1
        scores.append(model.score_one(x))
        model.learn_one(x)
    hst.append({"seed": 700 + seed, "d": d, "height": height, "window": window, "trees": 4, "missing": missing,
                "splits": [heap(tree, height) for tree in model.trees], "scores": scores})

quality = []
for seed, d in ((1, 2), (2, 5), (3, 8)):
    inputs = Inputs(900 + seed)
    rows, labels = [], []
    for i in range(1200):
        far = inputs.below(20) == 0
        centre = 3.0 * inputs.below(2)
        rows.append([inputs.real() * (2.5 if far else 0.6) + (0 if far else centre) for _ in range(d)])
        labels.append(int(far))
    aucs = []
    for state in range(5):
        forest = IsolationForest(random_state=state).fit(rows)
        aucs.append(float(roc_auc_score(labels, -forest.score_samples(rows))))
    streaming = []
    for state in range(5):
        model = HalfSpaceTrees(seed=state)
        low, high = numpy.min(rows[:250], axis=0), numpy.max(rows[:250], axis=0)
        scores = []
        for row in rows:  # the same widened ranges that halfSpaceTrees learns from its first window
            pad = (high - low) / 2
            x = dict(enumerate(((numpy.array(row) - low + pad) / (high - low + 2 * pad)).tolist()))
            scores.append(model.score_one(x))
            model.learn_one(x)
        streaming.append(float(roc_auc_score(labels[250:], scores[250:])))
    quality.append({"seed": 900 + seed, "d": d, "rows": 1200, "labels": "".join(map(str, labels)),
                    "isolationForest": aucs, "halfSpaceTrees": streaming})

json.dump({"tool": f"River {river.__version__}, scikit-learn {sklearn.__version__}", "command": "python3 make_trees.py > trees.json",
           "seed": "in each case", "tolerance": 1e-12, "hst": hst, "quality": quality}, sys.stdout)
print()
