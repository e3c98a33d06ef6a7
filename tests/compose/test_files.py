"""Imputers, detectors and models of tables in files: plain values that make them again, and are checked before."""

import datetime
import decimal
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from files.write import cases, fitted, frame
from sklearn.base import clone
from sklearn.neighbors import KernelDensity

import skae
from skae.base.entries import ENTRIES as MAKERS
from skae.base.entries import told_of
from skae.compose._cells import Sheet
from skae.compose._table_files import TABLE
from skae.engine.packing import pack
from skae.engine.unpacking import DamagedError, unpack
from skae.exceptions import FileError

TYPED = [name for name in cases() if name.startswith(("AutoencoderImputer", "OutlierDetector", "TableAutoencoder"))]
OPTIONAL = "OutlierDetector model", "_near"
"""What only the default has."""


@pytest.fixture(scope="module")
def models():
    found = {name: cases()[name] for name in TYPED}
    return {name: (fitted(model, X, y), X) for name, (model, X, y) in found.items()}


def made(model, X):
    return model.transform(X) if hasattr(model, "transform") else model.score_samples(X)


@pytest.mark.parametrize("name", TYPED)
def test_a_state_holds_plain_values_and_estimators_of_ours(models, name):
    model, X = models[name]
    told = {}

    def tell(value):
        if type(value).__module__.startswith("skae."):
            told[type(value).__name__] = value
            return type(value).__name__.capitalize(), None
        return ("Other", None) if type(value).__module__.startswith("pandas") else None

    pack(model.__getstate__(), tell)
    assert all(hasattr(value, "_saved") for value in told.values())
    np.testing.assert_array_equal(made(pickle.loads(pickle.dumps(model)), X), made(model, X))


@pytest.mark.parametrize("name", TYPED)
def test_what_is_missing_or_of_another_type_is_told(models, name):
    model, _ = models[name]
    state = model.__getstate__()
    needed = [key for key in state if key not in model.get_params() and key[:6] not in ("_skae_", "_forma")]
    needed = [key for key in needed if key not in ("feature_names_in_", "_sklearn_output_config")]
    for key in needed:
        for wrong in (None, len, "text", [], np.zeros(3), 2.5j, ((),), -1):
            if (name, key, wrong is None) == ("OutlierDetector model", "_near", True) or (
                key == "offset_" and type(wrong) is int
            ):
                continue  # what is right
            other = clone(model)
            with pytest.raises(ValueError, match=r"'s file is damaged: .+: fit it again or load another copy\.$"):
                other.__setstate__({**state, key: wrong})
            assert not hasattr(other, "n_features_in_")


@pytest.mark.parametrize("covariance", [np.full((5, 5), 1e-300), -np.eye(5), np.zeros((5, 5))])
def test_a_covariance_must_be_one(models, covariance):
    model, _ = models["AutoencoderImputer"]
    state = model.__getstate__()
    kind, max_iter, (mean, _), *others = state["_filler"]
    for wrong in (covariance, covariance[:4]):
        with pytest.raises(ValueError, match="_filler has "):
            clone(model).__setstate__({**state, "_filler": (kind, max_iter, (mean, wrong), *others)})


ENTRIES = {
    "float": np.arange(40) / 7,
    "float32": np.arange(40, dtype=np.float32),
    "int": np.arange(40) * 3,
    "Int": pd.array(np.arange(40) * 3, dtype="Int32"),
    "bool": np.arange(40) % 3 == 0,
    "boolean": pd.array(np.arange(40) % 3 == 0, dtype="boolean"),
    "moment": pd.date_range("2020-02-20", periods=40),
    "zone": pd.date_range("2020-02-20", periods=40, tz="Europe/Berlin"),
    "span": pd.to_timedelta(np.arange(40), "h"),
    "word": ["a", "b"] * 20,
    "string": pd.array(["a", "b"] * 20, dtype="string"),
    "ordered": pd.Categorical(["low", "high"] * 20, ["low", "high", "never"], ordered=True),
    "numbers": pd.Categorical(np.arange(40) % 3),
    "moments": pd.Categorical(pd.to_datetime(["2020", "2021"] * 20)),
    "zones": pd.Categorical(pd.to_datetime(["2020", "2021"] * 20, utc=True).tz_convert("Asia/Tokyo")),
    "spans": pd.Categorical(pd.to_timedelta([1, 2] * 20, "h")),
    "months": pd.Categorical(pd.PeriodIndex(["2020-01", "2021-02"] * 20, freq="M")),
    "cut": pd.cut(np.arange(40), 3),
    "mixed": [1, "one", 2.5, True] * 10,
    "day": [datetime.date(2020, 1, 1 + i % 20) for i in range(40)],
    "time": [datetime.time(1 + i % 20) for i in range(40)],
    "decimal": [decimal.Decimal(i) / 4 for i in range(40)],
    "utc": [datetime.datetime(2020, 1, 1 + i % 2, tzinfo=datetime.timezone.utc) for i in range(40)],
    "text": [f"word {i % 11}" for i in range(40)],
}


def table(**given):
    inside = skae.Autoencoder(2, max_iter=2, hidden_layer_sizes=(3,), random_state=0)
    return skae.TableAutoencoder(2, estimator=inside, max_categories=3, **given)


def through_file(model, path):
    model.save(path / "m.skae")
    return skae.load(path / "m.skae")


def test_frames_of_pandas_come_back_with_their_dtypes(tmp_path):
    X = pd.DataFrame(ENTRIES)
    X.loc[::7, ["float", "ordered", "cut", "Int"]] = None
    model = table(columns={"text": "text"}).fit(X)
    found = through_file(model, tmp_path)
    H = model.transform(X)
    np.testing.assert_array_equal(found.transform(X), H)
    pd.testing.assert_frame_equal(found.inverse_transform(H), model.inverse_transform(H))
    assert found.columns_ == model.columns_


