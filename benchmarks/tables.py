"""Tables with columns of different kinds: what a code tells of the latent variables, and how real samples look.

    python benchmarks/tables.py [--only codes samples] [--seeds 100 101 102] [--sets NAMES] [--json FILE]

- "codes": tables that are made from two latent variables, linearly or not, with four numbers, three bits, two counts,
  categories of 3 and 5 levels, and a category of 20 levels that is noise. 1000 rows to fit. R2 of the latent variables
  on the code of 1000 held-out rows, by linear regression and by 25 nearest neighbours.
- "samples": bundled tables with some columns cut into categories, bits and whole numbers, and simulated ones. Half of
  the rows are fitted, and the samples are compared with the other half: the mean distance of the marginals
  (Kolmogorov-Smirnov for numbers, total variation for categories), the mean difference of the correlations of two
  columns (of ranks and of indicators), and the area under the ROC of boosted trees that tell real from drawn rows, in
  five folds. 0.5 is perfect. "training rows" stand for a sample that is perfect. The copula has the ranks of numbers,
  uniform places within the share of each category, and the correlation of their normal scores.

Settings were chosen on the tables of "development" and on seeds below 100.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler

from skae import Autoencoder, TableAutoencoder

Figures = dict[str, dict[str, list[float]]]
"""Values over tables and seeds, by model and figure."""

DEVELOPMENT = "iris", "breast cancer", "simulated, 0"
"""Tables on which settings were chosen. The others are judged."""

# ---------------------------------------------------------------- tables


def latent(n: int, seed: int, nonlinear: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """A table that is made from two latent variables, and these."""
    rng = np.random.RandomState(seed)
    z = rng.normal(size=(n, 2))
    f = np.hstack([z, np.sin(2 * z), z[:, :1] * z[:, 1:]]) if nonlinear else z

    def drive(m: int) -> np.ndarray:
        return f @ rng.normal(size=(f.shape[1], m)) / np.sqrt(f.shape[1] / 2)

    columns: dict[str, Any] = {f"number {i}": x for i, x in enumerate((drive(4) + rng.normal(size=(n, 4))).T)}
    columns |= {f"bit {i}": x for i, x in enumerate((rng.rand(n, 3) < 1 / (1 + np.exp(-1.5 * drive(3)))).T)}
    columns |= {f"count {i}": x for i, x in enumerate(rng.poisson(np.exp(np.clip(drive(2) / 2 + 1, -3, 3))).T)}
    for q in (3, 5):
        level = np.argmax(1.5 * drive(q) + rng.gumbel(size=(n, q)), 1)
        columns[f"category of {q}"] = pd.Categorical([f"c{i}" for i in level])
    columns["noise"] = pd.Categorical([f"n{i}" for i in rng.randint(20, size=n)])
    return pd.DataFrame(columns), z


def bundled(load: Callable[..., Any]) -> pd.DataFrame:
    """A bundled table with at most ten columns, some cut into categories, bits and whole numbers, and its target."""
    data = load(as_frame=True)
    frame = data.data.iloc[:, :10].copy()
    names = list(frame)
    cut = frame[names[1]].rank(pct=True)
    frame[names[1]] = pd.Categorical.from_codes((cut * 4).clip(0, 3.99).astype(int), ["low", "mid", "high", "top"])
    frame[names[2]] = frame[names[2]] > frame[names[2]].median()
    spread = frame[names[0]].std()
    frame[names[0]] = (10 * frame[names[0]] / spread).round().astype(int)
    if hasattr(data, "target_names"):
        frame["target"] = pd.Categorical.from_codes(data.target, [str(name) for name in data.target_names])
    else:
        frame["target"] = data.target
    return frame


def simulated(seed: int) -> pd.DataFrame:
    """Three clusters of customers: skewed amounts, ages, plans, regions, a date and a number of visits."""
    rng = np.random.RandomState(seed)
    n = 2000
    group = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    wealth = rng.normal(size=n) + np.array([-0.5, 0.5, 1.5])[group]
    age = (np.array([25, 45, 65])[group] + rng.gamma(2, 4, n)).round().astype(int)
    plan = np.where(rng.rand(n) < 1 / (1 + np.exp(-2 * wealth)), "gold", np.where(rng.rand(n) < 0.6, "basic", "none"))
    region = np.array(list("NESW"))[(group + rng.choice(4, n, p=[0.6, 0.2, 0.1, 0.1])) % 4]
    since = np.datetime64("2015-01-01") + (rng.beta(2, 1 + (wealth > 0.5), n) * 3000).astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "amount": np.exp(1.2 * wealth + 0.5 * rng.normal(size=n)).round(2),
            "balance": np.where(rng.rand(n) < 0.3, 0.0, (1000 * wealth**2 + 100 * rng.normal(size=n)).round(1)),
            "age": age,
            "plan": pd.Categorical(plan),
            "region": region,
            "since": since.astype("datetime64[us]"),
            "visits": rng.poisson(np.exp(0.5 * wealth) * np.where(plan == "gold", 2, 1)),
            "online": rng.rand(n) < 1 / (1 + np.exp((age - 45) / 8)),
        }
    )


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "iris": lambda: bundled(load_iris),
    "breast cancer": lambda: bundled(load_breast_cancer),
    "simulated, 0": lambda: simulated(0),
    "wine": lambda: bundled(load_wine),
    "diabetes": lambda: bundled(load_diabetes),
    "simulated, 100": lambda: simulated(100),
    "two latent variables": lambda: latent(2000, 100, nonlinear=True)[0],
}

# ---------------------------------------------------------------- codes


def encoded(frame: pd.DataFrame) -> np.ndarray:
    """Numbers standardised, counts after log(1 + x), and columns of indicators: what is usual before PCA."""
    x = numbers_of(frame).to_numpy(dtype=float)
    return np.hstack([StandardScaler().fit_transform(x), indicators_of(frame)])


def numbers_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers, counts after log(1 + x)."""
    return pd.DataFrame({c: np.log1p(x) if c.startswith("count") else x for c, x in frame.items() if is_number(x)})


