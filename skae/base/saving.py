"""Files of estimators: numpy arrays instead of tensors, and checks of what a file holds before it is used.

A file is not to be trusted. The module is made from the estimator's own class, and every array of the file must have
the shape and the dtype that this module asks for. Nothing in a file can replace what the class defines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._version import __version__
from ..engine.data import name_of, to_tensor
from ..engine.notices import warn
from ..engine.optim import Flat, Optimizer
from ..exceptions import FileError
from . import damage
from .damage import FLOATS, DamageError, fault_of_array, fault_of_numbers, saved_by

__all__ = ["intact", "is_fitted", "learnt", "portable", "readable", "restore", "restore_learnt"]

FORMAT = 3
"""Number of the format of files. Files of another format cannot be loaded."""
ADAM, SGD = {"mean", "square", "step"}, {"velocity"}
MOMENTS: dict[str, set[str]] = {"adam": ADAM, "adamw": ADAM, "sgd": SGD, "lbfgs": set()}
"""What each optimizer keeps from step to step."""
LARGE = 2**16
"""Whole numbers up to which the arguments of a module may be larger than all that is known of it."""
N_WORDS = 624
"""Words in the state of torch's generator for the CPU."""


class ForeignError(Exception):
    """A file of another version."""


# ------------------------------------------------------------------ saving


def portable(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an estimator for a file, with plain values instead of tensors and objects.

    Raises
    ------
    FileError
        In the middle of its first fit, when not all is known that a file holds, or if there is an attribute that no
        file may hold.
    """
    strange = _strange_names(type(estimator), state)
    if strange:
        raise FileError(
            f"This {type(estimator).__name__} has an attribute {strange[0]!r}, which no fit sets and no file may hold: "
            f"delete it, or name it {strange[0].strip('_')}_."
        )
    if not is_fitted(type(estimator), state):
        return state
    described = saved_by(type(estimator))
    if any(saved.required and state.get(name) is None for name, saved in described.items()):
        raise FileError(
            f"This {type(estimator).__name__} is in the middle of its fit, and not all of it is known yet: in a "
            "callback, save or copy epoch.estimator."
        )
    objects = {k: v for k, v in state.items() if k in described and described[k].cls and v is not None}
    return {
        **state,
        **{name: described[name].parts(value) for name, value in objects.items()},
        "_skae_version": __version__,
        "_format": FORMAT,
    }


def is_fitted(cls: type, state: Mapping[str, Any]) -> bool:
    """Whether there is any of the attributes that every fit sets."""
    return any(saved.required and name in state for name, saved in saved_by(cls).items())


def learnt(estimator: Any) -> dict[str, Any]:
    """The weights of an estimator, its optimizer and its random numbers, as numpy arrays."""
    optimizer = estimator._optimizer
    return {
        "module_": {name: _to_numpy(tensor) for name, tensor in _learnt(estimator.module_).items()},
        "_optimizer": (optimizer.rule, {name: _to_numpy(moment) for name, moment in optimizer.moments.items()}),
        "_rng": estimator._rng.get_state().numpy(),
    }


def _learnt(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by their names, but for the buffers that follow from the arguments of the module."""
    saved = module.state_dict().keys()
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: tensor for name, tensor in tensors if name in saved}


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()


# ------------------------------------------------------------------ loading


@contextmanager
def intact(estimator: Any) -> Iterator[None]:
    """Tell whatever is wrong with a file in one sentence, and leave the estimator as it was before."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException as error:
        vars(estimator).clear()
        vars(estimator).update(before)
        if isinstance(error, ForeignError):
            raise ValueError(str(error)) from None
        if isinstance(error, Warning) or not isinstance(error, Exception):
            raise
        what = str(error) if isinstance(error, DamageError) else f"it cannot be read ({type(error).__name__})"
        raise ValueError(
            f"This {type(estimator).__name__}'s file is damaged: {what}: fit it again or load another copy."
        ) from error


def readable(estimator: Any, state: Any) -> dict[str, Any]:
    """The attributes in a file, with a look at their names and at the version that saved them."""
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise DamageError("it holds no attributes by their names")
    state, name = dict(state), type(estimator).__name__
    version, layout = state.pop("_skae_version", __version__), state.pop("_format", None)
    if not (isinstance(version, str) and re.fullmatch(r"[\w.+-]{1,40}", version)):
        raise DamageError("it does not say which version of skae saved it")
    fitted = is_fitted(type(estimator), state)
    if fitted and layout != FORMAT:
        raise ForeignError(
            f"This {name} was saved by skae {version}, whose files skae {__version__} cannot read: "
            "fit it again, or load it with that version."
        )
    if fitted and version != __version__:
        warn(
            f"This {name} was saved by skae {version} and is loaded by {__version__}: "
            "results may differ; fit again if they do."
        )
    if layout is not None and not fitted:
        raise DamageError("what was learnt is missing")
    _require_names(type(estimator), state, version)
    return _with_defaults(type(estimator), state)


def _require_names(cls: Any, state: dict[str, Any], version: str) -> None:
    """Refuse attributes that would replace what the class defines, or that no fit sets."""
    for name in _strange_names(cls, state):
        if version != __version__ and name.isidentifier() and not hasattr(cls, name):
            raise ForeignError(
                f"This {cls.__name__} was saved by skae {version} and has {name[:80]!r}, which it has not in skae "
                f"{__version__}: fit it again, or load it with that version."
            )
        raise DamageError(f"it has an attribute {name!r}, which no fit sets")


def _strange_names(cls: Any, state: Mapping[str, Any]) -> list[str]:
    """Names of attributes that a file may not hold. A fit ends or begins its names with an underscore."""
    known = cls._parameter_constraints.keys() | saved_by(cls).keys()
    fitted = {name for name in state if (name.startswith("_") or name.endswith("_")) and not name.startswith("__")}
    return [name for name in state if name not in known and (name not in fitted or hasattr(cls, name))]


def _with_defaults(cls: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Add parameters that the version of a file did not have. They have their defaults."""
    missing = [name for name in cls._parameter_constraints if name not in state]
    needed = [name for name in missing if not hasattr(cls, name)]
    if needed:
        raise DamageError(f"the parameter {needed[0]} is missing")
    return {**{name: getattr(cls, name) for name in missing}, **state}


