"""TableAutoencoder: frames of both libraries, their dtypes and gaps, and what is told about bad input."""

import datetime
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from skae import RBM, Autoencoder, TableAutoencoder, VariationalAutoencoder
from skae.compose._marginals import NormalScores

N = 200
QUICK = VariationalAutoencoder(3, hidden_layer_sizes=(16,), max_iter=8, variance="column", random_state=0)


def table(seed=0):
    """A column of each dtype, driven by one variable."""
    rng = np.random.RandomState(seed)
    z = rng.normal(size=N)
    gap = lambda values: np.where(rng.rand(N) < 0.1, None, values)  # noqa: E731
    hours = (z * 100).round().astype(int)
    return pd.DataFrame(
        {
            "float": z * 3 + 100,
            "float32": (z**3).astype("float32"),
            "int": (z * 10).astype(int),
            "Int64": pd.array(gap((z * 5).round()), dtype="Int64"),
            "count": rng.poisson(np.exp(z)).astype("uint8"),
            "bit": (z > 0.5).astype(int),
            "bool": z > 0,
            "boolean": pd.array(gap(z > 0.3), dtype="boolean"),
            "category": pd.Categorical(np.where(z > 0, "hi", "lo"), categories=["lo", "hi", "never"], ordered=True),
            "grade": pd.Categorical((z > 0).astype(int) + 3),
            "str": gap(np.where(z > 1, "a", "bb")),
            "object": pd.Series(gap(z > 0), dtype=object),
            "date": pd.Timestamp("2020-01-01") + pd.to_timedelta(hours, unit="D"),
            "zone": pd.Timestamp("2020-01-01", tz="Europe/Rome") + pd.to_timedelta(hours, unit="h"),
            "duration": pd.to_timedelta(hours, unit="h"),
            "day": [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(v * 30)) for v in z],
        }
    )


def in_polars():
    frame = pl.from_pandas(table().drop(columns=["object", "grade"]))
    columns = {"str": pl.Enum(["a", "bb", "never"]), "float32": pl.Decimal(10, 2), "duration": pl.Duration("ms")}
    return frame.with_columns(pl.col("zone").dt.time().alias("time"), *(pl.col(c).cast(t) for c, t in columns.items()))


@pytest.fixture(scope="module")
def frame():
    made = table()
    made.loc[3:8, ["float", "date", "category", "zone", "duration"]] = None
    return made


@pytest.fixture(scope="module")
def model(frame):
    return TableAutoencoder(estimator=QUICK).fit(frame)


# ---------------------------------------------------------------- there and back


def test_the_kinds_follow_from_the_dtypes(model):
    kinds = dict.fromkeys(model.feature_names_in_, "gaussian")
    kinds |= {"count": "poisson", **dict.fromkeys(["bit", "bool", "boolean", "object"], "bernoulli")}
    kinds |= dict.fromkeys(["category", "grade", "str"], "categorical")
    assert model.columns_ == kinds


def test_a_pandas_frame_comes_back_with_its_dtypes(frame, model):
    for rows in (model.inverse_transform(model.transform(frame)), model.sample(N, random_state=0)):
        pd.testing.assert_series_equal(rows.dtypes, frame.dtypes)
        assert not rows.isna().any(axis=None)
        assert set(rows["category"]) <= {"lo", "hi"}
        assert set(map(type, rows["day"])) == {datetime.date}
        assert set(map(type, rows["object"])) == {bool}
        assert (rows["date"] == rows["date"].dt.normalize()).all()  # whole days, as they were
        assert rows["int"].between(frame["int"].min(), frame["int"].max()).all()


def test_a_polars_frame_comes_back_with_its_schema():
    frame = in_polars()
    model = TableAutoencoder(estimator=QUICK).fit(frame)
    for rows in (model.inverse_transform(model.transform(frame)), model.sample(5)):
        assert rows.schema == frame.schema
    assert model.set_output(transform="polars").transform(frame).shape == (N, 3)


def test_both_libraries_give_the_same_code():
    columns = ["float", "int", "Int64", "bool", "category", "str", "date"]
    frame = table()[columns]
    codes = [TableAutoencoder(estimator=QUICK).fit_transform(X) for X in (frame, pl.from_pandas(frame))]
    np.testing.assert_array_equal(*codes)