def indicators_of(frame: pd.DataFrame) -> np.ndarray:
    """A column for each level of the other columns."""
    parts = [pd.get_dummies(x).to_numpy(dtype=float) for _, x in frame.items() if not is_number(x)]
    return np.hstack(parts)


def is_number(x: pd.Series) -> bool:
    """Whether a column is of numbers and not of truth values."""
    return pd.api.types.is_numeric_dtype(x) and x.dtype != bool


def factorial(frame: pd.DataFrame) -> np.ndarray:
    """Numbers standardised, and (x - p) / sqrt(p) of indicators: a factor analysis of mixed data."""
    x, p = indicators_of(frame), indicators_of(frame).mean(0)
    return np.hstack([StandardScaler().fit_transform(numbers_of(frame)), (x - p) / np.sqrt(p)])


def skrub_pca() -> Any:
    """PCA after skrub's encoding, if skrub is installed."""
    from skrub import TableVectorizer

    return make_pipeline(TableVectorizer(), StandardScaler(), PCA(2))


class PlainNats(Autoencoder):
    """A mixed autoencoder whose loss is the unweighted negative log-likelihood, numbers with variance 1."""

    def _initialise(self, module: Any, data: Any, rng: Any) -> None:
        super()._initialise(module, data, rng)
        module.likelihood.worth.fill_(1.0)
        for part, where in module.likelihood.parts:
            if type(part).__name__ == "Gaussian":
                module.likelihood.worth[where] = 0.5


