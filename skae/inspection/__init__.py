"""Pictures of fitted estimators, in the style of scikit-learn's Displays.

A display stores arrays. ``plot`` draws them, and ``from_estimator`` computes them first. Displays of codes and of
reconstructions accept any transformer, so PCA can be compared with an autoencoder.
"""

from ..base.derivatives import code_jacobian
from .comparison import ComparisonDisplay
from .filters import FilterDisplay
from .free_energy import FreeEnergyDisplay
from .gibbs import GibbsDisplay
from .jacobian import JacobianDisplay
from .latent_space import LatentSpaceDisplay
from .learning_curve import LearningCurveDisplay
from .manifold import ManifoldDisplay
from .outliers import OutlierDisplay
from .phrases import PhraseDisplay
from .posterior import PosteriorDisplay
from .reconstruction import ReconstructionDisplay
from .samples import SampleDisplay
from .stimuli import optimal_stimulus, top_stimuli
from .traversal import LatentTraversalDisplay
from .trees import TreeDisplay

__all__ = [
    "ComparisonDisplay",
    "FilterDisplay",
    "FreeEnergyDisplay",
    "GibbsDisplay",
    "JacobianDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "LearningCurveDisplay",
    "ManifoldDisplay",
    "OutlierDisplay",
    "PhraseDisplay",
    "PosteriorDisplay",
    "ReconstructionDisplay",
    "SampleDisplay",
    "TreeDisplay",
    "code_jacobian",
    "optimal_stimulus",
    "top_stimuli",
]
