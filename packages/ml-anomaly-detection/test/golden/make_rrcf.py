"""Makes rrcf.json: python3 make_rrcf.py > rrcf.json (rrcf, scikit-learn; the versions go into the header)."""
import json
import random
import sys
from importlib.metadata import version

import numpy
import rrcf
from inputs import Inputs
from sklearn.metrics import roc_auc_score

random.seed(7)
numpy.random.seed(7)


def displacement_of(points, query, draws):
    """Mean collusive displacement of `query`, a member of `points`, drawn from the definition: the path to it in a
    random cut tree of all points. (rrcf's own insert_point is a few per cent off that: 2.53 for 2.97 on the first set.)"""
    total = 0.0
    for _ in range(draws):
        held, most = points, 0.0
        while True:
            low, high = held.min(axis=0), held.max(axis=0)
            sides = high - low
            if sides.sum() == 0:
                break
            at = random.random() * sides.sum()
            j = 0
            while at > sides[j]:
                at -= sides[j]
                j += 1
            below = held[(held[:, j] <= low[j] + at) == (query[j] <= low[j] + at)]
            most = max(most, (len(held) - len(below)) / len(below))
            held = below
        total += most
    return total / draws


displacement = []
for seed, d, last in ((1, 1, 0.0), (2, 2, 4.0), (3, 3, 1.5), (4, 4, 0.5)):
    points = Inputs(600 + seed).rows(40, d, "continuous" if seed != 2 else "lattice") + [[last] * d]
    displacement.append({"seed": 600 + seed, "d": d, "last": last, "kind": "continuous" if seed != 2 else "lattice",
                         "codisp": displacement_of(numpy.array(points), numpy.array(points[-1]), 8000)})

quality = []
for seed, d in ((1, 2), (2, 5), (3, 8)):
    inputs = Inputs(900 + seed)
    rows, labels = [], []
    for i in range(700):
        far = inputs.below(20) == 0
        centre = 3.0 * inputs.below(2)
        rows.append([inputs.real() * (2.5 if far else 0.6) + (0 if far else centre) for _ in range(d)])
        labels.append(int(far))
    trees = [rrcf.RCTree() for _ in range(20)]
    scores = []
    for i, row in enumerate(rows):
        score = 0.0
        for tree in trees:
            if len(tree.leaves) > 128:
                tree.forget_point(i - 129)
            tree.insert_point(row, index=i)
            score += tree.codisp(i)
        scores.append(score / len(trees))
    quality.append({"seed": 900 + seed, "d": d, "rows": 700, "labels": "".join(map(str, labels)), "trees": 20, "window": 128,
                    "auc": float(roc_auc_score(labels[64:], scores[64:]))})

json.dump({"tool": f"rrcf {version('rrcf')}", "command": "python3 make_rrcf.py > rrcf.json", "seed": "7; rows: in each case",
           "tolerance": "displacement 4 %, AUC 0.02", "displacement": displacement, "quality": quality}, sys.stdout)
print()
