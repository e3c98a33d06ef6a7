"""Models from files: those of every version so far, those of strangers, and pipelines around them through skops."""

import json
import math
import pickle
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from files.write import FOLDER, cases, newest, outputs
from mutations import File, mutated, write
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae.engine import container
from skae.exceptions import FileError

ROWS = np.random.default_rng(0).random((30, 5))
CASES = cases()
FILES = sorted(FOLDER.glob("*/*.skae"))
NOW = newest()
"""The newest files. A version in development has files of its own as soon as the format or the estimators change."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.skae"


def quick(**parameters):
    return skae.Autoencoder(2, **{"max_iter": 2, "hidden_layer_sizes": (3,), "random_state": 0, **parameters})


# ------------------------------------------------------------------ files of every version


@pytest.mark.filterwarnings("ignore:This .* was saved by skae")
@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_files_of_every_version_are_loaded(file):
    model = skae.load(file)
    _, X, _ = CASES[file.stem]
    found = outputs(model, X)
    with np.load(file.parent / "numbers.npz") as numbers:
        expected = {name.partition("/")[2]: numbers[name] for name in numbers if name.partition("/")[0] == file.stem}
    assert found.keys() == expected.keys()
    for method, array in expected.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(found[method], array, rtol=1e-3, atol=1e-4, err_msg=method)
        else:
            np.testing.assert_array_equal(found[method], array, err_msg=method)


def test_every_estimator_has_a_file_of_the_newest_version():
    kept = {file.stem.partition(" ")[0] for file in FILES if file.parent == NOW}
    assert kept == {name for name in skae.__all__ if hasattr(getattr(skae, name), "save")}
    assert {file.stem for file in FILES if file.parent == NOW} == CASES.keys()


# ------------------------------------------------------------------ what is saved


def test_an_estimator_that_is_not_fitted(path):
    layers = [("one", quick()), skae.SparseAutoencoder(4), 3]
    model = skae.StackedAutoencoder(layers, n_components=2, random_state=np.random.RandomState(3))
    model.random_state.random_sample(5)
    model.save(path)
    found = skae.load(path)
    assert repr(found.set_params(random_state=0)) == repr(clone(model).set_params(random_state=0))
    assert type(found.layers) is list
    assert type(found.layers[0]) is tuple
    assert type(found.layers[0][1].hidden_layer_sizes) is tuple
    assert skae.load(path).random_state.random_sample() == model.random_state.random_sample()
    with pytest.raises(AttributeError):
        skae.load(path).transform(ROWS)


def test_names_of_columns_history_and_output_are_kept(path):
    frame = pd.DataFrame(ROWS, columns=list("abcde"))
    model = quick().fit(frame).set_output(transform="pandas")
    model.save(path)
    found = skae.load(path)
    assert found.history_ == model.history_
    assert found.feature_names_in_.tolist() == list("abcde")
    pd.testing.assert_frame_equal(found.transform(frame), model.transform(frame))


def test_which_arguments_are_routed_is_kept(path):
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        quick().set_fit_request(sample_weight="w").save(path)
        requests = skae.load(path).get_metadata_routing().fit.requests
        assert requests["sample_weight"] == "w"


def test_a_frozen_encoder_is_kept(path):
    encoder = quick().fit(ROWS)
    model = skae.FineTunedClassifier(FrozenEstimator(encoder), max_iter=2, random_state=0).fit(ROWS, np.arange(30) % 2)
    model.save(path)
    found = skae.load(path)
    assert isinstance(found.encoder, FrozenEstimator)
    np.testing.assert_array_equal(found.encoder.estimator.transform(ROWS), encoder.transform(ROWS))
    np.testing.assert_array_equal(found.predict_proba(ROWS), model.predict_proba(ROWS))


def test_a_file_says_what_made_it_and_others_can_read_its_numbers(path):
    import safetensors

    model = quick().fit(ROWS)
    model.save(path)
    with safetensors.safe_open(path, framework="np") as file:
        told = json.loads(file.metadata()["skae"])
        weight = file.get_tensor("module_/encoder.weight_0")
    np.testing.assert_array_equal(weight, model.module_.state_dict()["encoder.weight_0"])
    assert told["content"]["versions"].keys() == {"python", "numpy", "scipy", "scikit-learn", "torch"}


class Mine(skae.Autoencoder):
    """A user's class, with an attribute of its own."""

    n_components = 2
    hidden_layer_sizes = (3,)
    max_iter = 2
    random_state = 0

    def _conclude(self, data):
        self.more_ = {"a": [np.zeros(3), None], ("b", 1): "text"}


class Autoencoder(Mine):
    """A user's class of the name of one of ours."""


