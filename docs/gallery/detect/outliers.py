"""
Outliers, and what makes them strange
=====================================

Which rows of a table are unlike the others, and which of their columns give them away?
:class:`~skae.OutlierDetector` answers both questions, here beside an isolation forest and the local outlier factor.
"""

# %%
# A plane to look at
# ------------------
# Most of these points lie on a curve or in a small cluster. The detectors are fitted to all points, and are not told
# that 25 of them were strewn between the others. They are only told how many there are: ``contamination`` is the share
# of the training rows that shall be called outliers.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler

from skae import OutlierDetector
from skae.inspection import OutlierDisplay

rng = np.random.default_rng(0)
t = rng.uniform(-2, 2, 300)
usual = np.concatenate([np.column_stack([t, t**2 - 2]), rng.normal([0, 1.6], 0.5, (60, 2))])
usual += rng.normal(scale=0.12, size=usual.shape)
strewn = rng.uniform([-2.2, -2.5], [2.2, 2.5], (500, 2))
gap = np.linalg.norm(strewn[:, None] - usual, axis=2).min(axis=1)
strewn = strewn[gap > 0.4][:25]
points, is_strewn = np.concatenate([usual, strewn]), np.arange(len(usual) + 25) >= len(usual)

share = float(is_strewn.mean())
detectors = [
    IsolationForest(contamination=share, random_state=0),
    LocalOutlierFactor(contamination=share, novelty=True),
    OutlierDetector(contamination=share, random_state=0),
]
x, y = np.meshgrid(np.linspace(-2.8, 2.8, 90), np.linspace(-3, 3.2, 90))
grid = np.column_stack([x.ravel(), y.ravel()])
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, detector in zip(axes, detectors, strict=True):
    z = detector.fit(points).decision_function(grid).reshape(x.shape)
    ax.contourf(x, y, z, levels=[z.min(), 0.0, z.max()], colors=["C3", "C0"], alpha=0.25)
    ax.scatter(*points.T, s=5, c=np.where(is_strewn, "C3", "C0"), linewidths=0)
    if isinstance(detector, LocalOutlierFactor):  # one that judges new points cannot judge its own
        detector.set_params(novelty=False)
    found = int((detector.fit_predict(points)[is_strewn] == -1).sum())
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{type(detector).__name__}\nfinds {found} of {len(strewn)}", fontsize=10)
plt.show()

# %%
# The isolation forest cuts the plane along its axes. So it takes the inside of the curve for usual.
# :class:`~skae.OutlierDetector` sees that there is nothing, but its outline is a broad one. The local outlier factor
# compares the distances from a point to its neighbours with those of the neighbours. It follows the points closely, and
# finds the most. In two dimensions, where neighbours are really near, it is hard to beat.
#
# Rows that were mixed up
# -----------------------
# In a table one cannot look. So we spoil a table on purpose, in two ways. "Mixed up" are 25 tumours with a third of
# the columns from another tumour: each value is usual, but the values do not belong together. "Extreme" are a tenth of
# the tumours, in which a third of the columns have values that only 3 % of the tumours exceed.
tumours = load_breast_cancer(as_frame=True).data


