"""Scores of reconstructions, of maps and of samples, and statistics of codes, for PCA, pipelines and our estimators.

They are computed in float64, whatever the dtype of X. The scores have the signature of a scorer, so
``GridSearchCV(..., scoring=reconstruction_r2)`` works.
"""

from .codes import CodeStatistics, code_statistics
from .neighbors import continuity, knn_accuracy, neighborhood_preservation, neighbors_kept, trustworthiness
from .reconstruction import neg_reconstruction_mse, reconstruct, reconstruction_r2
from .reconstruction import r2_against as r2_against
from .reconstruction import training_mean as training_mean
from .samples import neg_sample_mmd, squared_mmd

__all__ = [
    "CodeStatistics",
    "code_statistics",
    "continuity",
    "knn_accuracy",
    "neg_reconstruction_mse",
    "neg_sample_mmd",
    "neighborhood_preservation",
    "neighbors_kept",
    "reconstruct",
    "reconstruction_r2",
    "squared_mmd",
    "trustworthiness",
]
