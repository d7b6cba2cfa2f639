"""Makes limits.json: python3 make_limits.py > limits.json (scipy, numpy; the versions go into the header)."""
import json
import sys

import numpy
import scipy
from inputs import Inputs
from scipy import stats

F = [(tail, d1, d2, float(stats.f.isf(tail, d1, d2)))
     for tail in (0.5, 0.1, 0.03, 0.01, 1e-4) for d1 in (1, 3, 8, 40) for d2 in (0.5, 1, 3.67, 12, 200, 5000)]
CHI = [(tail, df, float(stats.chi2.isf(tail, df))) for tail in (0.9, 0.5, 0.05, 0.01, 1e-6) for df in (0.7, 1, 4, 9, 60)]
CHI_TAIL = [(x, df, float(stats.chi2.sf(x, df))) for x in (0.01, 1, 7.5, 30, 90) for df in (1, 4, 9, 60)]
NORMAL = [(z, float(-stats.norm.logsf(z) / numpy.log(10))) for z in (-6, -2, -0.3, 0, 0.5, 1, 2, 3.7, 5.9, 6.1, 9, 30)]
KS = []  # two-sample Kolmogorov-Smirnov as scipy.stats.ks_2samp
for seed in range(1, 25):
    inputs = Inputs(seed)
    n = m = 10 + inputs.below(40)
    kind = "lattice" if seed % 3 == 0 else "continuous"
    a = [row[0] for row in inputs.rows(n, 1, kind)]
    b = [row[0] + (seed % 4) * 0.3 for row in inputs.rows(m, 1, kind)]
    r = stats.ks_2samp(a, b, method="exact")
    KS.append({"seed": seed, "n": n, "m": m, "kind": kind, "statistic": float(r.statistic), "p": float(r.pvalue)})

PARETO = []  # maximum-likelihood fits of the generalised Pareto distribution: the log-likelihood reached
for seed, shape in ((1, -0.3), (2, 0.0), (3, 0.2), (4, 0.6), (5, 0.0), (6, 0.35)):
    inputs = Inputs(500 + seed)
    u = [(1 + inputs.below(9998)) / 10000 for _ in range(150)]
    y = [3 * (-numpy.log(v) if shape == 0 else (v ** -shape - 1) / shape) for v in u]
    c, loc, scale = stats.genpareto.fit(y, floc=0)
    PARETO.append({"seed": 500 + seed, "shape": shape, "excesses": [float(v) for v in y], "fittedShape": float(c),
                   "fittedScale": float(scale), "logLikelihood": float(stats.genpareto.logpdf(y, c, 0, scale).sum())})

T2 = []
for seed in range(31, 37):
    inputs = Inputs(seed)
    d = 1 + seed % 5
    rows = numpy.array(inputs.rows(120, d, "continuous"))
    if d > 2:
        rows[:, 2] = rows[:, 0] + 0.1 * rows[:, 1]  # nearly redundant
        rows[:, 2] += 0.05 * numpy.array([inputs.real() for _ in range(120)])
    train, queries = rows[:110], rows[110:]
    mean, cov = train.mean(axis=0), numpy.atleast_2d(numpy.cov(train.T, bias=True))
    gaps = queries - mean
    t2 = numpy.einsum("ij,ij->i", gaps, numpy.linalg.solve(cov, gaps.T).T)
    n = 110
    limit = d * (n + 1) * (n - 1) / (n * (n - d)) * stats.f.isf(0.03, d, n - d)
    sd = numpy.sqrt(numpy.diag(cov))
    values, vectors = numpy.linalg.eigh(cov / numpy.outer(sd, sd))
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = int(numpy.searchsorted(numpy.cumsum(values), 0.9 * d - 1e-12) + 1)
    along = (gaps / sd) @ vectors
    T2.append({"seed": seed, "d": d, "rows": rows.tolist(), "train": 110, "t2": t2.tolist(), "limit": float(limit),
               "kept": kept, "pcaT2": (along[:, :kept] ** 2 / values[:kept]).sum(axis=1).tolist(),
               "pcaQ": (along[:, kept:] ** 2).sum(axis=1).tolist()})

json.dump({"tool": f"scipy {scipy.__version__}, numpy {numpy.__version__}", "command": "python3 make_limits.py > limits.json",
           "seed": "in each case", "tolerance": 1e-8, "f": F, "chi": CHI, "chiTail": CHI_TAIL, "normal": NORMAL, "ks": KS, "pareto": PARETO, "t2": T2},
          sys.stdout)
print()