def spoil(kind, seed):
    rng = np.random.default_rng(seed)
    table = tumours.copy()
    rows = rng.choice(len(table), 25 if kind == "mixed up" else len(table) // 10, replace=False)
    for row in rows:
        columns = rng.choice(table.shape[1], table.shape[1] // 3, replace=False)
        source = tumours.iloc[rng.integers(len(table))] if kind == "mixed up" else tumours.quantile(0.97)
        table.iloc[row, columns] = source.iloc[columns]
    return table, np.isin(np.arange(len(table)), rows)


# %%
# All detectors are fitted to the spoilt table, and rank its rows. Distances need columns of one scale. The local
# outlier factor gets them from a scaler, and :class:`~skae.OutlierDetector` scales by itself. The area under the ROC
# curve is the chance that a spoilt row is ranked above another one. Average precision asks for more: spoilt rows
# should be the first of all. The table has means over three seeds.
scores = []
for kind in ("mixed up", "extreme"):
    for seed in range(3):
        table, is_spoilt = spoil(kind, seed)
        scaled = StandardScaler().fit_transform(table)
        strangeness = {
            "IsolationForest": -IsolationForest(random_state=seed).fit(table).score_samples(table),
            "LocalOutlierFactor": -LocalOutlierFactor().fit(scaled).negative_outlier_factor_,
            "OutlierDetector": -OutlierDetector(random_state=seed).fit(table).score_samples(table),
        }
        for name, values in strangeness.items():
            areas = roc_auc_score(is_spoilt, values), average_precision_score(is_spoilt, values)
            scores.append((kind, name, *areas))
scores = pd.DataFrame(scores, columns=["rows are", "detector", "ROC AUC", "average precision"])
scores.groupby(["rows are", "detector"]).mean().round(2)

# %%
# Rows that were mixed up are hard to find for all three. The forest, which looks at one column at a time, is little
# better than chance. The local outlier factor and :class:`~skae.OutlierDetector` are close to each other, and much
# better. On rows with extreme values all of them do well. On other tables the order may be another one: the page on
# the model has measurements on eleven sets.
#
# Which columns?
# --------------
# ``explain`` divides the strangeness of a row among its columns. Contributions are Shapley values: they say how much
# each column lowers the score, compared with a row of medians. Here one measurement of size of some tumours was taken
# from another tumour, such as the area without the radius.
rng = np.random.default_rng(1)
table = tumours.copy()
sizes = [name for name in table.columns if name.split()[1] in ("radius", "perimeter", "area") and "error" not in name]
rows = rng.choice(len(table), 20, replace=False)
wrong = rng.choice(sizes, len(rows))
for row, name in zip(rows, wrong, strict=True):
    table.loc[row, name] = tumours.loc[rng.integers(len(table)), name]

detector = OutlierDetector(random_state=0).fit(table)
spoilt = table.loc[rows]
order = np.argsort(detector.score_samples(spoilt))
figure, ax = plt.subplots(figsize=(9, 2.8), layout="constrained")
display = OutlierDisplay.from_estimator(detector, spoilt, n_samples=2, ax=ax)
print("taken from another tumour:", *wrong[order[:2]], sep="\n  ")
plt.show()

# %%
# In the first tumour, the perimeter is much too small for the radius. The columns that contradict it share the blame,
# since none of them is unusual by itself. In the second one, the perimeter stands alone.
#
# The simple way is to look for the column that is farthest from its mean. It cannot see that two columns contradict
# each other. How often does each way put the wrong column first, or among the first three of thirty?
z = np.abs((spoilt - table.mean()) / table.std())
found = {}
for name, parts in (("farthest from the mean", z.to_numpy()), ("explain", detector.explain(spoilt))):
    places = (-parts).argsort(axis=1).argsort(axis=1)[np.arange(len(rows)), [table.columns.get_loc(w) for w in wrong]]
    found[name] = {"first": (places == 0).mean(), "among the first three": (places < 3).mean()}
pd.DataFrame(found).T.round(2)

# %%
# A contribution is not a cause. If area and radius contradict each other, no detector can know which one is wrong.
#
# Pixels
# ------
# Columns may be pixels. Each of these digits has a grey stain of two by two pixels. Red pixels make the row strange,
# and blue ones speak for it. The model does not know what a stain is: it marks the stain where no digit has ink, and
# strokes that are unusual too.
stained = load_digits().data
for k, (top, left) in enumerate([(1, 1), (5, 5), (3, 0), (0, 5), (5, 1), (3, 6)]):
    stained[k].reshape(8, 8)[top : top + 2, left : left + 2] = 8
detector = OutlierDetector(random_state=0).fit(stained)
display = OutlierDisplay.from_estimator(detector, stained[:6], image_shape=(8, 8))
plt.show()
