"""Rows as the module of a fitted estimator sees them."""

from skae.base import Run


def seen(model, X, y=None, weight=None):
    """A source of X with y and weights, as ``fit`` would go on to learn from it."""
    data = model._learnt(model._source(X, y, weight, reset=False), Run())
    theta = model._flat.theta
    return model._seen(data, theta.dtype, theta.device, resident=True)
