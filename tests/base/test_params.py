"""Typed fields become constraints, documentation and a constructor."""

import inspect
import re
from collections.abc import Callable
from dataclasses import field
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Literal, Optional, Union

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

from skae import RBM, Autoencoder, FineTunedClassifier
from skae.base.params import Fraction, NonNegative, PositiveInt, Probability, constraints, inherit_methods
from skae.base.transformer import TorchTransformer

X = np.random.default_rng(0).random((12, 4))
NAMES = list(inspect.signature(Autoencoder).parameters)


class Sparse(Autoencoder):
    """Few units at a time.

    A paragraph more.

    Parameters
    ----------
    sparsity : float, default=0.5
        Weight of the penalty.

        Of two paragraphs.
    penalty : {"l1", "kl"}, default="l1"
        Its kind : a colon in the text is no parameter.

    Notes
    -----
    Sparse notes.
    """

    sparsity: NonNegative = 0.5
    penalty: Literal["l1", "kl"] = "l1"


class Noisy(Autoencoder):
    """Noise on the input.

    Notes
    -----
    Noisy notes.

    Parameters
    ----------
    noise : float, default=0.1
        Its standard deviation.
    dropout : float, default=0.2
        Said anew.
    """

    noise: NonNegative = 0.1
    dropout: Probability = 0.2


class Both(Sparse, Noisy):
    pass


class Deep(Both):
    """No parameters of its own.

    References
    ----------
    Somebody (2001).
    """


class Grouped(Autoencoder):
    """Two parameters in one entry.

    Parameters
    ----------
    low, high : float, default=0.0
        Ends of a range.
    """

    low: NonNegative = 0.0
    high: NonNegative = 0.0


OWN = {Autoencoder: [], Sparse: ["sparsity", "penalty"], Noisy: ["noise"], Grouped: ["low", "high"]}
OWN[Both] = OWN[Deep] = ["noise", "sparsity", "penalty"]
every_class = pytest.mark.parametrize("cls", OWN)


# ---------------------------------------------------------------- constraints


def told(found):
    """Constraints as text: intervals and options have no equality of their own."""
    return [str(c) if isinstance(c, Interval | StrOptions) else c for c in found]


INTERVAL = Interval(Real, 0, 1, closed="neither")
ONE_UP = Interval(Integral, 1, None, closed="left")


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (bool, ["boolean"]),
        (str, [str]),
        (int, [int]),
        (dict, [dict]),
        (Literal["a", "b"], [StrOptions({"a", "b"})]),
        (Fraction, [INTERVAL]),
        (Annotated[float, INTERVAL, "array-like"], [INTERVAL, "array-like"]),
        (Fraction | None, [INTERVAL, None]),
        (Optional[Fraction], [INTERVAL, None]),  # noqa: UP045
        (Union[PositiveInt, Literal["auto"]], [ONE_UP, StrOptions({"auto"})]),  # noqa: UP007
        (PositiveInt | Literal["auto"] | bool | None, [ONE_UP, StrOptions({"auto"}), "boolean", None]),
        (Callable[[int], int], [callable]),
    ],
    ids=[
        "bool",
        "str",
        "int",
        "dict",
        "literal",
        "alias",
        "annotated",
        "pipe",
        "optional",
        "union",
        "several",
        "callable",
    ],
)
def test_an_annotation_says_what_a_parameter_may_be(hint, expected):
    class Estimator(TorchTransformer):
        """An estimator."""

        thing: hint = None

    assert told(Estimator._parameter_constraints["thing"]) == told(expected)
    assert told(constraints(Estimator)["n_components"]) == told([ONE_UP])


@pytest.mark.parametrize("hint", [list[int], tuple[int, ...], dict[str, int], Any, 3.0], ids=str)
def test_an_annotation_that_cannot_be_checked_is_refused(hint):
    with pytest.raises(TypeError, match="is not a type of parameter"):

        class Estimator(TorchTransformer):
            """An estimator."""

            thing: hint = None


def test_class_variables_are_no_parameters():
    class Estimator(TorchTransformer):
        """An estimator."""

        constant: ClassVar[int] = 3

    assert "constant" not in Estimator._parameter_constraints
    assert "constant" not in Estimator().get_params()


@every_class
def test_every_parameter_has_constraints_and_a_default_that_meets_them(cls):
    assert list(cls._parameter_constraints) == list(inspect.signature(cls).parameters)
    cls()._validate_params()


OUTSIDE = {
    "n_components": [0, 1.5, -2, "two"],
    "solver": ["newton"],
    "learning_rate_init": [0, -1e-3, "high"],
    "learning_rate": ["linear"],
    "momentum": [1.0, -0.1],
    "weight_decay": [-1e-9],
    "max_grad_norm": [0.0],
    "batch_size": [0, "all", 2.5],
    "max_iter": [0, 1.5],
    "tol": [-1e-9],
    "n_iter_no_change": [0],
    "early_stopping": ["yes"],
    "validation_fraction": [0.0, 1.0],
    "random_state": [-1, "seed"],
    "verbose": [-1],
    "dtype": ["float16", np.float32],
    "hidden_layer_sizes": [-1, "wide"],
    "activation": ["sigmoid", None],
    "code_activation": ["softmax"],
    "dropout": [1.0, -0.1],
    "likelihood": ["cauchy"],
    "categories": [0, "all"],
    "init": ["ica"],
}


@pytest.mark.parametrize("name", NAMES)
def test_an_invalid_value_is_told_with_the_name_of_its_parameter(name):
    for value in [object(), *OUTSIDE.get(name, [])]:
        with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of Autoencoder must be"):
            Autoencoder(**{name: value}).fit(X)


