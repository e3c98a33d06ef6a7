"""Pure functions from tensors to tensors: losses, activations, penalties, divergences and noise."""

from .activations import ACTIVATIONS, EPS, SLOPE_FROM_OUTPUT, SLOPES, batch_norm, slope
from .divergences import bernoulli_divergence
from .groups import group_log_softmax, group_max, group_sum
from .losses import (
    average,
    bernoulli_nll,
    categorical_nll,
    mean_squared_error,
    poisson_nll,
    squared_error,
    weighted_average,
)
from .noise import dropout_mask, spawn
from .penalties import PENALTIES

__all__ = [
    "ACTIVATIONS",
    "EPS",
    "PENALTIES",
    "SLOPES",
    "SLOPE_FROM_OUTPUT",
    "average",
    "batch_norm",
    "bernoulli_divergence",
    "bernoulli_nll",
    "categorical_nll",
    "dropout_mask",
    "group_log_softmax",
    "group_max",
    "group_sum",
    "mean_squared_error",
    "poisson_nll",
    "slope",
    "spawn",
    "squared_error",
    "weighted_average",
]
