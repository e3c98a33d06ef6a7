"""Layers of a stack: read from a parameter, pretrained one by one, and unrolled into one network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import get_tags
from torch import Tensor, nn

from ..autoencoders.dense import Autoencoder
from ..base.encoding import widest
from ..base.transformer import TorchTransformer
from ..engine.data import RESIDENT_BYTES, Array, Batch, to_tensor
from ..engine.listeners import in_stage
from ..engine.notices import reworded
from ..functional import squared_error, weighted_average
from ..nn.coder import Coder

__all__ = ["Unrolled", "coder_of", "is_width", "make_layers", "named_layers", "pretrain", "shorten"]

Named = list[tuple[str, Any]]
MOST_EPOCHS = 25
"""Largest number of epochs of a layer that is given by its width."""

# ------------------------------------------------------------------ the parameter ``layers``


def named_layers(layers: Any) -> Named:
    """Pairs of a name and a layer. Layers without a name are layer1, layer2, and so on. Nothing is checked."""
    if not isinstance(layers, (list, tuple)):
        return []
    return [tuple(item) if _is_pair(item) else (f"layer{k}", item) for k, item in enumerate(layers, 1)]


def _is_pair(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[0], str)


def is_width(layer: Any) -> bool:
    """Whether a layer is given only by its width."""
    return isinstance(layer, (int, np.integer)) and not isinstance(layer, bool) and bool(layer > 0)


def make_layers(layers: Sequence[Any], reserved: set[str]) -> Named:
    """Names and new, unfitted estimators of the layers. A width becomes an ``Autoencoder``.

    Parameters
    ----------
    layers : list of int, estimator, or (name, int or estimator)
    reserved : set of str
        Names that no layer may have.

    Returns
    -------
    layers : list of (str, estimator)

    Raises
    ------
    ValueError
        If there is no layer, if two layers share a name, or if a layer cannot be stacked or has invalid parameters.
    """
    named = named_layers(layers)
    if not named:
        raise ValueError("layers is empty: pass at least one width or estimator.")
    _require_names([name for name, _ in named], reserved)
    return [(name, _made(name, layer)) for name, layer in named]


def _require_names(names: list[str], reserved: set[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Two layers are named {name!r}: give each a name of its own.")
        if name in reserved or "__" in name or not name:
            raise ValueError(f"A layer cannot be named {name!r}: use a name without '__' that is not a parameter.")


def _made(name: str, layer: Any) -> Any:
    if is_width(layer):
        return Autoencoder(int(layer), hidden_layer_sizes=(128,))
    _require_stackable(name, layer)
    layer = clone(layer)
    with _telling(name):
        layer._validate_params()
    return layer


def _require_stackable(name: str, layer: Any) -> None:
    if not isinstance(layer, TorchTransformer):
        raise ValueError(
            f"{name} is {layer!r}: a layer is a width of at least 1, an estimator of this package that decodes, "
            "or a pair of a name and one of these."
        )
    if get_tags(layer).target_tags.required:
        raise ValueError(
            f"{name} is a {type(layer).__name__}, which learns from y, but a layer is fitted without y: "
            "use an estimator that needs no y."
        )
    if getattr(layer, "likelihood", None) == "tokens":
        raise ValueError(
            f"{name} has likelihood='tokens', but a stack decodes to numbers: use likelihood='categorical' and one-hot "
            "columns (sklearn's OneHotEncoder), which is the same model if spherical=True."
        )


# ------------------------------------------------------------------ pretraining


def shorten(layers: Any, made: Named, n_samples: int) -> None:
    """Limit the epochs of layers that were given by their widths, because the training of the whole follows."""
    for (_, given), (_, layer) in zip(named_layers(layers), made, strict=True):
        if is_width(given):
            layer.set_params(max_iter=min(MOST_EPOCHS, layer._n_epochs(n_samples)))


def pretrain(named: Named, X: Array, weight: np.ndarray | None, rng: torch.Generator, train: bool) -> None:
    """Fit each layer to the codes of the layer below.

    With ``train=False`` the layers are initialised but not trained.
    """
    below: tuple[str, Any] | None = None
    for name, layer in named:
        if below is not None:
            X = codes_of(below[1], X)
            _take_shape(layer, below[1])
        seed = int(torch.randint(2**31 - 1, (), generator=rng))
        if layer.random_state is None:
            layer.set_params(random_state=seed)
        with in_stage(name), _telling(name, None if below is None else below[0]):
            layer._fit(X, None, weight, train=train)
        below = name, layer


def codes_of(layer: Any, X: Array) -> Tensor:
    """Codes as a tensor. It stays on the layer's device if it is small enough, and is otherwise on the CPU."""
    data, theta = layer._ready_source(X), layer._flat.theta
    stay = len(data) * layer._n_features_out * theta.dtype.itemsize <= RESIDENT_BYTES
    codes: Tensor = layer._collect(layer._encode, data, theta.device if stay else torch.device("cpu"))
    return codes