def restore(estimator: Any) -> None:
    """Make the objects of a fitted estimator from what a file holds in their place, and check everything before."""
    own = vars(estimator)
    for name, saved in saved_by(type(estimator)).items():
        if saved.cls is not None and own.get(name) is not None:
            own[name] = saved.rebuilt(name, own[name])
        found = saved.wrong(estimator, name)
        if found:
            raise DamageError(f"{name} {found}")


# ------------------------------------------------------------------ the module


def restore_learnt(estimator: Any) -> None:
    """Make the module of an estimator, its optimizer and its generator from the arrays of a file."""
    own = vars(estimator)
    if "module_" not in own:
        raise DamageError("module_ is missing")
    module, rng = _module(estimator, own["module_"]), _generator(own.get("_rng"))
    flat = Flat(module)
    own["_optimizer"] = _optimizer(own.get("_optimizer"), flat)
    own["module_"], own["_flat"], own["_rng"] = module, flat, rng


def _module(estimator: Any, arrays: Any) -> nn.Module:
    """A module with the arrays of a file."""
    if not isinstance(arrays, dict):
        raise DamageError(f"module_ is a {type(arrays).__name__} instead of a dictionary of arrays")
    held = len(estimator._frame) + sum(getattr(array, "size", 0) for array in arrays.values())
    if damage.largest(estimator._spec) > max(held, LARGE):  # modules make lists of so many things
        raise DamageError("_spec describes a larger module than its arrays are for")
    with torch.device("meta"):  # where tensors have shapes and take no memory, however large they are
        _require_shapes(estimator._new_module(), arrays, len(estimator._frame))
    module: nn.Module = estimator._new_module()
    buffers = dict(module.named_buffers())
    for name, tensor in _learnt(module).items():
        array = arrays[name].copy()
        if not np.isfinite(array).all() and not _is_unknown(array, buffers.get(name)):
            raise DamageError(f"module_ {name!r} has NaN or infinity in it")
        tensor.data = to_tensor(array)
    return module.to(next(module.parameters()).dtype)  # for buffers that the file does not hold


def _require_shapes(module: nn.Module, arrays: dict[str, Any], n_features: int) -> None:
    """Require the arrays that a module asks for: of its shapes, and all of one precision."""
    learnt = _learnt(module)
    strange = [name for name in (*learnt, *arrays) if (name in learnt) != (name in arrays)]
    if strange:
        what = "is missing" if strange[0] in learnt else "belongs to no layer"
        raise DamageError(f"module_ {strange[0]!r} {what}")
    dtypes = FLOATS
    for name, tensor in learnt.items():
        own = dtypes if tensor.is_floating_point() else {np.dtype(name_of(tensor.dtype))}
        found = fault_of_array(arrays[name], tuple(tensor.shape), *own)
        if found:
            raise DamageError(f"module_ {name!r} {found}")
        if tensor.is_floating_point():
            dtypes = {arrays[name].dtype.newbyteorder("=")}
    held = n_features + sum(array.size for array in arrays.values())
    if any(buffer.numel() > held for buffer in module.buffers()):
        raise DamageError("_spec describes a larger module than its arrays are for")


def _is_unknown(array: np.ndarray, buffer: Tensor | None) -> bool:
    """Whether an array has NaN only where a new module has NaN too, which stands for what is not known yet."""
    return buffer is not None and bool((np.isfinite(array) | np.isnan(array) & buffer.isnan().numpy()).all())


def _optimizer(kept: Any, flat: Flat) -> Optimizer:
    """An optimizer with the moments in a file, of which there is one for each parameter."""
    if not (isinstance(kept, tuple) and len(kept) == 2 and kept[0] in [*MOMENTS] and isinstance(kept[1], dict)):
        raise DamageError("_optimizer is no pair of a rule and its moments")
    rule, moments = kept
    if moments and moments.keys() != MOMENTS[rule]:
        raise DamageError(f"_optimizer has the moments {sorted(map(str, moments))} instead of {sorted(MOMENTS[rule])}")
    precision = np.dtype(name_of(flat.theta.dtype))
    for name, moment in moments.items():
        shape, dtypes = ((len(flat.groups),), FLOATS) if name == "step" else (tuple(flat.theta.shape), {precision})
        found = fault_of_numbers(moment, shape, *dtypes)
        if found:
            raise DamageError(f"_optimizer {name!r} {found}")
    return Optimizer(rule, moments={name: to_tensor(moment.copy()) for name, moment in moments.items()})


def _generator(order: Any) -> torch.Generator:
    """A random generator that goes on from the order in a file."""
    rng = torch.Generator()
    found = fault_of_array(order, tuple(rng.get_state().shape), np.uint8)
    if found:
        raise DamageError(f"_rng {found}")
    # torch does not see that so many words are left, and would read past the last one.
    left, place = int(order[8:12].view(np.int32)[0]), int(order[16:24].view(np.int64)[0])
    if left + place != N_WORDS + 1 and (left, place) != (1, 0):
        raise DamageError("_rng is no state of a generator")
    rng.set_state(torch.from_numpy(order.copy()))
    return rng