def test_names_of_several_levels_come_back(tmp_path):
    names = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["u", "v"])
    X = pd.DataFrame(np.random.default_rng(0).random((20, 2)), columns=names)
    model = table().fit(X)
    H = model.transform(X)
    pd.testing.assert_frame_equal(through_file(model, tmp_path).inverse_transform(H), model.inverse_transform(H))


def test_frames_of_polars_come_back_with_their_dtypes(tmp_path):
    X = pl.DataFrame(
        {
            "float": np.arange(40) / 7,
            "int": pl.Series(np.arange(40), dtype=pl.Int16),
            "word": ["a", "b"] * 20,
            "enum": pl.Series(["a", "b"] * 20, dtype=pl.Enum(["a", "b", "c"])),
            "category": pl.Series(["a", "b"] * 20, dtype=pl.Categorical),
            "day": [datetime.date(2020, 1, 1 + i % 20) for i in range(40)],
            "moment": pl.Series([datetime.datetime(2020, 1, 1 + i % 20) for i in range(40)]).dt.replace_time_zone(
                "UTC"
            ),
            "span": pl.Series([datetime.timedelta(i) for i in range(40)], dtype=pl.Duration("ms")),
            "decimal": pl.Series([decimal.Decimal(i) for i in range(40)], dtype=pl.Decimal(10, 2)),
        }
    )
    model = table().fit(X)
    found, H = through_file(model, tmp_path), model.transform(X)
    assert found.inverse_transform(H).equals(model.inverse_transform(H))
    assert found.inverse_transform(H).schema == X.schema


def test_dtypes_without_a_name_are_for_pickles_only(tmp_path):
    X = pl.DataFrame({"list": [[1], [2]] * 10, "int": np.arange(20)})
    told = TABLE["_sheet"].parts(Sheet("polars", X.clear(), ("", "")))
    assert told[1].equals(X.clear())
    assert TABLE["_sheet"].whole(told).template.equals(X.clear())
    with pytest.raises(FileError, match="is a DataFrame, which a file of skae cannot hold"):
        pack(told)


def test_draws_and_explanations_go_on_the_same(tmp_path):
    X = frame()
    inside = skae.VariationalAutoencoder(2, max_iter=2, hidden_layer_sizes=(3,), random_state=0)
    model = skae.TableAutoencoder(2, estimator=inside, columns={"word": "text"}, random_state=3).fit(X)
    pd.testing.assert_frame_equal(through_file(model, tmp_path).sample(9), model.sample(9))
    rows = np.random.default_rng(0).random((30, 4))
    detector = skae.OutlierDetector(random_state=0).fit(rows)
    found = through_file(detector, tmp_path)
    np.testing.assert_array_equal(found.explain(rows[:2]), detector.explain(rows[:2]))
    rows[::3, 1] = np.nan
    imputer = skae.AutoencoderImputer(sample_posterior=True, max_iter=2, random_state=0).fit(rows)
    np.testing.assert_array_equal(through_file(imputer, tmp_path).transform(rows), imputer.transform(rows))


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
@pytest.mark.parametrize("parameters", [{}, {"add_indicator": True}, {"keep_empty_features": True}])
def test_what_an_imputer_knows_comes_back(tmp_path, parameters):
    rows = np.random.default_rng(0).random((9, 4))
    rows[::2, 0], rows[:, 2] = np.nan, np.nan
    X = pd.DataFrame(rows, columns=list("abcd"))
    model = skae.AutoencoderImputer(max_iter=1, random_state=0, missing_values=pd.NA, **parameters).fit(X)
    found = through_file(model, tmp_path)
    np.testing.assert_array_equal(found.transform(X), model.transform(X))
    assert found.get_feature_names_out().tolist() == model.get_feature_names_out().tolist()
    np.testing.assert_array_equal(found.initial_imputer_.statistics_, model.initial_imputer_.statistics_)
    assert (found.trust_, found.shrinkage_, found.estimator_) == (model.trust_, model.shrinkage_, None)
    assert (found.indicator_ is None) == (model.indicator_ is None)
    empty = skae.AutoencoderImputer().fit(np.full((3, 2), np.nan))
    assert through_file(empty, tmp_path).transform(np.full((3, 2), np.nan)).shape == (3, 0)


def test_a_detector_around_another_package_is_pickled():
    rows = np.random.default_rng(0).random((30, 4))
    detector = skae.OutlierDetector(KernelDensity()).fit(rows)
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(again.score_samples(rows), detector.score_samples(rows))


@pytest.mark.parametrize(
    "value",
    [
        *(decimal.Decimal("1.50"), datetime.date(2020, 2, 29), datetime.timedelta(-1, 2, 3), datetime.time(1, 2, 3, 4)),
        *(datetime.datetime(2020, 1, 1, 2, 3), pd.Timestamp(7, unit="ns", tz="Asia/Tokyo"), pd.Timedelta(7, "ns")),
        *(pd.Interval(0.5, 2.5, closed="both"), pd.Period("2020-03", "M"), pd.NA),
    ],
)
def test_entries_come_back(value):
    found = unpack(*pack([value], told_of), MAKERS)[0]
    assert type(found) is type(value)
    assert repr(found) == repr(value)


@pytest.mark.parametrize("kind", ["Day", "Moment", "Time", "Duration", "Decimal", "Timestamp", "Interval", "Period"])
@pytest.mark.parametrize("wrong", ["text", None, [], [1, 2, 3, 4], ["a", "b", "c"], 3])
def test_entries_that_are_none_are_told(kind, wrong):
    with pytest.raises(DamagedError, match="an entry of a table is none"):
        unpack({kind: wrong}, {}, MAKERS)
