"""What tests of estimators require in common: the same outputs, and a refusal that changes nothing."""

import numpy as np
import pytest


def outputs(model, X):
    """All that a fitted estimator makes of rows, by method; its scores are those of its reconstructions."""
    H = model.transform(X)
    found = {"transform": H}
    if hasattr(model, "inverse_transform"):
        found["inverse_transform"] = model.inverse_transform(H)
    found |= {name: getattr(model, name)(X) for name in ("predict", "predict_proba") if hasattr(model, name)}
    return found


def require_same(one, two, X, other_X=None, **tolerance):
    """Two fitted estimators that make the same of X: to the last bit, or within a tolerance."""
    expected, found = outputs(one, X), outputs(two, X if other_X is None else other_X)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        if tolerance:
            np.testing.assert_allclose(found[name], array, err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(found[name], array, err_msg=name)


def refuses(estimator, method, *args, **kwargs):
    """The sentence with which a method refuses, having changed nothing."""
    before = dict(vars(estimator))
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(estimator, method)(*args, **kwargs)
    after = vars(estimator)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    assert len(str(caught.value).split()) >= 4, f"no sentence: {caught.value}"
    return str(caught.value)


def require_equal(one, two, path=""):
    """The same state of two estimators, to the bit, however deep."""
    assert type(one) is type(two), path
    if hasattr(one, "__getstate__") and hasattr(one, "get_params"):
        one, two = one.__getstate__(), two.__getstate__()
    if isinstance(one, dict):
        assert one.keys() == two.keys(), path
        for key in one:
            require_equal(one[key], two[key], f"{path}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), path
        for k, pair in enumerate(zip(one, two, strict=True)):
            require_equal(*pair, f"{path}[{k}]")
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, two, err_msg=path)
    elif hasattr(one, "__dict__"):
        require_equal(vars(one), vars(two), path)
    else:
        assert one == two or one != one, path
