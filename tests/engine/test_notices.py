"""Every warning of the package points at the line that the user wrote, marked here by ``# this line``."""

import _thread
import copy
import linecache
import pickle
import threading
import time
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import RBM, Autoencoder, FineTunedClassifier, SemiSupervisedAutoencoder, StackedAutoencoder
from skae.engine import notices

X = load_iris().data[::5]
Y = np.repeat([-1, 1], 15)
QUICK = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
FALLING = Autoencoder(2, learning_rate="constant", **QUICK)
BERNOULLI = Autoencoder(2, likelihood="bernoulli", **QUICK)


def beyond_the_likelihood():
    BERNOULLI.fit(X)  # this line


def beyond_the_likelihood_of_a_chunk():
    clone(BERNOULLI).partial_fit(X)  # this line


def beyond_the_units():
    RBM(2, visible="bernoulli", max_iter=1).fit(X)  # this line


def beyond_the_likelihood_of_a_layer():
    StackedAutoencoder([2, BERNOULLI], max_iter=1).fit(X)  # this line


def layer_still_falling():
    StackedAutoencoder([FALLING], max_iter=1).fit_transform(X)  # this line


def still_falling():
    FALLING.fit(X)  # this line


def still_falling_in_fit_transform():
    FALLING.fit_transform(X)  # this line


def still_falling_in_a_pipeline():
    make_pipeline(FunctionTransformer(), FALLING).fit(X)  # this line


def still_falling_in_a_search():
    GridSearchCV(FALLING, {"activation": ["tanh"]}, cv=2).fit(X)  # this line


def one_class_or_two():
    SemiSupervisedAutoencoder(2, **QUICK).fit(X, Y)  # this line


def one_class_or_two_above_an_encoder():
    FineTunedClassifier(Autoencoder(2, **QUICK), max_iter=1).fit(X, Y)  # this line


def device_that_is_not_there():
    model = Autoencoder(2, **QUICK).fit(X).set_params(device="cuda:99")
    model.transform(X)  # this line


class Older:
    """Pickled as an estimator of another version."""

    def __reduce__(self):
        state = Autoencoder(2, **QUICK).fit(X).__getstate__()
        return Autoencoder, (), {**state, "_skae_version": "0.0.0"}


def unpickled():
    pickle.loads(pickle.dumps(Older()))  # this line


def unpickled_by_python():
    pickle._loads(pickle.dumps(Older()))  # this line


def copied():
    copy.copy(Older())  # this line


WARNINGS = {
    beyond_the_likelihood: r"values outside \[0, 1\] in row 0, column 0",
    beyond_the_likelihood_of_a_chunk: r"values outside \[0, 1\] in row 0, column 0",
    beyond_the_likelihood_of_a_layer: "layer2: the code of layer1 has values outside",
    beyond_the_units: r"values outside \[0, 1\] in row 0, column 0",
    still_falling: "still falling",
    still_falling_in_fit_transform: "still falling",
    still_falling_in_a_pipeline: "still falling",
    still_falling_in_a_search: "still falling",
    layer_still_falling: "layer1: The loss was still falling",
    one_class_or_two: "y holds only -1 and 1",
    one_class_or_two_above_an_encoder: "y holds only -1 and 1",
    device_that_is_not_there: "Using the CPU",
    unpickled: r"saved by skae 0\.0\.0",
    unpickled_by_python: r"saved by skae 0\.0\.0",
    copied: r"saved by skae 0\.0\.0",
}


def require_this_line(told):
    assert {warning.filename for warning in told} == {__file__}
    for warning in told:
        assert linecache.getline(warning.filename, warning.lineno).endswith("# this line\n")


@pytest.mark.parametrize(("call", "message"), WARNINGS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_warning_points_at_the_users_line(call, message):
    with pytest.warns(UserWarning, match=message) as told:
        call()
    require_this_line(told)


def test_a_warning_of_a_file_points_at_the_line_that_loads_it(tmp_path):
    joblib.dump(Older(), tmp_path / "older.joblib")
    with pytest.warns(UserWarning, match="saved by skae") as told:
        joblib.load(tmp_path / "older.joblib")  # this line
    require_this_line(told)


@pytest.mark.parametrize("package", ["skops", "threadpoolctl", "torch"])
def test_wrappers_of_other_packages_are_passed_over(package):
    wrapper = {"__name__": f"{package}.inner", "warn": notices.warn}
    exec("def call():\n    warn('passed on')", wrapper)
    with pytest.warns(UserWarning, match="passed on") as told:
        wrapper["call"]()  # this line
    require_this_line(told)


def test_a_filter_counts_lines_of_the_user():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            notices.warn("once a place")
        notices.warn("once a place")
    assert [w.lineno - told[0].lineno for w in told] == [0, 1]
    assert {w.category for w in told} == {UserWarning}


def test_messages_are_reworded_from_the_inside_out_and_in_this_thread_alone():
    with (
        warnings.catch_warnings(record=True) as told,
        notices.reworded(lambda message: f"outer: {message}"),
        notices.reworded(str.upper),
    ):
        warnings.simplefilter("always")
        notices.warn("said")
        thread = threading.Thread(target=notices.warn, args=("elsewhere",))
        thread.start()
        thread.join()
        with pytest.raises(ZeroDivisionError), notices.reworded(str.title):
            raise ZeroDivisionError
        notices.warn("said again")
    with pytest.warns(UserWarning, match="^after$"):
        notices.warn("after")
    assert [str(w.message) for w in told] == ["outer: SAID", "elsewhere", "outer: SAID AGAIN"]


def test_a_warning_with_no_user_above_it_is_told_all_the_same():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        _thread.start_new_thread(notices.warn, ("alone", RuntimeWarning))
        end = time.monotonic() + 10
        while not told and time.monotonic() < end:
            time.sleep(0.001)
    assert [(str(w.message), w.category, w.filename) for w in told] == [("alone", RuntimeWarning, notices.__file__)]