def test_what_is_restored_is_near_what_was_there(frame, model):
    rows = model.inverse_transform(model.transform(frame))
    for name in ("float", "int", "date", "duration", "zone"):
        known = frame[name].notna()
        ranks = stats.spearmanr(*(x[name][known].astype("int64") for x in (frame, rows)))
        assert ranks.statistic > 0.8, name
    for name in ("bool", "grade", "category"):
        known = frame[name].notna()
        assert (rows[name][known] == frame[name][known]).mean() > 0.85, name


@pytest.mark.parametrize("kind", ["numbers", "objects", "list"])
def test_an_array_is_a_table(kind):
    X = table()[["float", "int"]].to_numpy(dtype=float)
    if kind == "objects":
        X = np.column_stack([X.astype(object), table()["str"].to_numpy(dtype=object)])
    given = X.tolist() if kind == "list" else X
    model = TableAutoencoder(estimator=QUICK).fit(given)
    rows = model.inverse_transform(model.transform(given))
    assert rows.shape == X.shape
    assert rows.dtype == X.dtype
    assert list(model.columns_.values())[:2] == ["gaussian", "gaussian"]


def test_an_array_of_numbers_is_what_the_mixed_likelihood_would_see():
    X = table()[["float", "int"]].to_numpy(dtype=float)
    model = TableAutoencoder(2, estimator=QUICK, numbers="standard").fit(X)
    plain = clone(QUICK).set_params(n_components=2, likelihood="mixed", columns=(("gaussian", 1), ("gaussian", 1)))
    np.testing.assert_array_equal(model.transform(X), plain.fit(X).transform(X))
    np.testing.assert_array_equal(model.score_samples(X), plain.score_samples(X))


def test_kinds_can_be_given(frame):
    model = TableAutoencoder(estimator=QUICK, columns={"int": "categorical", "bit": "gaussian"}).fit(frame)
    assert (model.columns_["int"], model.columns_["bit"]) == ("categorical", "gaussian")
    assert set(model.inverse_transform(model.transform(frame))["int"]) <= set(frame["int"])


# ---------------------------------------------------------------- numbers and categories


def test_normal_scores_are_the_quantiles_of_a_normal_distribution_and_go_back():
    x = np.random.RandomState(0).exponential(size=500)
    scores = NormalScores.of(x, None)
    np.testing.assert_allclose(scores.forward(x), stats.norm.ppf((stats.rankdata(x) - 0.5) / 500))
    np.testing.assert_allclose(scores.backward(scores.forward(x)), x)
    assert scores.forward(np.array([np.nan, 99.0]))[1] == scores.forward(x).max()


def test_normal_scores_keep_the_share_of_a_value_that_is_frequent():
    x = np.r_[np.zeros(300), np.random.RandomState(0).rand(700) + 1]
    drawn = NormalScores.of(x, None).backward(np.random.RandomState(1).normal(size=100_000))
    assert (drawn == 0).mean() == pytest.approx(0.3, abs=0.005)


def test_normal_scores_weigh_rows():
    x, weight = np.array([1.0, 2.0, 5.0, 2.0]), np.array([3, 1, 2, 0])
    one, other = NormalScores.of(x, weight.astype(float)), NormalScores.of(np.repeat(x, weight), None)
    for part, same in zip(one, other, strict=True):
        np.testing.assert_allclose(part, same)


def test_rare_categories_share_a_column_and_come_back_as_one_of_them():
    rng = np.random.RandomState(0)
    words = np.where(rng.rand(N) < 0.6, "often", [f"w{i}" for i in rng.randint(20, size=N)])
    frame = pd.DataFrame({"word": words, "x": rng.normal(size=N)})
    model = TableAutoencoder(2, estimator=QUICK, max_categories=2).fit(frame)
    assert model.encode(frame).shape == (N, 3)
    assert set(model.inverse_transform(model.transform(frame))["word"]) <= set(words)
    drawn = model.sample(2000, random_state=0)["word"].value_counts(normalize=True)
    assert len(drawn) > 15
    assert drawn["often"] == pytest.approx(0.6, abs=0.1)


def test_gaps_of_every_dtype_are_missing_entries(frame, model):
    Z = model.encode(frame)
    empty = frame.isna()[["float", "date", "zone", "duration", "Int64"]]
    assert np.isnan(Z[:, 0]).sum() == empty["float"].sum() == 6
    assert np.isnan(Z).any(1)[3:9].all()
    assert np.isnan(Z[~frame.isna().any(axis=1)]).sum() == 0


