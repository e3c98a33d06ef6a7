"""The choice that a user meant, who wrote the word of another package."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

__all__ = ["suggest"]

ELSEWHERE = {
    "logistic": "sigmoid expit",
    "identity": "linear none",
    "silu": "swish",
    "leaky_relu": "leakyrelu lrelu",
    "relu": "rectifier rectified rectified_linear nrelu",
    "gaussian": "mse mseloss mean_squared_error squared_error normal gauss noise real continuous",
    "bernoulli": "bce bceloss bcewithlogitsloss binary binary_crossentropy binary_cross_entropy",
    "categorical": "categorical_crossentropy cross_entropy crossentropyloss multinomial softmax one_hot onehot",
    "softmax": "categorical multinomial one_hot onehot count counts poisson",
    "poisson": "count counts poissonnllloss",
    "lbfgs": "bfgs l_bfgs_b",
    "cosine": "cosineannealinglr cosine_annealing cosine_decay cosinedecay",
    "one_cycle": "onecyclelr",
    "constant": "fixed",
    "l1": "lasso laplace",
    "l2": "ridge",
    "student_t": "cauchy t",
    "kl": "kl_divergence kullback_leibler",
    "masking": "mask zeros dropout blankout",
    "salt_and_pepper": "salt_pepper impulse",
    "cd": "contrastive_divergence",
    "pcd": "persistent persistent_contrastive_divergence",
    "pt": "tempering parallel_tempering",
    "average": "mean avg",
    "stride": "strided strides",
    "float32": "single half float16 bfloat16 f4",
    "float64": "double float f8",
    "cuda": "gpu nvidia",
    "mps": "metal",
}
"""For each choice, what it is called elsewhere: in scikit-learn, torch, Keras and papers."""


def suggest(given: Any, options: Iterable[str]) -> str | None:
    """Find the option that a value stands for: another spelling, a word of another package, or a slip of the pen.

    Parameters
    ----------
    given : object
        A word, or something with a name, such as ``torch.nn.ReLU`` or ``numpy.float32``.
    options : iterable of str
        The words that are allowed.

    Returns
    -------
    option : str or None
        None if no option is near.
    """
    options = list(options)
    word = _word(given)
    plain = {_word(option).replace("_", ""): option for option in options}
    if word.replace("_", "") in plain:
        return plain[word.replace("_", "")]
    known = next((option for option in options if word in ELSEWHERE.get(option, "").split()), None)
    if known is not None:
        return known
    near = get_close_matches(word, options, n=1, cutoff=0.7)
    return near[0] if near else None


def _word(given: Any) -> str:
    """What a value is called, in small letters, with underscores between words."""
    name = given if isinstance(given, str) else getattr(given, "__name__", None) or str(given)
    return name.strip().lower().removeprefix("torch.").partition("(")[0].replace("-", "_").replace(" ", "_")
