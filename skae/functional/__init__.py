"""Functions of tensors without state: losses, activations, penalties, divergences, supports, corruptions and noise."""

from .activations import ACTIVATIONS, EPS, SLOPE_FROM_OUTPUT, SLOPES, batch_norm, curvature, slope
from .divergences import bernoulli_divergence, gaussian_divergence
from .embeddings import normal_embedding, squared_mmd_to_normal
from .groups import group_log_softmax, group_max, group_sum
from .kernels import KERNELS, SCALES, effective_number, median_squared_distance, squared_mmd
from .losses import (
    average,
    bernoulli_nll,
    categorical_nll,
    gaussian_nll,
    mean_squared_error,
    poisson_nll,
    squared_error,
    weighted_average,
)
from .noise import aside, common_normal, dropout_mask, latin_hypercube, spawn, standard_normal
from .oppositions import OPPOSITIONS, Opposition
from .parameters import gradient_of, normal_weights, uniform_weights
from .penalties import PENALTIES
from .supports import Support, support_of

__all__ = [
    "ACTIVATIONS",
    "EPS",
    "KERNELS",
    "OPPOSITIONS",
    "PENALTIES",
    "SCALES",
    "SLOPES",
    "SLOPE_FROM_OUTPUT",
    "Opposition",
    "Support",
    "aside",
    "average",
    "batch_norm",
    "bernoulli_divergence",
    "bernoulli_nll",
    "categorical_nll",
    "common_normal",
    "curvature",
    "dropout_mask",
    "effective_number",
    "gaussian_divergence",
    "gaussian_nll",
    "gradient_of",
    "group_log_softmax",
    "group_max",
    "group_sum",
    "latin_hypercube",
    "mean_squared_error",
    "median_squared_distance",
    "normal_embedding",
    "normal_weights",
    "poisson_nll",
    "slope",
    "spawn",
    "squared_error",
    "squared_mmd",
    "squared_mmd_to_normal",
    "standard_normal",
    "support_of",
    "uniform_weights",
    "weighted_average",
]