def test_a_code_is_learnt_around_gaps():
    rng = np.random.RandomState(0)
    z = rng.normal(size=500)
    frame = pd.DataFrame({f"x{i}": z + 0.3 * rng.normal(size=500) for i in range(4)})
    frame["level"] = np.where(z > 0, "up", "down")
    holey = frame.mask(rng.rand(*frame.shape) < 0.3)[lambda x: x.notna().any(axis=1)]
    model = TableAutoencoder(1, random_state=0).fit(holey)
    assert abs(stats.spearmanr(model.transform(holey)[:, 0], z[holey.index]).statistic) > 0.9
    filled = model.inverse_transform(model.transform(holey))["level"].to_numpy()
    missing = holey["level"].isna().to_numpy()
    assert (filled == frame["level"][holey.index])[missing].mean() > 0.85


# ---------------------------------------------------------------- as an estimator


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "check",
    [
        "check_dataframe_column_names_consistency",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_param_validation",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
    ],
)
def test_checks_of_scikit_learn_that_are_not_yielded(check):
    model = TableAutoencoder(estimator=clone(QUICK).set_params(max_iter=1))
    getattr(estimator_checks, check)("TableAutoencoder", model)


def test_it_stands_alone_in_a_pipeline_and_a_search(frame):
    pipe = make_pipeline(TableAutoencoder(estimator=QUICK))
    search = GridSearchCV(pipe, {"tableautoencoder__n_components": [1, 2]}, cv=2, error_score="raise").fit(frame)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    pd.testing.assert_frame_equal(
        again.inverse_transform(again.transform(frame)),
        search.best_estimator_.inverse_transform(search.best_estimator_.transform(frame)),
    )


def test_the_output_has_the_index_of_the_rows(frame, model):
    shown = frame.set_index(np.arange(N) + 7)
    H = clone(model).set_output(transform="pandas").fit(frame).transform(shown)
    assert list(H.columns) == [f"tableautoencoder{i}" for i in range(3)]
    assert (H.index == shown.index).all()
    assert (model.inverse_transform(H).index == shown.index).all()


def test_only_a_generative_model_samples(frame):
    model = TableAutoencoder(2, estimator=Autoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0)).fit(frame)
    assert not hasattr(model, "sample")
    assert 0 < model.score(frame) < 1
    weight = np.r_[np.ones(10), np.zeros(N - 10)]
    assert model.score(frame, sample_weight=weight) == pytest.approx(model.score(frame[:10]), abs=1e-4)


def test_seeds():
    frame = table()[["float", "str"]]
    models = [TableAutoencoder(2, estimator=QUICK.set_params(random_state=None), random_state=i) for i in (1, 1, 2)]
    drawn = [model.fit(frame).sample(5) for model in models]
    QUICK.set_params(random_state=0)
    pd.testing.assert_frame_equal(drawn[0], drawn[1])
    assert not drawn[0].equals(drawn[2])


# ---------------------------------------------------------------- bad input


def test_an_unknown_category_is_missing_with_one_warning(frame, model):
    odd, gap = (frame.assign(category=frame["category"].astype(object)) for _ in range(2))
    odd.loc[[20, 30], "category"], gap.loc[[20, 30], "category"] = "new", None
    told = "category 'new' in row 20, column 'category', which no training row had: it is taken as missing, like 2 of"
    with pytest.warns(UserWarning, match=told) as found:
        H = model.transform(odd)
    assert len(found) == 1
    np.testing.assert_array_equal(H, model.transform(gap))
    strict = clone(model).set_params(handle_unknown="error").fit(frame)
    with pytest.raises(ValueError, match="'new' in row 20, column 'category', which no training row had: replace it"):
        strict.transform(odd)


def _with(frame, column, row, value):
    made = frame.assign(**{column: frame[column].astype(object)})
    made.loc[row, column] = value
    return made


