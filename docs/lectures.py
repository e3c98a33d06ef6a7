"""The order of the examples in the gallery: within a section, what is needed first comes first."""

from __future__ import annotations

from pathlib import Path

ORDER = {
    "reduce": (
        "pca_and_beyond",
        "code_size",
        "likelihoods",
        "latent_space",
        "neighbor",
        "sparse",
        "topk",
        "contractive",
        "convolutional",
        "receptive_field",
        "vector_quantized",
        "recursive",
        "recursive_classifier",
    ),
    "generate": (
        "denoising",
        "denoising_sampler",
        "vae_bound",
        "vae",
        "conditional_vae",
        "semi_supervised_vae",
        "mixture_vae",
        "adversarial",
        "wasserstein",
        "bigan",
        "sentences",
        "rbm",
        "dbm",
        "multimodal",
    ),
    "detect": ("outliers", "imputer", "table"),
    "pretrain": ("semi_supervised", "fine_tuned", "stacked", "dbn", "dropout"),
    "workflow": ("compare", "watch", "large", "serve"),
}
"""Names of examples by section."""


class Lectures:
    """The place of an example within its section, as sphinx-gallery asks for it.

    Parameters
    ----------
    folder : str
        The section.
    """

    def __init__(self, folder: str) -> None:
        self.names = ORDER.get(Path(folder).name, ())

    def __call__(self, file: str) -> int:
        """The place of a file."""
        return self.names.index(Path(file).stem)
