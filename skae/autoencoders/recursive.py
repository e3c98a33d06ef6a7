"""RecursiveAutoencoder: one vector for a whole tree, composed of those of its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..base import damage
from ..base.budget import steps_worthwhile
from ..base.checks import check_codes, check_weight, frame_of
from ..base.damage import Saved
from ..base.exporting import Exported
from ..base.mixins import available_if
from ..base.params import PositiveInt
from ..base.transformer import TorchTransformer
from ..engine.data import Rows, Source, to_tensor
from ..engine.forest import Forest, Packed
from ..engine.frame import Frame, in_double
from ..engine.modes import plain_torch
from ..engine.moments import principal_axes
from ..engine.optim import Terms
from ..engine.train import backward
from ..nn.recursive import RecursiveNetwork, Vectors
from ..trees import Tree
from ._leaves import Given, Leaves, damaged, read_given
from ._parsing import parsed
from ._trees import shape_of, trees_of, with_leaves

__all__ = ["RecursiveAutoencoder"]

TREES_A_STEP = 32
"""Batch size with ``batch_size="auto"``."""
MOST_LEAVES_BELOW = 100
"""Leaves below an inner node, in mean, up to which ``unfolding="auto"`` unfolds. Time grows with them."""
TREES = """X : list of trees
    Each is a ``skae.trees.Tree``, a nested tuple, or an object with ``label()`` that can be iterated, such as a tree
    of nltk. With another ``structure`` than "given", each is a sequence of tokens or of vectors. Tokens are of type
    str, and numbers are vectors of one entry."""


def decodes(estimator: Any) -> bool:
    """Whether the estimator has methods that decode. scikit-learn calls this when it looks for one of them."""
    if not estimator._learns_decoder():
        raise AttributeError("With alpha=0 no decoder is learnt, so that nothing is reconstructed: fit with alpha=0.1.")
    return True


class RecursiveAutoencoder(TorchTransformer):
    """Compress a tree to a vector, by composing the vectors of its parts from the leaves up.

    Two children with the vectors c1 and c2 of width d, which is ``n_components``, make the parent

        p = f(W [c1; c2] + b),

    and a decoder makes of it [c1'; c2'] = D p + e, where an inner node is f of that. With ``unit_length``, composed and
    decoded vectors of inner nodes are divided by their length. The code of a tree is the vector of its root. The loss
    is the mean over the trees of the sum over their inner nodes of E_rec. With ``unfolding``, a node is decoded down to
    its leaves x, and

        E_rec = 1/2 sum_leaves ||x - x'||^2.

    Without it, only its children are compared. With n1 and n2 leaves below them,

        E_rec = n1 / (n1 + n2) ||c1 - c1'||^2 + n2 / (n1 + n2) ||c2 - c2'||^2.

    Leaves are tokens, each with a vector of its own, or vectors of numbers. A node with more than two children is
    composed from left to right, ((c1 c2) c3), and one with a single child is that child. Trees may be of any depth.

    Parameters
    ----------
    n_components : int, default=50
        Width d of the code, and of all vectors.
    composition : {"plain", "tensor", "gated"}, default="plain"
        How two vectors become one. "plain" is the p above. "tensor" adds products of the entries of the children,
        p_k = f([c1; c2]' T_k [c1; c2] / d + W_k [c1; c2] + b_k). "gated" is a tree LSTM, which has a memory beside p.
    n_layers : int, default=1
        Number of layers. In layer i > 1 the vector of a node is f(W_i [c1; c2] + V_i h + b_i), where c1 and c2 are the
        children's vectors in this layer, and h is the node's own one in the layer below. The last layer is the code.
    activation : {"identity", "relu", "tanh", "logistic", "gelu", "silu", "elu", "leaky_relu", "softplus"}, \
default="tanh"
        Function f. In a gated composition it is only used to decode.
    unit_length : bool or "auto", default="auto"
        Whether vectors of inner nodes have the length 1. "auto" is True without ``unfolding``, because shorter vectors
        would be easier to reconstruct, and False with it, and for a gated composition.
    weighted : bool, default=True
        Whether nodes count by the number of their leaves, as in the formulas above. Otherwise E_rec is the mean of
        ||x - x'||^2 over the leaves, or without ``unfolding`` half the sum of ||c - c'||^2 over the two children.
    unfolding : bool or "auto", default="auto"
        Whether every node is decoded down to its leaves. Without it, whole trees are not decoded well: what is decoded
        from decoded vectors was never compared. It takes the time of all pairs of a node and a leaf below it, for
        sentences three times as long. "auto" is True, but not for ``structure="greedy"``, which cannot have it, and not
        if an inner node has more than 100 leaves below it in mean.
    structure : {"given", "greedy", "balanced", "left"}, default="given"
        Where the trees come from. "given" takes X as trees. The others take X as sequences, and build the trees.
        "greedy" merges the two neighbours with the least E_rec, again and again. "balanced" halves the sequence, and
        "left" goes from left to right.
    embeddings : dict of str to array-like, array-like of shape (n_tokens, width), or None, default=None
        Vectors of tokens. An array needs the token of each row as ``vocabulary``. Tokens that are not in it share the
        mean of the vectors. None draws random vectors, whose length is about 1, and unknown tokens have zeros.
    vocabulary : sequence of str or None, default=None
        All tokens that have a vector. None learns them from X, or takes those of ``embeddings``.
    min_frequency : int, default=1
        How often a token must occur in the training trees to have a vector of its own. All other tokens, and those that
        are first seen after the fit, share one. Not used if the vocabulary is given.
    tune_leaves : bool, default=False
        Whether the tokens' vectors, and the map of vectors of another width than ``n_components``, are trained too.
        Reconstruction alone does not hold them: it is easiest if all are the same.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start, or its peak under "one_cycle". "auto" is 0.02 under "one_cycle", and a third of that
        otherwise. Not used by "lbfgs".
    batch_size : int or "auto", default="auto"
        Number of trees per step. "auto" is 32. "lbfgs" takes all trees.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" is as many as n_samples / 4 steps take, but at least 800 steps, at most 4000
        steps, and at most 200 epochs. For "lbfgs" it is 200.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted network.
    vocabulary_ : ndarray of shape (n_tokens,), or None
        Tokens that have a vector. None if leaves are vectors.
    history_ : dict of str to list of float
        Training curves, with one value per epoch: "loss", its term "reconstruction", and "validation_loss" with
        ``early_stopping``.
    loss_ : float
        Loss of the weights that were kept.
    n_iter_ : int
        Number of epochs run.
    mean_ : ndarray of shape (width,)
        Mean of the vectors of the leaves. It is zero for tokens.
    scale_ : float
        Root mean square distance of the leaves' vectors from ``mean_``, by which they are divided.

    See Also
    --------
    RecursiveAutoencoderClassifier : Learns labels of trees or of all their nodes, too.
    skae.trees.Tree : What X is a list of.

    References
    ----------
    Socher, Pennington, Huang, Ng and Manning (2011), "Semi-Supervised Recursive Autoencoders for Predicting Sentiment
    Distributions", https://aclanthology.org/D11-1014

    Socher, Huang, Pennington, Ng and Manning (2011), "Dynamic Pooling and Unfolding Recursive Autoencoders for
    Paraphrase Detection", https://papers.nips.cc/paper/4204

    Irsoy and Cardie (2014), "Deep Recursive Neural Networks for Compositionality in Language",
    https://papers.nips.cc/paper/5551

    Socher et al. (2013), "Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank",
    https://aclanthology.org/D13-1170

    Tai, Socher and Manning (2015), "Improved Semantic Representations From Tree-Structured Long Short-Term Memory
    Networks", https://arxiv.org/abs/1503.00075

    Examples
    --------
    >>> from skae import RecursiveAutoencoder
    >>> trees = [(("a", "+", "b"), "*", "c"), ("a", "*", ("b", "+", "c")), ("a", "+", "b"), (("a", "*", "b"), "+", "c")]
    >>> model = RecursiveAutoencoder(8, max_iter=200, random_state=0).fit(trees)
    >>> codes = model.transform(trees)
    >>> codes.shape
    (4, 8)
    >>> print(model.inverse_transform(codes, structure=trees)[2])
    ( a + b)
    """

    n_components = 50
    composition: Literal["plain", "tensor", "gated"] = "plain"
    n_layers: PositiveInt = 1
    activation: Literal["identity", "relu", "tanh", "logistic", "gelu", "silu", "elu", "leaky_relu", "softplus"] = (
        "tanh"
    )
    unit_length: bool | Literal["auto"] = "auto"
    weighted: bool = True
    unfolding: bool | Literal["auto"] = "auto"
    structure: Literal["given", "greedy", "balanced", "left"] = "given"
    embeddings: Annotated[Any, dict, "array-like", None] = None
    vocabulary: Annotated[Any, "array-like", None] = None
    min_frequency: PositiveInt = 1
    tune_leaves: bool = False

    _Module: ClassVar[type[nn.Module]] = RecursiveNetwork
    _peak: ClassVar[float] = 0.02
    _most_epochs: ClassVar[int] = 200
    _saved: ClassVar[dict[str, Saved]] = {
        "_spec": Saved(damage.spec_with_layers("n_layers")),
        "_leaves": Saved(damaged, cls=Leaves),
        "_is_deep": Saved(damage.truth),
        "_shares": Saved(lambda estimator, value: damage.fault_of_numbers(value, (None,)), required=False),
    }
    _x_doc: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("fit", "transform"), TREES),
        "partial_fit": TREES + " The first chunk fixes the vocabulary.",
    }

    # ---------------------------------------------------------------- parameters

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.structure == "greedy" and self._unfolds():
            raise ValueError(
                "structure='greedy' merges the children that are reconstructed best, which unfolding=True does not "
                "train: use unfolding=False, or structure='balanced'."
            )

    def _unfolds(self) -> bool:
        automatic = self.structure != "greedy" and not getattr(self, "_is_deep", False)
        return automatic if self.unfolding == "auto" else bool(self.unfolding)

    # ---------------------------------------------------------------- hooks of a variant

    def _learns_decoder(self) -> bool:
        """Whether codes can be unfolded."""
        return True

    def _has_unit_length(self) -> bool:
        """Whether vectors have the length 1 with ``unit_length="auto"``."""
        return self.composition != "gated" and not self._unfolds()

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto" and self.solver != "lbfgs":
            return min(n_samples, TREES_A_STEP)
        return super()._batch_size(n_samples)

    def _n_steps(self, n_samples: int) -> int:
        return steps_worthwhile(n_samples, a_step=4, least=800)

    def _terms(self, module: RecursiveNetwork, batch: Packed, vectors: Vectors, rng: torch.Generator | None) -> Terms:
        """Terms of the loss, given the vectors of all nodes."""
        return {
            "reconstruction": batch.mean_over_trees(self._errors(module, batch, vectors), slice(len(batch.leaf), None))
        }

    def _errors(self, module: RecursiveNetwork, batch: Packed, vectors: Vectors) -> Tensor:
        """E_rec of each inner node."""
        return module.node_errors(vectors, batch, bool(self.weighted), self._unfolds())

    def _arranged(self, module: RecursiveNetwork, batch: Packed) -> Packed:
        """The batch with its trees. A greedy search builds them with the weights as they are now."""
        return parsed(module, batch, bool(self.weighted)) if self.structure == "greedy" else batch

    # ---------------------------------------------------------------- reading X

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        trees = trees_of(X, self.structure)
        weight = check_weight(weight, len(trees))
        if reset:
            known, width = self._given(), int(self.n_components)
            self._leaves = Leaves.of(trees, weight, known, int(self.min_frequency), width)
        asked = y is not None or reset is not None
        targets = self._targets(y, len(trees), weight, reset) if asked else None
        shape, leaf = shape_of(trees, self.structure), self._leaves.read(trees)
        return Forest(shape, leaf, weight, targets, node_width=self._n_values)

    def _given(self) -> Given | None:
        return read_given(self.embeddings, self.vocabulary)

    @property
    def vocabulary_(self) -> np.ndarray | None:
        """Tokens that have a vector. None if leaves are vectors."""
        check_is_fitted(self)
        return self._leaves.vocabulary

    def _is_one_batch(self, n_samples: int, n_features: int) -> bool:
        return super()._is_one_batch(n_samples, 1)  # equal trees are found at once, however large they are

    @property
    def _n_values(self) -> int:
        """Numbers that a node takes while it is composed."""
        return 8 * int(self.n_components) * int(self.n_layers) * (5 if self.composition == "gated" else 1)

    # ---------------------------------------------------------------- start

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {
            "n_components": int(self.n_components),
            "leaf_width": self._leaves.width,
            "n_tokens": self._leaves.n_tokens,
            "composition": self.composition,
            "n_layers": int(self.n_layers),
            "activation": self.activation,
            "unit_length": self._has_unit_length() if self.unit_length == "auto" else bool(self.unit_length),
            "tuned": bool(self.tune_leaves),
        }

    def _measure(self, data: Any) -> None:
        trees = data.trees if data.weight is None else data.trees.take(np.flatnonzero(data.weight > 0))
        below = trees.n_leaves[trees.back > 0]
        self._is_deep = bool(len(below) and below.mean() > MOST_LEAVES_BELOW)
        if self._leaves.vocabulary is None:
            self._frame = frame_of(data, "X", True)
            return
        shares = np.bincount(data.leaf, data.leaf_weight, minlength=self._leaves.n_tokens + 1)
        self._shares = shares / shares.sum()
        given = self._given()
        self._frame = Frame(np.zeros(self._leaves.width), 1.0 if given is None else given.size)

    def _initialise(self, module: RecursiveNetwork, data: Any, rng: torch.Generator) -> None:
        given = self._given()
        found = None if given is None else given.table
        table = None if found is None else self._frame.apply(torch.from_numpy(found)).to(module.D.dtype)
        axes = None
        if module.entry is not None:
            weight = None if table is not None or data.weight is None else torch.from_numpy(data.leaf_weight)
            rows = Rows(data.leaf if table is None else table, dtype=torch.float64, device=torch.device("cpu"))
            axes = principal_axes(rows, int(self.n_components), rng, weight)[0].to(module.D)
        module.initialise(rng, table, axes)

    # ---------------------------------------------------------------- objective

    def _loss(self, module: RecursiveNetwork, batch: Packed, rng: torch.Generator | None) -> Terms:
        batch = self._arranged(module, batch)
        return self._terms(module, batch, module.vectors(batch), rng)

    def _step(self, module: RecursiveNetwork, batch: Packed, rng: torch.Generator) -> Terms:
        """The gradient of ``_loss``. In the table of tokens it is added row by row, for few of them are in a batch."""
        batch = self._arranged(module, batch)
        raw = module.embed(batch.leaf).detach().requires_grad_(bool(self.tune_leaves))
        terms = backward(self._terms(module, batch, module.vectors(batch, raw), rng))
        if raw.grad is not None and module.table is not None:
            module.table.grad.index_add_(0, batch.leaf, raw.grad)
        return terms

    def _cure_of_reconstruction(self) -> str:
        if not self._unfolds():
            return "use unfolding=True if whole trees are to be decoded or scored"
        return "use tune_leaves=False, which keeps leaves apart" if self.tune_leaves else self._cure()

    # ---------------------------------------------------------------- using

    def _exported(self) -> dict[str, Exported]:
        raise ValueError(
            f"A {type(self).__name__} has no graph of ONNX: its rows are trees, and a graph takes a table."
        )

    def _encode(self, module: RecursiveNetwork, batch: Packed) -> Tensor:
        batch = self._arranged(module, batch)
        return module.vectors(batch).h[batch.root]

    def _target(self, batch: Any) -> Tensor:
        root: Tensor = batch.root
        return root

    def _error_and_variation(self, module: RecursiveNetwork, batch: Packed) -> Tensor:
        """Squared distances of all leaves of each tree to what its code unfolds to, and to the training mean."""
        batch = self._arranged(module, batch)
        leaf = in_double(module.embed(batch.leaf))
        unfolded = module.leave(module.unfold(module.vectors(batch).h[batch.root], batch))
        mean = torch.zeros(1) if module.table is None else self._mean_leaf(in_double(module.table))
        squares = torch.stack([(leaf - other.to(leaf)).square().sum(1) for other in (unfolded, mean)], 1)
        sums = squares.new_zeros((len(batch.root), 2))
        return sums.index_add_(0, batch.tree[: len(leaf)].to(sums.device), squares)

    def _mean_leaf(self, table: Tensor) -> Tensor:
        """Mean vector of the leaves of the training trees, given those of the tokens."""
        return torch.from_numpy(self._shares).to(table.device) @ table

    @available_if(decodes)
    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the squared reconstruction error of the leaves of each tree, in mean over its leaves.

        Parameters
        ----------
        X : list of trees
            As in ``fit``.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            In squared units of the leaves' vectors. Zero is perfect. Trees with the lowest scores are the most unusual.
        """

        def score(module: Any, batch: Packed) -> Tensor:
            error = self._error_and_variation(module, batch)[:, 0]
            return -error / batch.n_leaves[batch.root].to(error.device)

        scores: np.ndarray = self._map(score, X)
        return scores * self._frame.unit**2

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R2 of the leaves that codes unfold to: 1 - sum ||x - x'||^2 / sum ||x - m||^2.

        Both sums go over all leaves of X. x is a leaf's vector, x' is what the code of its tree unfolds to, and m is
        the mean of the leaves of the training trees.

        Parameters
        ----------
        X : list of trees
            As in ``fit``.
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the trees.

        Returns
        -------
        r2 : float
            1 is perfect. 0 is no better than the mean m.
        """
        return super().score(X, y, sample_weight)

    @available_if(decodes)
    def inverse_transform(self, X: Any, structure: Any = None) -> list[Tree]:  # type: ignore[override]  # trees are no array
        """Unfold codes into trees of a given shape.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.
        structure : list of trees
            The shape of each tree. Its leaves are not looked at, and its labels are kept. Those of sequences are what
            ``parse`` returns.

        Returns
        -------
        trees : list of Tree
            Each leaf is the token with the nearest vector, or a vector in units of the training data.

        Raises
        ------
        ValueError
            If the codes have another width than ``n_components``, or if there is not one tree for each.
        """
        check_is_fitted(self)
        codes = check_codes(X, self._n_features_out, type(self).__name__)
        if structure is None:
            raise ValueError("A code does not hold the shape of its tree: pass trees of that shape as structure.")
        trees = trees_of(structure, "given")
        if len(trees) != len(codes):
            raise ValueError(f"structure has {len(trees)} trees, but there are {len(codes)} codes: pass one for each.")
        module: Any = self._ready_module()
        theta = self._flat.theta
        shape = shape_of(trees, "given")
        nothing = np.zeros(sum(tree.n_leaves for tree in trees), dtype=np.int64)
        forest = Forest(shape, nothing, node_width=self._n_values, dtype=theta.dtype, device=theta.device)
        leaves: list[Any] = []
        with plain_torch(grad=False):
            for rows in self._chunks(forest):
                h = to_tensor(codes[rows]).to(theta)
                leaves.extend(self._decoded_leaves(module, module.unfold(h, forest[rows])))
        return with_leaves(trees, leaves)

    def _decoded_leaves(self, module: RecursiveNetwork, x: Tensor) -> list[Any]:
        """Tokens, or vectors in units of the data, of leaves that are decoded as x."""
        if self._leaves.vocabulary is None:
            return list(self._frame.undo(module.leave(x)).cpu().numpy())
        table = module.enter(module.table[:-1])
        half = table.square().sum(1) / 2
        nearest = torch.cat([(half - part @ table.t()).argmin(1) for part in x.split(max(1, 2**22 // len(table)))])
        return list(self._leaves.vocabulary[nearest.cpu().numpy()])

    def node_vectors(self, X: Any) -> list[np.ndarray]:
        """Vectors of all nodes of each tree.

        Parameters
        ----------
        X : list of trees
            As in ``fit``.

        Returns
        -------
        vectors : list of ndarray of shape (n_nodes, n_components)
            For each tree, in post-order: a node after its children, and children from left to right, as in
            ``tree.nodes()``. For sequences they are those of the trees that ``parse`` returns.
        """
        return self._of_nodes(lambda module, batch: module.vectors(batch).h, X)

    @available_if(decodes)
    def node_errors(self, X: Any) -> list[np.ndarray]:
        """E_rec of all nodes of each tree.

        Parameters
        ----------
        X : list of trees
            As in ``fit``.

        Returns
        -------
        errors : list of ndarray of shape (n_nodes,)
            For each tree, in post-order, as in ``node_vectors``. It is NaN for a leaf.
        """

        def errors(module: Any, batch: Packed) -> Tensor:
            found = self._errors(module, batch, module.vectors(batch))
            return torch.cat([found.new_full((batch.levels[1],), torch.nan), found])

        return self._of_nodes(errors, X)

    def parse(self, X: Any) -> list[Tree]:
        """The trees that are composed.

        Parameters
        ----------
        X : list of trees or of sequences
            As in ``fit``.

        Returns
        -------
        trees : list of Tree
            With ``structure="given"`` those of X. Otherwise the binary trees that are built over its sequences.
        """
        check_is_fitted(self)
        trees = trees_of(X, self.structure)
        if self.structure == "given":
            return trees
        shapes = self._of_nodes(lambda module, batch: (batch.n_leaves > 1).to(torch.int64), trees)
        return [Tree.from_arity(2 * inner, tree.leaves) for inner, tree in zip(shapes, trees, strict=True)]

    def _of_nodes(self, function: Callable[[Any, Packed], Tensor], X: Any) -> list[np.ndarray]:
        """Apply ``function(module, batch)``, which returns a row for each node, and give the rows of each tree."""
        data: Any = self._ready_source(X)
        results: list[np.ndarray] = []
        with plain_torch(grad=False):
            for rows in self._chunks(data):
                batch = self._arranged(self.module_, data[rows])
                values = function(self.module_, batch)[batch.place].cpu().numpy()
                results.extend(values[places] for places in data.trees.places(rows))
        return results

    # ---------------------------------------------------------------- scikit-learn

    @property
    def components_(self) -> np.ndarray:
        """Trees have no columns, to which components could belong."""
        raise AttributeError(f"components_ belong to columns, which the trees of a {type(self).__name__} do not have.")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.sparse = False
        return tags