BAD = {
    "a text among numbers": (lambda f: _with(f, "float", 2, "abc"), "has 'abc' in row 2, column 'float'.*no number"),
    "infinity": (lambda f: _with(f, "float", 2, np.inf), "has inf in row 2, column 'float', which is not finite"),
    "a bit of 2": (lambda f: _with(f, "bit", 4, 2), "has 2 in row 4, column 'bit', which is neither 0 nor 1"),
    "a count below 0": (lambda f: _with(f, "count", 4, -1), "has -1 in row 4, column 'count', which is no count"),
    "numbers for dates": (lambda f: f.assign(date=1.0), "in row 0, column 'date', which is no date"),
    "an empty row": (lambda f: f.mask(np.arange(N)[:, None] == np.full(16, 5)), "missing in row 5 of X: drop"),
    "no rows": (lambda f: f[:0], r"0 sample\(s\)"),
    "a column less": (lambda f: f.drop(columns="int"), "(?s)yet now missing.*- int"),
    "another order": (lambda f: f[f.columns[::-1]], "in the same order"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_rows_that_do_not_fit_are_told(frame, model, change, message):
    odd = change(frame)
    with pytest.raises(ValueError, match=message):
        model.transform(odd)


UNFIT = {
    "an empty column": ({}, lambda f: f.assign(int=np.nan), "Column 'int' of X has no known entry"),
    "lists": ({}, lambda f: f.assign(int=[[1]] * N), "Column 'int' of X holds objects of the type list"),
    "a name twice": ({}, lambda f: pd.concat([f, f[["int"]]], axis=1), "two columns of the name 'int'"),
    "no such column": ({"columns": {"it": "poisson"}}, lambda f: f, "has 'it', but X has no such column: use 'int'"),
    "no such kind": ({"columns": {"int": "poison"}}, lambda f: f, "is no kind: use 'poisson'"),
    "texts as numbers": ({"columns": {"str": "gaussian"}}, lambda f: f, "has 'a+b*' in row ., column 'str'.*no number"),
    "another estimator": ({"estimator": RBM()}, lambda f: f, "has no likelihood='mixed'"),
}


@pytest.mark.parametrize(("options", "change", "message"), UNFIT.values(), ids=UNFIT)
def test_what_cannot_be_fitted_is_told_and_leaves_nothing(options, change, message):
    model = TableAutoencoder(**{"estimator": QUICK, **options})
    with pytest.raises(ValueError, match=message):
        model.fit(change(table()))
    assert not [name for name in vars(model) if name.endswith("_")]


def test_dates_that_were_never_read_are_told():
    """As in a frame from a CSV file."""
    days = pd.date_range("2024-01-01", periods=40)
    frame = pd.DataFrame({"length": np.arange(40.0), "day": days.strftime("%Y-%m-%d")})
    with pytest.warns(UserWarning, match="Column 'day' of X holds dates as text, such as '2024-01-01'") as told:
        TableAutoencoder(1, random_state=0, max_categories=40).fit(frame)
    assert len(told) == 1
    for quiet in ({"day": "categorical"}, {"day": "text"}):
        TableAutoencoder(1, random_state=0, max_categories=40, columns=quiet).fit(frame)
    other = frame.assign(day=frame["day"].where(frame["day"] > "2024-01-01", "unknown"))
    TableAutoencoder(1, random_state=0, max_categories=40).fit(other)


def test_a_column_of_names_is_told():
    frame = pd.DataFrame({"name": [f"n{i}" for i in range(N)], "x": np.arange(N) / 7})
    with pytest.warns(UserWarning, match="Column 'name' of X has 200 different values"):
        TableAutoencoder(1, estimator=QUICK).fit(frame)


def test_texts_become_numbers_by_their_letters_and_come_back_as_texts_that_are_known():
    rng = np.random.RandomState(0)
    z = rng.normal(size=N)
    titles = [f"{'senior engineer' if v > 0 else 'nurse of ward'} {i % 70}" for i, v in enumerate(z)]
    frame = pd.DataFrame({"title": titles, "x": z})
    frame.loc[5, "title"] = None
    model = TableAutoencoder(2, estimator=QUICK, columns={"title": "text"}).fit(frame)
    assert model.columns_ == {"title": "text", "x": "gaussian"}
    assert model.encode(frame).shape == (N, 6)
    assert np.isnan(model.encode(frame)[5, :5]).all()
    restored = model.inverse_transform(model.transform(frame))["title"]
    assert set(restored) <= set(titles)
    assert np.mean([a[:5] == b[:5] for a, b in zip(restored, titles, strict=True)]) > 0.9
    new = frame.assign(title="junior engineer")
    assert (model.inverse_transform(model.transform(new))["title"].str[:6] == "senior").mean() > 0.8
    for bad, told in ((frame.assign(title=1), "no strings"), (frame.assign(title="same"), "no texts to tell apart")):
        with pytest.raises(ValueError, match=told):
            clone(model).fit(bad)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_numbers_of_any_size_are_not_rounded_away(unit):
    x = unit * np.random.RandomState(0).normal(size=(60, 1))
    model = TableAutoencoder(1, estimator=Autoencoder(max_iter=5), random_state=0).fit(pd.DataFrame(x))
    back = model.inverse_transform(model.transform(pd.DataFrame(x))).to_numpy()
    assert np.corrcoef(back[:, 0], x[:, 0])[0, 1] > 0.9


def test_a_list_keeps_its_numbers_beside_its_strings():
    rows = [["a", 2.5], ["b", 4.5], ["a", 6.0]]
    model = TableAutoencoder(1, estimator=Autoencoder(max_iter=1), random_state=0).fit(rows)
    assert model.columns_ == {0: "categorical", 1: "gaussian"}
    assert [type(entry) for entry in model.inverse_transform(model.transform(rows))[0]] == [str, float]


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "score_samples", "score", "encode", "sample"])
def test_what_is_not_fitted_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(TableAutoencoder(), method)(*([] if method == "sample" else [np.ones((2, 2))]))