@pytest.mark.parametrize("cls", [Mine, Autoencoder])
def test_classes_of_a_user(path, cls):
    model = cls().fit(ROWS)
    skae.StackedAutoencoder([model, 2]).save(path)
    assert type(skae.load(path, classes=[cls]).layers[0]) is cls
    model.save(path)
    found = skae.load(path, classes=cls)
    np.testing.assert_array_equal(found.transform(ROWS), model.transform(ROWS))
    assert found.more_["b", 1] == "text"
    with pytest.raises(FileError, match=rf"none of this version of skae: pass it, as classes=\[{cls.__name__}\]\."):
        skae.load(path)
    for wrong in (KMeans, len, "Mine"):
        with pytest.raises(TypeError, match="no subclass of an estimator of skae"):
            skae.load(path, classes=[wrong])


def test_what_is_no_part_of_a_model(path):
    inner = skae.Autoencoder(4, callback=print, device="cpu")
    skae.StackedAutoencoder([inner, 2], callback=print, checkpoint=path.with_suffix(".run")).save(path)
    found = skae.load(path)
    assert (found.callback, found.checkpoint, found.layers[0].callback) == (None, None, None)
    assert found.layers[0].device == "cpu"
    with pytest.raises(FileError, match=r"cannot hold corruption=.* because it is code: set corruption to another"):
        skae.DenoisingAutoencoder(corruption=lambda x: x).save(path)
    with pytest.raises(FileError, match=r"KernelDensity, which is of another package: .*trusted=skae\.trusted_types"):
        skae.OutlierDetector(KernelDensity()).save(path)
    with pytest.raises(ValueError, match="max_iter"):
        skae.Autoencoder(max_iter=-1).save(path)


# ------------------------------------------------------------------ other devices, threads and machines