def codes(seeds: list[int]) -> dict[str, Figures]:
    """What codes tell of the latent variables."""
    n = 1000

    def of(model: Any) -> Callable[[pd.DataFrame], np.ndarray]:
        return lambda frame: np.asarray(model.fit(frame[:n]).transform(frame))

    def of_matrix(made: Callable[[pd.DataFrame], np.ndarray]) -> Callable[[pd.DataFrame], np.ndarray]:
        return lambda frame: PCA(2).fit(made(frame)[:n]).transform(made(frame))

    def table(estimator: Any, numbers: str = "normal") -> TableAutoencoder:
        return TableAutoencoder(2, estimator=estimator, numbers=numbers, random_state=0)  # type: ignore[arg-type]

    models: dict[str, Callable[[pd.DataFrame], np.ndarray]] = {
        "PCA of standardised numbers and one-hot": of_matrix(encoded),
        "PCA after skrub's TableVectorizer": lambda frame: of(skrub_pca())(frame),
        "factor analysis of mixed data": of_matrix(factorial),
        "Autoencoder, plain nats": of(table(PlainNats())),
        "Autoencoder, mixed": of(table(Autoencoder())),
        "Autoencoder, mixed, random start": of(table(Autoencoder(init="random"))),
        "TableAutoencoder": of(table(None)),
        'TableAutoencoder, numbers="standard"': of(table(None, "standard")),
    }
    found: dict[str, Figures] = {}
    for kind in ("linear", "nonlinear"):
        figures: Figures = {}
        for seed in seeds:
            frame, z = latent(2 * n, seed, kind == "nonlinear")
            for name, encode in models.items():
                start = time.process_time()
                try:
                    code = StandardScaler().fit_transform(encode(frame))
                except ImportError:
                    continue
                seconds = time.process_time() - start
                for how, model in (("linear", LinearRegression()), ("neighbours", KNeighborsRegressor(25))):
                    told = model.fit(code[:n], z[:n]).score(code[n:], z[n:])
                    figures.setdefault(name, {}).setdefault(how, []).append(told)
                figures[name].setdefault("seconds", []).append(seconds)
        found[f"codes, {kind}"] = figures
    return found


# ---------------------------------------------------------------- samples


class Copula:
    """A Gaussian copula with the marginals of the training rows."""

    def fit(self, frame: pd.DataFrame, seed: int) -> Copula:
        """Correlate the normal scores of the rows."""
        rng = np.random.RandomState(seed)
        self.frame = frame
        scores = []
        for _, x in frame.items():
            below = stats.rankdata(self._ordered(x), "min") - 1
            ties = pd.Series(self._ordered(x)).map(pd.Series(self._ordered(x)).value_counts()).to_numpy()
            place = (below + ties * rng.rand(len(x))) / len(x)
            scores.append(stats.norm.ppf(np.clip(place, 1e-4, 1 - 1e-4)))
        self.correlation = np.corrcoef(scores)
        return self

    @staticmethod
    def _ordered(x: pd.Series) -> np.ndarray:
        if is_number(x) or pd.api.types.is_datetime64_any_dtype(x):
            return x.astype("int64" if x.dtype.kind == "M" else float).to_numpy()
        return pd.factorize(x, sort=True)[0]

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """Draw rows."""
        drawn = np.random.RandomState(seed).multivariate_normal(np.zeros(len(self.correlation)), self.correlation, n)
        place = stats.norm.cdf(drawn)
        columns = {}
        for i, (name, x) in enumerate(self.frame.items()):
            order = np.argsort(self._ordered(x), kind="stable")
            columns[name] = x.iloc[order[(place[:, i] * len(x)).astype(int).clip(0, len(x) - 1)]].reset_index(drop=True)
        return pd.DataFrame(columns)


def compared(real: pd.DataFrame, drawn: pd.DataFrame) -> dict[str, float]:
    """Distances of a sample from real rows."""
    marginals = []
    for name, x in real.items():
        if is_number(x) or pd.api.types.is_datetime64_any_dtype(x):
            one, other = (Copula._ordered(y) for y in (x, drawn[name].astype(x.dtype)))
            marginals.append(stats.ks_2samp(one, other).statistic)
        else:
            shares = [y.astype(str).value_counts(normalize=True) for y in (x, drawn[name])]
            marginals.append(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)
    both = pd.concat([real, drawn], ignore_index=True)
    blocks = [_scores(both[name]) for name in real]
    of_column = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
    every = np.hstack(blocks)
    with np.errstate(all="ignore"):
        one, other = (np.nan_to_num(np.corrcoef(part.T)) for part in (every[: len(real)], every[len(real) :]))
    apart = of_column[:, None] != of_column
    tell = make_pipeline(
        make_column_transformer(
            (OrdinalEncoder(), make_column_selector(dtype_exclude=["number", "datetime"])),
            (FunctionTransformer(_numeric), make_column_selector(dtype_include=["number", "datetime"])),
        ),
        HistGradientBoostingClassifier(max_iter=60, random_state=0),
    )
    y = np.arange(len(both)) < len(real)
    order = np.random.RandomState(0).permutation(len(both))
    auc = cross_val_score(tell, both.iloc[order], y[order], scoring="roc_auc", cv=5).mean()
    return {
        "marginals": float(np.mean(marginals)),
        "pairs": float(np.abs(one - other)[apart].mean()),
        "AUC": float(auc),
    }