def test_only_strings_are_advised_to_be_texts():
    moments = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=40)})
    model = TableAutoencoder(1, estimator=Autoencoder(max_iter=1), columns={"when": "categorical"}, max_categories=5)
    with pytest.warns(UserWarning, match=r"leave it out of X, or raise max_categories\.$"):
        model.fit(moments)


@pytest.mark.parametrize(
    ("first", "step"),
    [
        (datetime.timedelta(hours=1), datetime.timedelta(minutes=15)),
        (datetime.time(8), datetime.timedelta(minutes=15)),
    ],
)
def test_times_and_durations_that_are_objects_are_numbers(first, step):
    day = datetime.datetime(1970, 1, 1)
    if isinstance(first, datetime.time):
        entries = [(datetime.datetime.combine(day, first) + i * step).time() for i in range(40)]
    else:
        entries = [first + i * step for i in range(40)]
    frame = pd.DataFrame({"t": pd.Series([*entries, None], dtype=object), "x": np.arange(41.0)})
    model = TableAutoencoder(1, estimator=Autoencoder(max_iter=20), random_state=0).fit(frame)
    assert model.columns_["t"] == "gaussian"
    back = model.inverse_transform(model.transform(frame))["t"]
    assert {type(entry) for entry in back} == {type(first)}
    assert back[0] < back[20] < back[39]


@pytest.mark.parametrize(
    ("made", "use"),
    [
        (lambda frame: pl.from_pandas(frame).lazy(), "X.collect()"),
        (lambda frame: frame.to_dict("list"), "pandas.DataFrame(X)"),
        (lambda frame: "rows.parquet", "what it holds, such as pandas.read_parquet(X)"),
        (lambda frame: pl.from_pandas(frame).to_arrow(), "X.to_pandas()"),
    ],
)
def test_other_tables_are_refused_with_what_to_pass(made, use):
    if use == "X.to_pandas()":
        pytest.importorskip("pyarrow")
    X = made(pd.DataFrame({"x": [1.0, 2.0, 3.0], "s": ["a", "b", "a"]}))
    with pytest.raises(TypeError, match=re.escape(f"pass {use}.")):
        TableAutoencoder(1).fit(X)


def test_names_are_checked_before_it_is_trained(monkeypatch):
    monkeypatch.setattr(VariationalAutoencoder, "fit", None)
    with pytest.raises(TypeError, match="string names"):
        TableAutoencoder(1).fit(pd.DataFrame({0: [1.0, 2.0], "a": [1.0, 2.0]}))


def test_rounded_numbers_are_those_of_the_table():
    frame = pd.DataFrame({"price": np.arange(-30, 30) / 10, "rate": np.arange(60) / 1000})
    model = TableAutoencoder(1, estimator=Autoencoder(max_iter=5), random_state=0).fit(frame)
    back = model.inverse_transform(model.transform(frame))
    assert all(back[name].isin(frame[name]).all() for name in frame)
    assert not np.signbit(back["price"][back["price"] == 0]).any()
