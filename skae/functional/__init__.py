"""Functions of tensors without state: losses, activations, penalties, divergences, supports, corruptions and noise."""

from .activations import ACTIVATIONS, EPS, SLOPE_FROM_OUTPUT, SLOPES, batch_norm, curvature, slope
from .divergences import bernoulli_divergence, gaussian_divergence
from .embeddings import normal_embedding, squared_mmd_to_normal
from .groups import group_log_softmax, group_max, group_sum
from .kernels import KERNELS, SCALES, effective_number, median_squared_distance, squared_distances, squared_mmd
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
from .neighbors import (
    NEIGHBOR_LOSSES,
    density_correlation,
    info_nce,
    pacmap,
    pull_back_distances,
    umap_cross_entropy,
)
from .noise import aside, common_normal, dropout_mask, latin_hypercube, spawn, standard_normal
from .oppositions import OPPOSITIONS, Opposition
from .parameters import gradient_of, normal_weights, uniform_weights
from .penalties import PENALTIES
from .supports import Support, Supports, support_of, support_of_columns

__all__ = [
    "ACTIVATIONS",
    "EPS",
    "KERNELS",
    "NEIGHBOR_LOSSES",
    "OPPOSITIONS",
    "PENALTIES",
    "SCALES",
    "SLOPES",
    "SLOPE_FROM_OUTPUT",
    "Opposition",
    "Support",
    "Supports",
    "aside",
    "average",
    "batch_norm",
    "bernoulli_divergence",
    "bernoulli_nll",
    "categorical_nll",
    "common_normal",
    "curvature",
    "density_correlation",
    "dropout_mask",
    "effective_number",
    "gaussian_divergence",
    "gaussian_nll",
    "gradient_of",
    "group_log_softmax",
    "group_max",
    "group_sum",
    "info_nce",
    "latin_hypercube",
    "mean_squared_error",
    "median_squared_distance",
    "normal_embedding",
    "normal_weights",
    "pacmap",
    "poisson_nll",
    "pull_back_distances",
    "slope",
    "spawn",
    "squared_distances",
    "squared_error",
    "squared_mmd",
    "squared_mmd_to_normal",
    "standard_normal",
    "support_of",
    "support_of_columns",
    "umap_cross_entropy",
    "uniform_weights",
    "weighted_average",
]