def test_other_threads_load_the_same_weights(path):
    """The weights to the bit; what is computed of them within rounding, because sums are taken in another order."""
    model = skae.Autoencoder(3, hidden_layer_sizes=(40,), max_iter=3, random_state=0).fit(np.tile(ROWS, (1, 20)))
    model.save(path)
    np.save(path.with_suffix(".npy"), np.tile(ROWS, (1, 20)))
    code = """
        import sys, numpy as np, skae, torch
        model = skae.load(sys.argv[1] + ".skae")
        torch.set_num_threads(1 + torch.get_num_threads() % 2)
        np.savez(sys.argv[1], H=model.transform(np.load(sys.argv[1] + ".npy")), theta=model._flat.theta.numpy())
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(path.with_suffix(""))], check=True)
    with np.load(path.with_suffix(".npz")) as there:
        np.testing.assert_array_equal(there["theta"], model._flat.theta.numpy())
        np.testing.assert_allclose(there["H"], model.transform(np.tile(ROWS, (1, 20))), rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------ what is no such file


def complaint(path, **arguments):
    """What is said of a file that cannot be loaded."""
    with pytest.raises(FileError) as caught:
        skae.load(path, **arguments)
    text = str(caught.value)
    assert repr(str(path)) in text
    assert text.endswith(".")
    return text


def test_what_is_no_model(path, tmp_path):
    model = quick().fit(ROWS)
    path.write_bytes(pickle.dumps(model))
    assert "is a pickle" in complaint(path)
    skops.io.dump(model, path)
    assert "is a zip archive, such as skops" in complaint(path)
    path.write_bytes(b"")
    assert "is empty" in complaint(path)
    assert "is no file but a folder" in complaint(tmp_path)
    container.write(path, "checkpoint", None, {})
    assert "is a checkpoint of a fit: pass its path as checkpoint" in complaint(path)
    with pytest.raises(FileNotFoundError):
        skae.load(tmp_path / "none.skae")
    for content in (None, [], {"versions": {}, "model": 3}, {"model": {"Frozen": 3}}):
        container.write(path, "model", content, {})
        complaint(path)


def told_by(model, path):
    model.save(path)
    held = container.read(path, "model")
    return held.content, held.arrays


def test_a_class_is_never_imported(path):
    content, arrays = told_by(quick(), path)
    for name in ("skae.Popen", "os.system", "skae.skae.Autoencoder", "KMeans", "sklearn.cluster.KMeans", "", "skae."):
        content["model"]["Estimator"]["dict"]["class"] = name
        container.write(path, "model", content, arrays)
        complaint(path)


@pytest.mark.parametrize(
    "change", [{"max_iter": -1}, {"solver": "magic"}, {"dtype": 3}, {"more": 1}, {"max_iter": None}]
)
def test_parameters_are_validated(path, change):
    content, arrays = told_by(quick(), path)
    content["model"]["Estimator"]["dict"] |= change
    container.write(path, "model", content, arrays)
    complaint(path)


def test_a_file_of_another_version_warns_or_says_what_to_do(path):
    content, arrays = told_by(quick().fit(ROWS), path)
    state = content["model"]["Estimator"]["dict"]
    state["_skae_version"] = "0.0.9"
    container.write(path, "model", content, arrays)
    with pytest.warns(UserWarning, match=r"saved by skae 0\.0\.9 and is loaded by"):
        skae.load(path)
    state["_format"] = 99
    container.write(path, "model", content, arrays)
    assert "was saved by skae 0.0.9, whose files" in complaint(path)


def test_mutated_files_end_in_a_sentence_or_a_model(tmp_path):
    """benchmarks/mutated_files.py takes 100 000 of them, and watches memory and time."""
    rng, path = np.random.default_rng(7), tmp_path / "m.skae"
    files = {file.stem: File.of(file) for file in FILES if file.parent == NOW}
    names, ends = sorted(files), {"loaded": 0, "refused": 0}
    for i in range(40 * len(names)):
        name = names[i % len(names)]
        made, way = mutated(files[name], rng)
        write(path, made)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                model = skae.load(path)
            except FileError as error:
                ends["refused"] += is_sentence(error)
                continue
            ends["loaded"] += 1
            works(model, CASES[name][1], f"{name}, {way}, file {i}")
    assert sum(ends.values()) == 40 * len(names)
    assert ends["loaded"] > 2 * len(names)


def is_sentence(error):
    return len(str(error).split()) > 4


def works(model, X, where):
    """Use a model of a mutated file. It may refuse the rows, in words."""
    try:
        model.transform(X) if hasattr(model, "transform") else model.predict(X)
    except Exception as error:
        if not (isinstance(error, ValueError) and is_sentence(error)):
            raise AssertionError(where) from error


# ------------------------------------------------------------------ skops


@pytest.mark.parametrize(
    "whole",
    [
        make_pipeline(StandardScaler(), quick(), LogisticRegression()),
        make_pipeline(
            skae.AutoencoderImputer(max_iter=2, random_state=0), quick(), KMeans(2, n_init=1, random_state=0)
        ),
        make_pipeline(skae.StackedAutoencoder([3, 2], max_iter=2, random_state=0), LogisticRegression()),
        GridSearchCV(make_pipeline(quick(), KMeans(2, n_init=1)), {"autoencoder__n_components": [1, 2]}, cv=2),
        ColumnTransformer([("code", skae.RBM(2, max_iter=2, random_state=0), [0, 1, 2])]),
        skae.OutlierDetector(random_state=0),
        skae.OutlierDetector(GaussianMixture(2), random_state=0),
        skae.TableAutoencoder(2, estimator=quick(), random_state=0),
    ],
    ids=lambda whole: type(whole).__name__,
)
def test_what_skops_has_to_trust(whole, path):
    y = np.arange(30) % 2
    fitted = clone(whole).fit(ROWS, y)
    fitted = getattr(fitted, "best_estimator_", fitted)  # skops trusts no search, because of scikit-learn's own scorers
    skops.io.dump(fitted, path)
    assert set(skops.io.get_untrusted_types(file=path)) <= set(skae.trusted_types())
    found = skops.io.load(path, trusted=skae.trusted_types())
    method = next(name for name in ("predict", "transform") if hasattr(fitted, name))
    np.testing.assert_array_equal(getattr(found, method)(ROWS), getattr(fitted, method)(ROWS))


def test_the_files_of_this_version_are_small():
    assert sum(file.stat().st_size for file in NOW.iterdir()) < 1.5e6


@pytest.mark.parametrize("write", [lambda model, path: model.save(path), lambda model, path: pickle.dumps(model)])
def test_an_attribute_that_could_not_be_loaded_is_refused_when_it_is_saved(write, tmp_path):
    model, path = Autoencoder(2), tmp_path / "model.skae"
    model.note = "mine"
    with pytest.raises(FileError, match=r"attribute .note., which no fit sets .*: delete it, or name it note_"):
        write(model, path)
    assert not path.exists()
    del model.note
    model.note_ = "mine"
    write(model, path)


def test_no_file_is_written_that_could_not_be_loaded(tmp_path):
    model, path = quick().fit(ROWS), tmp_path / "model.skae"
    model.save(path)
    before = path.read_bytes()
    with torch.no_grad():
        model.module_.encoder.weight_0[0, 0] = math.nan
    with pytest.raises(FileError, match=r"load would refuse the file: module_ .encoder\.weight_0. has NaN or infinity"):
        model.save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("estimator", "change", "told"),
    [
        (skae.AdversariallyRegularizedAutoencoder(2, max_iter=1), {"n_tokens": None}, "has no whole number n_tokens"),
        (skae.Autoencoder(2, max_iter=1), {"columns": 1.0}, "has columns, which only the mixed likelihood has"),
    ],
)
def test_arguments_that_the_module_itself_does_not_read_are_checked(estimator, change, told):
    state = estimator.fit(np.random.default_rng(0).random((20, 3))).__getstate__()
    with pytest.raises(ValueError, match=told):
        type(estimator)().__setstate__({**state, "_spec": {**state["_spec"], **change}})