def _take_shape(layer: Any, below: Any) -> None:
    """Give a layer of images the shape of the maps below it, unless the user has set a shape."""
    shape = getattr(below, "code_shape_", ())
    asked = layer.get_params().get("image_shape", ())
    if len(shape) == 3 and (asked is None or (isinstance(asked, str) and asked == "auto")):
        layer.set_params(image_shape=shape, **({"channel_axis": "first"} if hasattr(layer, "channel_axis") else {}))


@contextmanager
def _telling(name: str, below: str | None = None) -> Iterator[None]:
    """Put the name of a layer in front of its warnings and errors.

    An error of another kind than ``ValueError`` keeps its message, because its class may need more than a message. It
    has the name in a note, where Python has notes.
    """
    with reworded(lambda message: f"{name}: {_about_codes(message, below)}"):
        try:
            yield
        except Exception as error:
            if isinstance(error, ValueError) and type(error).__init__ is ValueError.__init__:
                raise type(error)(f"{name}: {error}") from error
            getattr(error, "add_note", str)(f"This happened in {name}.")
            raise


def _about_codes(message: str, below: str | None) -> str:
    """Reword a warning about X for a layer whose input is the code of the layer below."""
    if below is None or not message.startswith("X has values outside"):
        return message
    complaint, _, _ = message.removeprefix("X").rpartition(": ")
    cure = f"give {below} a code within it, such as that of code_activation='logistic', or use 'gaussian'"
    return f"the code of {below}{complaint}: {cure}."


# ------------------------------------------------------------------ one network


def coder_of(layer: Any) -> Any:
    """The deterministic network of a fitted layer. For a Boltzmann machine it is an autoencoder."""
    with torch.device("cpu"):  # also while the shapes of a stack are checked, on a device without numbers
        return layer.to_autoencoder() if hasattr(layer, "to_autoencoder") else layer


class Stage(nn.Module):
    """One layer of the unrolled network, together with the centring of its input.

    Parameters
    ----------
    layer : fitted estimator
    is_first : bool
        Whether this is the first layer, whose input is centred and scaled already.
    """

    coder: Any
    offset: Tensor | None

    def __init__(self, layer: Any, is_first: bool) -> None:
        super().__init__()
        scales = layer._frame.centred and not is_first
        self.layer = layer
        self.coder = layer._new_module()
        self.scale = float(layer.scale_) if scales else 1.0
        self.register_buffer("offset", to_tensor(layer.mean_).clone() if scales else None)

    def encode(self, x: Tensor) -> Tensor:
        """Code of each row."""
        if self.offset is not None:
            x = (x - self.offset) * (1.0 / self.scale)
        h: Tensor = self.layer._encode(self.coder, Batch(x))
        return h

    def decode(self, h: Tensor) -> Tensor:
        """Mean of the layer's input given its code."""
        x: Tensor = self.layer._decode(self.coder, h, Batch(h))
        return x if self.offset is None else x * self.scale + self.offset

    def loss(self, h: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        """Mean of -log p(x | h) over the rows, or of the squared error if the layer has no likelihood."""
        if isinstance(self.coder, Coder):
            coder: Any = self.coder
            loss: Tensor = coder.likelihood.loss(coder.decode(h), x, weight)
            return loss
        x_hat = self.layer._decode(self.coder, h, Batch(h))
        return weighted_average(squared_error(x_hat, x), weight)


class Unrolled(nn.Module):
    """Fitted layers as one deep network: all encoders, followed by all decoders in reverse order.

    Parameters
    ----------
    layers : list of fitted estimators
        They define the architecture. ``load_layers`` copies their weights.
    """

    stages: Any

    def __init__(self, layers: Sequence[Any]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Stage(coder_of(layer), k == 0) for k, layer in enumerate(layers))

    @property
    def widest(self) -> int:
        """Largest number of values per row in any layer."""
        return max(max(widest(stage.coder), len(stage.layer._frame)) for stage in self.stages)

    def load_layers(self) -> None:
        """Copy the weights of the fitted layers."""
        for stage in self.stages:
            stage.coder.load_state_dict(stage.layer.module_.state_dict())

    def encode(self, x: Tensor) -> Tensor:
        """Code of each row."""
        for stage in self.stages:
            x = stage.encode(x)
        return x

    def decode(self, h: Tensor) -> Tensor:
        """Mean of each row given its code."""
        for stage in reversed(self.stages):
            h = stage.decode(h)
        return h

    def loss(self, x: Tensor, weight: Tensor | None) -> Tensor:
        """Mean of -log p(x | h) over the rows, with the likelihood of the first layer."""
        h = self.encode(x)
        for stage in reversed(self.stages[1:]):
            h = stage.decode(h)
        loss: Tensor = self.stages[0].loss(h, x, weight)
        return loss