def _numeric(frame: pd.DataFrame) -> np.ndarray:
    return np.column_stack([Copula._ordered(x) for _, x in frame.items()])


def _scores(x: pd.Series) -> np.ndarray:
    if is_number(x) or pd.api.types.is_datetime64_any_dtype(x):
        return x.rank().to_numpy()[:, None]
    return pd.get_dummies(x.astype(str)).to_numpy(dtype=float)


def samples(seeds: list[int], names: list[str]) -> dict[str, Figures]:
    """How far samples are from held-out rows."""
    models: dict[str, Callable[[pd.DataFrame, int, int], pd.DataFrame]] = {
        "training rows": lambda frame, n, seed: frame,
        "each column by itself": lambda frame, n, seed: _shuffled(frame, seed),
        "Gaussian copula": lambda frame, n, seed: Copula().fit(frame, seed).sample(n, seed),
        "TableAutoencoder": lambda frame, n, seed: TableAutoencoder(random_state=seed).fit(frame).sample(n),
        **CANDIDATES,
    }
    found: dict[str, Figures] = {}
    for name in names:
        figures: Figures = {}
        for seed in seeds:
            frame = TABLES[name]().sample(frac=1, random_state=seed).reset_index(drop=True)
            half = len(frame) // 2
            train, test = frame[:half], frame[half:].reset_index(drop=True)
            for model, draw in models.items():
                start = time.process_time()
                drawn = draw(train, len(test), seed)
                seconds = time.process_time() - start
                for figure, value in {**compared(test, drawn), "seconds": seconds}.items():
                    figures.setdefault(model, {}).setdefault(figure, []).append(value)
        found[f"samples, {name}"] = figures
        print(table_of({f"samples, {name}": figures}), flush=True)
    return found


CANDIDATES: dict[str, Callable[[pd.DataFrame, int, int], pd.DataFrame]] = {
    'TableAutoencoder, numbers="standard"': lambda frame, n, seed: (
        TableAutoencoder(numbers="standard", random_state=seed).fit(frame).sample(n)
    ),
}
"""Other settings, to compare with."""


def _shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.RandomState(seed)
    return pd.DataFrame({c: x.iloc[rng.permutation(len(x))].to_numpy() for c, x in frame.items()}).astype(frame.dtypes)


# ---------------------------------------------------------------- command line


def table_of(found: dict[str, Figures]) -> str:
    """Means as tables."""
    lines = []
    for title, figures in found.items():
        heads = list(next(iter(figures.values())))
        lines += ["", f"| {title} | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads)]
        lines += [
            f"| {m} | {' | '.join(f'{np.mean(v):.3f}' for v in values.values())} |" for m, values in figures.items()
        ]
    return "\n".join(lines)


def main() -> None:
    """Run what the command line asks for."""
    options = argparse.ArgumentParser()
    options.add_argument("--only", nargs="+", default=["codes", "samples"])
    options.add_argument("--seeds", nargs="+", type=int, default=[100, 101, 102])
    options.add_argument("--sets", nargs="+", default=[name for name in TABLES if name not in DEVELOPMENT])
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    found: dict[str, Figures] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "codes" in given.only:
            found |= codes(given.seeds)
            print(table_of(found), flush=True)
        if "samples" in given.only:
            found |= samples(given.seeds, given.sets)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
