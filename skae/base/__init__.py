"""Building blocks of new estimators: the template, types of parameters, and the objects that hooks exchange."""

from ..engine.arrays import Arrays
from ..engine.data import Batch, Source, Subset, Table
from ..engine.frame import Frame
from ..engine.optim import Move, Terms
from ..engine.train import backward
from ..functional import Support, average, spawn, standard_normal, support_of, weighted_average
from ..nn.bottleneck import Bottleneck
from .checks import require_positive
from .damage import Saved
from .estimator import Run, TorchEstimator
from .exporting import Exported
from .listening import Epoch
from .params import (
    Fraction,
    NonNegative,
    NonNegativeInt,
    Pair,
    Positive,
    PositiveInt,
    Probability,
    RandomState,
    Sizes,
    Verbosity,
    sizes_of,
)
from .prediction import ClassPrediction, Known, NumberPrediction, Prediction, with_labels_in_every_batch
from .support import warn_outside
from .transformer import Generative, TorchTransformer

__all__ = [
    "Arrays",
    "Batch",
    "Bottleneck",
    "ClassPrediction",
    "Epoch",
    "Exported",
    "Fraction",
    "Frame",
    "Generative",
    "Known",
    "Move",
    "NonNegative",
    "NonNegativeInt",
    "NumberPrediction",
    "Pair",
    "Positive",
    "PositiveInt",
    "Prediction",
    "Probability",
    "RandomState",
    "Run",
    "Saved",
    "Sizes",
    "Source",
    "Subset",
    "Support",
    "Table",
    "Terms",
    "TorchEstimator",
    "TorchTransformer",
    "Verbosity",
    "average",
    "backward",
    "require_positive",
    "sizes_of",
    "spawn",
    "standard_normal",
    "support_of",
    "warn_outside",
    "weighted_average",
    "with_labels_in_every_batch",
]
