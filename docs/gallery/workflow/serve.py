"""
From a data frame to a served model
===================================

A frame with gaps and categories, a pipeline with an autoencoder, a search, a held-out score, a file, and a row that is
scored by onnxruntime, without scikit-learn and torch: the whole way on one page.
"""

# %%
# The frame
# ---------
# These are measurements of tumours. To look like a table of everyday life, a tenth of the entries is lost, and one
# column has become a category. A quarter of the rows is put away, and not looked at until the end.
import pathlib
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import pandas as pd
import skl2onnx
import skops.io
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import RocCurveDisplay
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skae
import skae.onnx
from skae import Autoencoder

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
y = y.map({0: "malignant", 1: "benign"})
X.columns = X.columns.str.replace(" ", "_")  # as the inputs of a graph of ONNX are named
X["texture"] = pd.cut(X.pop("mean_texture"), [0, 16, 20, 100], labels=["fine", "usual", "coarse"]).astype(str)
rng = np.random.default_rng(0)
numbers = list(X.columns[:-1])
X[numbers] = X[numbers].mask(rng.random(X[numbers].shape) < 0.1).astype("float32")
train, test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
train.iloc[:5, -4:]

# %%
# The pipeline
# ------------
# Medians stand in for gaps here, because a graph of ONNX has to know how to fill in new rows. Inside of Python,
# :class:`~skae.Autoencoder` takes gaps as they are. The texture becomes columns of 0 and 1. The autoencoder makes a few
# numbers of all columns, and a linear model reads them.
prepare = ColumnTransformer(
    [
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["texture"]),
    ]
)
pipeline = Pipeline(
    [
        ("prepare", prepare),
        ("reduce", Autoencoder(max_iter=20, random_state=0)),
        ("classify", LogisticRegression(max_iter=1000)),
    ]
)

# %%
# The search
# ----------
# How many numbers, and which reducer? The search takes whole steps as candidates, so PCA and no reducer at all compete
# with the autoencoder, by cross-validation within the training rows.
grid = [
    {"reduce": [Autoencoder(max_iter=20, random_state=0), PCA()], "reduce__n_components": [2, 8]},
    {"reduce": ["passthrough"]},
]
search = GridSearchCV(pipeline, grid, cv=3, scoring="roc_auc")
search.fit(train, y_train)

# %%
# The table says how much a reduction costs.
table = pd.DataFrame(search.cv_results_)
table["reducer"] = ["no reducer" if step == "passthrough" else type(step).__name__ for step in table["param_reduce"]]
table["n_components"] = table["param_reduce__n_components"].astype("Int64")
table[["reducer", "n_components", "mean_test_score", "std_test_score"]].round(3)

# %%
# Classes that are nearly linear in the columns, such as these, lose little by any of them, and the differences are
# within the spread of the folds. We take the autoencoder with eight numbers, since it is what this page is about. PCA
# would do as well. Then, once, the held-out rows are scored.
model = pipeline.set_params(reduce__n_components=8).fit(train, y_train)
without = clone(pipeline).set_params(reduce="passthrough").fit(train, y_train)
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for name, fitted in (("8 numbers by Autoencoder", model), ("all columns", without)):
    label = f"{name}, accuracy {fitted.score(test, y_test):.3f}"
    RocCurveDisplay.from_estimator(fitted, test, y_test, pos_label="malignant", name=label, ax=ax)
ax.set(xlabel="benign tumours called malignant", ylabel="malignant tumours found", title="held-out tumours")
ax.set(aspect="auto", xlim=(-0.01, 0.4), ylim=(0.6, 1.01))
ax.legend(loc="lower right", fontsize=8)
plt.show()

# %%
# The file
# --------
# skops writes a pipeline as numbers and names, and runs no code of the file when it is loaded. It asks which types are
# trusted: ``skae.trusted_types()`` lists those of this package, and the imputer of scikit-learn holds a dtype of numpy.
# A single estimator of this package has ``save``, and is loaded by ``skae.load``.
folder = pathlib.Path(tempfile.mkdtemp())
skops.io.dump(model, folder / "tumours.skops")
again = skops.io.load(folder / "tumours.skops", trusted=["numpy.dtype", *skae.trusted_types()])
model["reduce"].save(folder / "reduce.skae")
reduce = skae.load(folder / "reduce.skae")
prepared = model["prepare"].transform(test)
print("the same predictions:", np.array_equal(again.predict(test), model.predict(test)))
print("the same codes:", np.array_equal(reduce.transform(prepared), model["reduce"].transform(prepared)))

# %%
# Without Python
# --------------
# ONNX is a graph of the operations. ``skae.onnx.register`` teaches skl2onnx the estimators of this package, and
# it then writes the whole pipeline, medians and categories included. Each column is an input of its own.
skae.onnx.register()
number, text = FloatTensorType([None, 1]), StringTensorType([None, 1])
types = [(name, text if name == "texture" else number) for name in train]
graph = skl2onnx.to_onnx(model, initial_types=types, options={"zipmap": False})
size = (folder / "tumours.onnx").write_bytes(graph.SerializeToString())
print(f"a graph with {len(types)} inputs, in {size / 1000:.0f} kB")

# %%
# On the server there is onnxruntime, which has no Python in it but for this thin layer. One row comes in.
session = onnxruntime.InferenceSession(folder / "tumours.onnx")
row = test.iloc[[0]]
inputs = {name: row[[name]].to_numpy() for name in row}
labels, probabilities = session.run(None, inputs)
pd.DataFrame(
    {"onnxruntime": probabilities[0], "scikit-learn": model.predict_proba(row)[0]}, index=model.classes_
).round(5)