@pytest.mark.parametrize("name", OWN[Both])
def test_a_subclass_validates_what_it_adds(name):
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of Both must be"):
        Both(**{name: -1}).fit(X)


# ---------------------------------------------------------------- constructor


@every_class
def test_only_n_components_is_positional(cls):
    first, *others = inspect.signature(cls).parameters.values()
    assert first.name == "n_components"
    assert first.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in others)
    assert cls(7).n_components == 7
    with pytest.raises(TypeError, match="positional"):
        cls(7, 8)


@every_class
def test_the_constructor_stores_what_it_is_given_and_nothing_else(cls):
    given = {name: object() for name in inspect.signature(cls).parameters}
    assert vars(cls(**given)) == given
    assert vars(cls()) == cls().get_params()


@every_class
def test_parameters_survive_clone_set_params_and_repr(cls):
    estimator = cls(3, hidden_layer_sizes=(4, 2), max_grad_norm=1.5)
    twin = clone(estimator)
    assert twin is not estimator
    assert twin.get_params() == estimator.get_params()
    assert twin.set_params(**dict.fromkeys(twin.get_params())) is twin
    assert set(twin.get_params().values()) == {None}
    with pytest.raises(ValueError, match="Invalid parameter 'bogus'"):
        twin.set_params(bogus=1)
    assert eval(repr(estimator), {cls.__name__: cls}).get_params() == estimator.get_params()


def test_repr_tells_what_differs_from_the_defaults():
    assert repr(Both(dropout=0.2, sparsity=0.25)) == "Both(sparsity=0.25)"


def test_bases_are_combined_with_their_defaults_and_in_order():
    assert list(inspect.signature(Both).parameters) == [*NAMES, *OWN[Both]]
    assert Both().dropout == 0.2
    assert Autoencoder().dropout == 0.0


def test_a_subclass_can_change_a_default_and_keep_n_components_first():
    class Wide(Autoencoder):
        """Many components."""

        n_components: PositiveInt = field(default=64, kw_only=False)
        max_iter: PositiveInt = 7

    assert list(inspect.signature(Wide).parameters) == NAMES
    assert (Wide().n_components, Wide(5).n_components, Wide().max_iter) == (64, 5, 7)


# ---------------------------------------------------------------- documentation


def documented(cls):
    """Names of the entries in the section "Parameters", as a reader finds them."""
    section = re.search(r"\nParameters\n-+\n(.*?)(?=\n\n[A-Z][^\n]+\n-+\n|\Z)", inspect.getdoc(cls), re.DOTALL)[1]
    heads = re.findall(r"^(\w[\w, ]*) : ", section, re.MULTILINE)
    return [name.strip() for head in heads for name in head.split(",")]


@every_class
def test_help_names_every_parameter_once_and_in_order(cls):
    assert inspect.getdoc(cls).count("\nParameters\n---") == 1
    assert documented(cls) == list(inspect.signature(cls).parameters)


def test_help_keeps_the_rest_of_a_docstring_and_the_nearest_words_win():
    doc = inspect.getdoc(Sparse)
    assert doc.startswith("Few units at a time.\n\nA paragraph more.\n\nParameters\n")
    assert "Weight of the penalty.\n\n    Of two paragraphs.\npenalty :" in doc
    assert doc.endswith("\n\nNotes\n-----\nSparse notes.")
    assert "Said anew." in inspect.getdoc(Noisy)
    assert "Noisy notes.\n\nParameters\n" in inspect.getdoc(Noisy)
    assert "Probability with which a hidden unit" not in inspect.getdoc(Noisy)
    assert inspect.getdoc(Deep).endswith("\n\nReferences\n----------\nSomebody (2001).")


def test_help_says_nothing_of_a_solver_or_a_method_that_a_class_does_not_have():
    said = {cls: inspect.getdoc(cls) for cls in (Autoencoder, RBM, FineTunedClassifier)}
    assert ["lbfgs" in doc for doc in said.values()] == [True, False, True]
    assert ["partial_fit" in doc for doc in said.values()] == [True, True, False]


def test_help_of_a_class_without_words_names_its_bases():
    doc = inspect.getdoc(Both)
    assert doc.startswith("Sparse and Noisy in one.\n\nParameters\n")
    assert "Said anew." in doc


@every_class
def test_defaults_in_the_documentation_are_those_of_the_constructor(cls):
    section = inspect.getdoc(cls)
    for name, parameter in inspect.signature(cls).parameters.items():
        default = re.search(rf"^{name} : .*?default=(.*?)$", section.replace("\\\n", " "), re.MULTILINE | re.DOTALL)
        if default is not None:  # a joint entry has another head
            assert eval(default[1]) == parameter.default, name


@pytest.mark.parametrize("stored", [lambda doc: doc, inspect.cleandoc], ids=["before Python 3.13", "since then"])
def test_an_inherited_method_says_what_its_argument_is_here(stored):
    class Parent:
        def fit(self, X, y=None):
            pass

        fit.__doc__ = stored(
            """Fit.

        Parameters
        ----------
        X : array
        y : Ignored
            Of no use.

        Returns
        -------
        self : Parent
        """
        )

    class Child(Parent):
        pass

    inherit_methods(Child, "y", {"fit": "y : array\n    Labels."})
    expected = "Fit.\n\nParameters\n----------\nX : array\ny : array\n    Labels.\n\nReturns\n-------\nself : Parent"
    assert inspect.getdoc(Child.fit) == expected
    assert "Of no use." in Parent.fit.__doc__
