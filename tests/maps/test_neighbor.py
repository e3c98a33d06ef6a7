"""NeighborAutoencoder: its objective and gradient, what it learns from, what it keeps, and messages."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from contract.requirements import refuses, require_same
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer, NearestNeighbors, kneighbors_graph

from skae import (
    Autoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    FineTunedClassifier,
    NeighborAutoencoder,
    StackedAutoencoder,
)
from skae.base import backward
from skae.base.graphs import nearest_rows
from skae.exceptions import DisconnectedGraphWarning, NothingLearntWarning
from skae.maps import neighbor

QUICK = {"hidden_layer_sizes": (8,), "batch_size": 30, "max_iter": 3, "random_state": 0}
AT_THE_START = {**QUICK, "learning_rate_init": 1e-30, "max_iter": 1, "dtype": "float64"}


@pytest.fixture(scope="module")
def rows():
    """Rows of a skewed distribution, in units that are not those of the module."""
    rng = np.random.default_rng(0)
    return 3.0 + 5.0 * rng.exponential(size=(90, 4)) @ rng.normal(size=(4, 4))


# ---------------------------------------------------------------- the objective


def plain(model, x, h, weight, mid, radius, rng):
    """Terms of the objective of 2n codes, in loops over rows, and what the encoder learns of the reconstruction."""
    n = len(h) // 2
    module, w = model.module_, torch.ones(n) if weight is None else weight
    square = (h[:, None] - h).square().sum(2)
    losses = []
    for i in range(2 * n):
        j, others = (i + n) % (2 * n), [v for v in range(2 * n) if v != i]
        if model.objective == "infonce":
            q = 1 / (1 + square[i])
            losses.append(-torch.log(q[j] / q[others].sum()))
        elif model.objective == "umap":
            z = 1.577 * (square[i] + 1e-3) ** 0.895
            pushed = torch.log(z / (1 + z))[[v for v in others if v != j]]
            losses.append(torch.log(1 + z[j]) - 5 * pushed.mean())
        else:
            e = square[i] + 1
            pull = 3 * e[j] / (10 + e[j]) + (0 if mid is None else 1.5 * e[mid[i]] / (10_000 + e[mid[i]]))
            losses.append(pull + 2 * (1 / (1 + e[others])).mean())
    terms = {"neighbors": (torch.stack(losses) * torch.cat([w, w])).sum() / (2 * n)}
    if radius is not None:
        near = torch.log(square.diagonal(n) + 1e-3)
        terms["density"] = -neighbor.DENSITY_WEIGHT * torch.corrcoef(torch.stack([near, radius]))[0, 1]
    r = model.reconstruction
    shown = r * h[:n] + (1 - r) * h[:n].detach()  # the decoder learns as much with any r
    error = (module.decode(shown, rng) - x).square().sum(1)
    return {"reconstruction": (w * error).sum() / n / x.shape[1], **terms}


@pytest.mark.parametrize(
    ("options", "weighted"),
    [
        ({}, False),
        ({"reconstruction": 0.0, "densities": True}, True),
        ({"objective": "umap", "reconstruction": 0.5}, True),
        ({"objective": "umap", "reconstruction": 0.0, "densities": True, "batch_norm": True}, False),
        ({"objective": "pacmap", "reconstruction": 0.5, "tied_weights": True}, False),
        ({"objective": "pacmap", "densities": True}, True),
    ],
)
def test_the_gradient_of_a_step_is_that_of_the_objective(options, weighted, rows, monkeypatch):
    """By hand and by autograd, against loops over rows."""
    model = NeighborAutoencoder(dtype="float64", **QUICK, **options).fit(rows)
    n, rng, module = 20, torch.Generator().manual_seed(0), model.module_
    x, mates = model._ready_source(rows)[torch.arange(2 * n)].x.split(n)
    weight = torch.rand(n, dtype=torch.float64, generator=rng) if weighted else None
    radius = torch.randn(n, dtype=torch.float64, generator=rng) if model.densities else None
    batch = model._ready_source(rows)[torch.arange(n)]._replace(
        corrupted=torch.cat([x, mates]), weight=weight, y=None if radius is None else radius[:, None]
    )
    shown, mid = [], []
    corrupt, mid_near = type(model)._corrupt, type(model)._mid_near
    monkeypatch.setattr(type(model), "_corrupt", lambda *a: shown.append(corrupt(*a)) or shown[-1])
    monkeypatch.setattr(type(model), "_mid_near", lambda *a: mid.append(mid_near(*a)) or mid[-1])
    module.progress = 0.3  # PaCMAP's second stage

    gradients, terms = [], []
    for step in (model._step, lambda *a: backward(model._loss(*a))):
        model._flat.grad.zero_()
        terms.append(step(module, batch, rng.manual_seed(0)))
        gradients.append(model._flat.grad.clone())
    model._flat.grad.zero_()
    assert torch.equal(shown[0].shown, shown[1].shown)
    assert (shown[0].shown != batch.shown).all()
    h = module.encode(shown[0].shown, rng)
    expected = plain(model, x, h, weight, mid[0] if mid else None, radius, rng)
    backward(expected)
    for found in terms:
        assert found.keys() == expected.keys()
        for name in expected:
            torch.testing.assert_close(found[name].detach(), expected[name].detach(), rtol=1e-8, atol=1e-12)
    assert model._flat.grad.abs().max() > 1e-3
    for gradient in gradients:
        torch.testing.assert_close(gradient, model._flat.grad, rtol=1e-7, atol=1e-10)


def test_a_mid_near_row_is_the_second_nearest_of_six(rows):
    """Six rows that are drawn, as the same generator draws them."""
    model = NeighborAutoencoder(objective="pacmap", **QUICK).fit(rows)
    batch = model._ready_source(rows)[:]
    found = model._mid_near(batch, torch.Generator().manual_seed(0))
    drawn = torch.randint(90, (90, 6), generator=torch.Generator().manual_seed(0))
    distances = torch.cdist(batch.x.double(), batch.x.double())
    for i in range(90):
        assert distances[i, found[i]] == pytest.approx(sorted(distances[i, drawn[i]].tolist())[1])
    assert model._mid_near(batch, None) is None


def test_training_starts_at_whitened_pca(rows):
    model = NeighborAutoencoder(**AT_THE_START).fit(rows)
    assert model.score(rows) == pytest.approx(PCA(2).fit(rows).explained_variance_ratio_.sum())
    np.testing.assert_allclose(np.cov(model.transform(rows).T, bias=True), np.eye(2), atol=1e-8)


class NoDecoder(NeighborAutoencoder):
    """The error of the reconstruction has no gradient, as if there were no decoder."""

    def _reconstruction_and_slope(self, module, eta, batch):
        error, slope = super()._reconstruction_and_slope(module, eta, batch)
        return error, 0 * slope


@pytest.mark.filterwarnings("ignore:The reconstruction of the training rows is no better than their mean")
def test_without_reconstruction_the_encoder_knows_no_decoder_and_the_decoder_learns(rows):
    options = {**QUICK, "max_iter": 30, "learning_rate_init": 0.01}
    one, without = (cls(reconstruction=0.0, **options).fit(rows) for cls in (NeighborAutoencoder, NoDecoder))
    np.testing.assert_array_equal(one.transform(rows), without.transform(rows))
    assert one.score(rows) > without.score(rows) + 0.1
    both, other = (cls(reconstruction=1.0, **options).fit(rows) for cls in (NeighborAutoencoder, NoDecoder))
    assert np.abs(both.transform(rows) - other.transform(rows)).max() > 0.1
    assert both.score(rows) > one.score(rows)


def test_the_noise_is_in_units_of_the_difference_of_neighbours(rows):
    model = NeighborAutoencoder(noise_level=0.5, n_neighbors=5, **QUICK).fit(rows)
    graph = nearest_rows(rows, 5, "euclidean")
    every = rows[graph.sources] - rows[graph.indices]
    assert model.noise_scale_ == pytest.approx(0.5 * np.sqrt((every**2).mean()), rel=0.2)
    again = clone(model).set_params(warm_start=True).fit(rows).set_params(noise_level=0.25).fit(rows)
    assert again.noise_scale_ == model.noise_scale_ / 2
    batch = model._ready_source(np.repeat(rows, 50, axis=0))[:]
    noise = model._corrupt(model.module_, batch, torch.Generator().manual_seed(0)).shown - batch.x
    np.testing.assert_allclose(noise.std(0) * model.scale_, model.noise_scale_, rtol=0.05)
    assert model._corrupt(model.module_, batch, None) is batch
    assert model.set_params(noise_level=0.0)._corrupt(model.module_, batch, torch.Generator()) is batch


def test_pacmap_goes_through_its_stages_and_a_chunk_is_of_the_last(rows):
    stages = []

    class Watched(NeighborAutoencoder):
        def _step(self, module, batch, rng):
            stages.append(module.progress)
            return super()._step(module, batch, rng)

    model = Watched(objective="pacmap", **{**QUICK, "batch_size": 90, "max_iter": 5, "warm_start": True}).fit(rows)
    assert stages == [0.0, 0.2, 0.4, 0.6, 0.8]
    model.partial_fit(rows)
    assert stages[5:] == [1.0]
    model.fit(rows)
    assert stages[6:] == [0.0, 0.2, 0.4, 0.6, 0.8]


# ---------------------------------------------------------------- rows and their neighbours


SEEN = []


class Recorded(NeighborAutoencoder):
    """Notes the numbers of the rows of each step and of their mates, which are in the first column."""

    def _note(self, batch, of):
        n = len(batch.x)
        numbers = (batch.shown[:, 0] * self.scale_ + self.mean_[0]).round().long().tolist()
        SEEN.extend((of, i, j) for i, j in zip(numbers[:n], numbers[n:], strict=True))

    def _loss(self, module, batch, rng):
        if rng is None:
            self._note(batch, "held out")
        return super()._loss(module, batch, rng)

    def _step(self, module, batch, rng):
        self._note(batch, "train")
        return super()._step(module, batch, rng)


@pytest.fixture
def numbered():
    """Rows with their numbers in the first column. They are in lexical order, and so stay where they are."""
    SEEN.clear()
    return np.column_stack([np.arange(100.0), 30 * np.random.default_rng(0).normal(size=(100, 2))])


def neighbors_of(X, k=5):
    graph = nearest_rows(X, k, "euclidean")
    return set(zip(graph.sources.tolist(), graph.indices.tolist(), strict=True))


RECORD = {"n_neighbors": 5, "dtype": "float64", **QUICK, "max_iter": 20}


def test_steps_see_rows_and_their_neighbours(numbered):
    Recorded(**RECORD).fit(numbered)
    edges = {(i, j) for _, i, j in SEEN}
    assert edges <= neighbors_of(numbered)
    assert len(edges) > 450  # of 500
    assert [i for _, i, _ in SEEN[:100]] != [i for _, i, _ in SEEN[100:200]]
    assert sorted(i for _, i, _ in SEEN[:100]) == list(range(100))


def test_held_out_rows_are_no_neighbours_in_training(numbered):
    model = Recorded(early_stopping=True, validation_fraction=0.3, **RECORD).fit(numbered)
    trained, held_out = ({i for of, i, _ in SEEN if of == which} for which in ("train", "held out"))
    assert len(held_out) == 30
    assert not trained & held_out
    assert {j for of, _, j in SEEN if of == "train"} <= trained
    nearest = {(i, int(nearest_rows(numbered, 5, "euclidean").indices[5 * i])) for i in held_out}
    assert {(i, j) for of, i, j in SEEN if of == "held out"} == nearest  # whether these are held out or not
    assert model.loss_ <= min(model.history_["validation_loss"])


def test_what_early_stopping_watches_is_the_objective_without_noise(numbered):
    model = Recorded(early_stopping=True, validation_fraction=0.3, **{**AT_THE_START, "batch_size": 12}).fit(numbered)
    pairs = [(i, j) for of, i, j in SEEN if of == "held out"][:30]
    total = 0.0
    for start in range(0, 30, 12):
        part = np.array(pairs[start : start + 12]).T
        x, mates = (model._ready_source(numbered[numbers])[:].x for numbers in part)
        h = model.module_.encode(torch.cat([x, mates])).detach()
        terms = plain(model, x, h, None, None, None, None)
        total += len(x) / 30 * sum(term.item() for term in terms.values())
    assert model.history_["validation_loss"][0] == pytest.approx(total)


def test_rows_of_different_labels_are_never_paired(numbered):
    y = np.where(np.arange(100) % 4 == 0, -1, np.arange(100) % 3)
    Recorded(target_weight=0.4, **RECORD).fit(numbered, y)
    edges, near = {(i, j) for _, i, j in SEEN}, neighbors_of(numbered)
    assert any(y[i] != y[j] and min(y[i], y[j]) >= 0 for i, j in near)
    assert not any(y[i] != y[j] and min(y[i], y[j]) >= 0 for i, j in edges)
    far = edges - near - {(i, i) for i in range(100)}
    assert all(y[i] == y[j] >= 0 for i, j in far)
    assert len(far) > 300
    SEEN.clear()
    Recorded(**RECORD).fit(numbered, y)
    assert {(i, j) for _, i, j in SEEN} <= near  # target_weight=0 ignores y


@pytest.mark.parametrize("labels", [np.array(["b", "a", "c"]), np.array([3.0, -2.0, 9.0])])
def test_labels_may_be_of_any_kind(labels, rows):
    y = np.arange(90) % 3
    model = NeighborAutoencoder(target_weight=0.5, **QUICK)
    expected = clone(model).fit(rows, np.array([1, 0, 2])[y])
    require_same(expected, model.fit(rows, labels[y]), rows)


@pytest.mark.parametrize(
    ("metric", "make"),
    [
        ("euclidean", lambda X: KNeighborsTransformer(n_neighbors=9).fit_transform(X)),
        ("cosine", lambda X: kneighbors_graph(X, 6, mode="distance", metric="cosine")),
    ],
)
def test_a_graph_that_is_passed_is_the_one_that_is_found(metric, make, rows):
    X = rows[np.lexsort(rows.T[::-1])]  # a table is sorted when its equal rows are merged
    options = {"n_neighbors": 6, "densities": True, **QUICK, "dtype": "float64"}
    found = NeighborAutoencoder(metric=metric, **options).fit(X)
    given = NeighborAutoencoder(metric="precomputed", **options).fit(X, neighbors=make(X))
    require_same(found, given, X, rtol=1e-5, atol=1e-6)
    other = NeighborAutoencoder(metric="manhattan", **options).fit(X)
    assert np.abs(other.transform(X) - found.transform(X)).max() > 1e-3


def test_weights_repeat_rows_and_leave_rows_out(rows):
    weight = np.arange(90) % 3
    model = NeighborAutoencoder(n_neighbors=5, **QUICK)
    one = clone(model).fit(rows, sample_weight=weight)
    two = clone(model).fit(rows.repeat(weight, axis=0))
    np.testing.assert_array_equal(one.transform(rows), two.transform(rows))
    kept = clone(model).fit(rows[weight > 0], sample_weight=weight[weight > 0])
    np.testing.assert_array_equal(one.transform(rows), kept.transform(rows))
    equal = clone(model).fit(rows[weight > 0])
    assert not np.array_equal(one.transform(rows), equal.transform(rows))


def test_rows_of_weight_0_are_no_neighbours_in_a_graph_that_is_passed(rows):
    weight = (np.arange(90) % 3 > 0).astype(float)
    model = NeighborAutoencoder(metric="precomputed", n_neighbors=5, **QUICK)
    few, all_of_them = (KNeighborsTransformer(n_neighbors=k).fit_transform(rows) for k in (5, 89))
    one = clone(model).fit(rows, sample_weight=weight, neighbors=all_of_them)
    some = weight > 0
    graph = KNeighborsTransformer(n_neighbors=5).fit_transform(rows[some])
    require_same(clone(model).fit(rows[some], sample_weight=weight[some], neighbors=graph), one, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DisconnectedGraphWarning)
        clone(model).fit(rows, sample_weight=weight, neighbors=few)  # fewer are left


def test_copies_count_once_as_neighbours(rows):
    """More copies than neighbours would leave a row alone with itself."""
    copies = rows.repeat(10, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DisconnectedGraphWarning)
        model = NeighborAutoencoder(n_neighbors=5, **QUICK).fit(copies)
    require_same(NeighborAutoencoder(n_neighbors=5, **QUICK).fit(rows), model, rows)


def test_a_pickle_of_every_stage_goes_on(rows):
    model = NeighborAutoencoder(objective="pacmap", densities=True, **QUICK).partial_fit(rows)
    other = pickle.loads(pickle.dumps(model))
    assert other.noise_scale_ == model.noise_scale_
    require_same(copy.deepcopy(model).partial_fit(rows), other.partial_fit(rows), rows)


# ---------------------------------------------------------------- what a map keeps


def accuracy(model, X, y, X_test, y_test):
    return KNeighborsClassifier().fit(model.transform(X), y).score(model.transform(X_test), y_test)


@pytest.mark.parametrize("objective", ["infonce", "umap", "pacmap"])
def test_clusters_that_two_axes_mix_are_apart_on_the_map(objective):
    X, y = make_blobs(500, 20, centers=20, cluster_std=3.0, random_state=0)
    options = {"hidden_layer_sizes": (64, 64), "batch_size": 50, "max_iter": 30, "random_state": 0}
    model = NeighborAutoencoder(objective=objective, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DisconnectedGraphWarning)
        model.fit(X[:400])
    split = X[:400], y[:400], X[400:], y[400:]
    assert accuracy(PCA(2).fit(X[:400]), *split) < 0.8
    assert accuracy(model, *split) > 0.95
    assert model.score(X[400:]) > PCA(2).fit(X[:400]).explained_variance_ratio_.sum() + 0.1


def test_labels_bring_rows_of_a_class_together():
    """Four clusters that are equally far from each other, of which two and two are a class."""
    X, corner = make_blobs([100] * 4, centers=6 * np.eye(4, 5), random_state=0)
    held_out = np.arange(400) % 4 == 0
    y = np.where(np.arange(400) % 3 == 0, corner // 2, -1)

    def of_class(weight):
        """Mean distance of held-out rows of the other cluster of a class, divided by that of other classes."""
        options = {"hidden_layer_sizes": (32, 32), "batch_size": 40, "max_iter": 20, "random_state": 0}
        model = NeighborAutoencoder(target_weight=weight, **options)
        h = model.fit(X[~held_out], y[~held_out]).transform(X[held_out])
        distances, of = np.linalg.norm(h[:, None] - h, axis=2), corner[held_out]
        class_of = of // 2
        same = (class_of[:, None] == class_of) & (of[:, None] != of)
        return distances[same].mean() / distances[class_of[:, None] != class_of].mean()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DisconnectedGraphWarning)
        assert of_class(0.5) < 0.75 * of_class(0.0)


def test_densities_are_seen_on_the_map(digits, monkeypatch):
    """The radius of a held-out row is the mean logarithm of the distance to its nearest rows."""
    train, test = digits[:250], digits[250:]

    def correlation(weight):
        monkeypatch.setattr(neighbor, "DENSITY_WEIGHT", weight)
        options = {"hidden_layer_sizes": (32, 32), "batch_size": 40, "max_iter": 25, "random_state": 0}
        model = NeighborAutoencoder(densities=True, **options).fit(train)
        radii = [
            np.log(NearestNeighbors(n_neighbors=10).fit(A).kneighbors(B)[0]).mean(1)
            for A, B in ((train, test), (model.transform(train), model.transform(test)))
        ]
        return np.corrcoef(radii)[0, 1]

    assert correlation(1.0) > correlation(-1.0) + 0.1


# ---------------------------------------------------------------- with other estimators


class Denoising(NeighborAutoencoder, DenoisingAutoencoder):
    pass


class OfImages(NeighborAutoencoder, ConvolutionalAutoencoder):
    pass


def test_without_corruption_a_denoising_map_is_a_plain_one(rows):
    plain, silent = NeighborAutoencoder(**QUICK).fit(rows), Denoising(corruption_level=0.0, **QUICK).fit(rows)
    require_same(plain, silent, rows)
    assert {name: silent.history_[name] for name in plain.history_} == plain.history_


def test_a_denoising_map_corrupts_a_row_and_its_neighbour(rows):
    model = Denoising(corruption="masking", corruption_level=0.5, emphasis=(2.0, 1.0), noise_level=0.0, **QUICK)
    model.fit(rows)
    batch = model._ready_source(rows)[:]
    batch = batch._replace(corrupted=torch.cat([batch.x, batch.x + 1]))
    found = model._corrupt(model.module_, batch, torch.Generator().manual_seed(0))
    masked = found.shown != batch.shown
    assert masked.double().mean() == pytest.approx(0.5, abs=0.05)
    assert (masked[:90] != masked[90:]).any()
    assert torch.equal(found.emphasis == 2.0, masked[:90])
    told = refuses(model.set_params(walkback=2), "fit", rows)
    assert told == "walkback=2 starts at rows, and not at pairs of neighbours: use walkback=1."


def test_maps_of_images_and_in_stacks_and_under_a_classifier(digits):
    images = OfImages(image_shape=(8, 8), channels=(3,), **QUICK).fit(digits[:100])
    assert images.inverse_transform(images.transform(digits)).shape == digits.shape
    assert "neighbors" in images.history_
    layers = [Autoencoder(8, hidden_layer_sizes=(), max_iter=3), NeighborAutoencoder(**QUICK)]
    stack = StackedAutoencoder(layers, max_iter=1, random_state=0).fit(digits[:100])
    assert stack.transform(digits).shape == (400, 2)
    y = digits[:100, 20] > 8
    tuned = FineTunedClassifier(NeighborAutoencoder(**QUICK), max_iter=5, random_state=0).fit(digits[:100], y)
    assert tuned.transform(digits).shape == (400, 2)


def test_a_target_has_no_place_in_a_map(rows):
    told = refuses(Denoising(target="y", **QUICK), "fit", rows, rows)
    assert told == "Denoising has no place for a target y: y can only be labels of neighbours."


# ---------------------------------------------------------------- bad input


def blobs(*sizes):
    return make_blobs(sizes, centers=100 * np.eye(len(sizes)), random_state=0)[0]


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((30, 40), "has 2 pieces, of 40, 30 rows:"),
        ((20, 30, 25, 18), "has 4 pieces, of 30, 25, 20 ... rows:"),
    ],
)
def test_a_graph_in_pieces_is_told(sizes, told):
    with pytest.warns(DisconnectedGraphWarning, match=rf"{told}.*Raise n_neighbors \(now 15\)"):
        NeighborAutoencoder(**QUICK).fit(blobs(*sizes))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DisconnectedGraphWarning)
        NeighborAutoencoder(n_neighbors=sum(sizes) - 1, **QUICK).fit(blobs(*sizes))


GRAPH = kneighbors_graph(np.arange(30.0)[:, None], 15, mode="distance")
GIVEN = {"metric": "precomputed"}


@pytest.mark.parametrize(
    ("options", "more", "told"),
    [
        ({"n_neighbors": 30}, {}, "n_neighbors=30 needs more different rows than that; got n_samples = 30"),
        ({"n_neighbors": 0}, {}, "'n_neighbors' parameter"),
        ({"batch_size": 1}, {}, "batch_size=1 leaves no other rows to tell a neighbour from"),
        ({"metric": "euclidian"}, {}, "metric='euclidian' is no metric of scikit-learn: use 'euclidean'."),
        ({"metric": "haversine"}, {}, "metric='haversine' finds no neighbours here"),
        (GIVEN, {}, "metric='precomputed' needs a graph: pass it as fit(X, neighbors=graph)."),
        ({}, {"neighbors": GRAPH}, "neighbors was passed, but metric='euclidean': use metric='precomputed'."),
        (GIVEN, {"neighbors": GRAPH[:20, :20]}, "neighbors must be a sparse matrix of shape (30, 30)"),
        (GIVEN, {"neighbors": GRAPH > 7}, "neighbours of row 7, but 15 are needed"),
        (GIVEN, {"neighbors": -GRAPH}, "neighbors has a negative, infinite or NaN distance in row 0"),
        ({"target_weight": 0.5}, {}, "(target_weight=0.5) requires y to be passed"),
        ({"target_weight": 0.5}, {"y": np.arange(20) % 2}, "y has 20 labels, but X has 30 rows"),
        ({"target_weight": 0.5}, {"y": np.full(30, -1)}, "y has labels of 0 classes, but at least 2"),
        ({"target_weight": 1.5}, {}, "'target_weight' parameter"),
        ({}, {"sample_weight": np.arange(30) == 7}, "got n_samples = 1, and further rows of weight 0."),
    ],
)
def test_bad_input_is_told_in_a_sentence(options, more, told, rows):
    sentence = refuses(NeighborAutoencoder(**{**QUICK, **options}), "fit", rows[:30], **more)
    assert told in sentence


@pytest.mark.parametrize(
    ("X", "told"),
    [
        (np.ones((30, 4)), "All rows of X are equal, so that no row has a neighbour"),
        (
            np.ones((1, 4)),
            "NeighborAutoencoder needs at least 2 rows, the neighbours of each other; got n_samples = 1.",
        ),
        (np.repeat(np.eye(4), 10, axis=0), "n_neighbors=5 needs more different rows than that; got n_samples = 4"),
        (1e200 * np.arange(40.0).reshape(10, 4), "X has values so large, up to 4e+201, that distances are infinite"),
        (np.where(np.eye(10, 4), np.nan, 1.0), "Input X contains NaN in row 0, column 0"),
    ],
)
def test_rows_without_neighbours_are_refused(X, told):
    assert told in refuses(NeighborAutoencoder(n_neighbors=5, **QUICK), "fit", X)
    assert told in refuses(NeighborAutoencoder(n_neighbors=5, **QUICK), "fit", sparse.csr_array(X))


def test_two_rows_are_a_map():
    X = np.array([[0.0, 1.0, 5.0], [2.0, 1.0, 5.0]])
    model = NeighborAutoencoder(**{**QUICK, "max_iter": 20}).fit(X)
    assert np.isfinite(model.transform(X)).all()
    np.testing.assert_allclose(model.inverse_transform(model.transform(X))[:, 1:], X[:, 1:], atol=0.3)  # constant ones


def test_a_row_that_has_nearly_all_of_the_variance_is_told():
    X = np.random.default_rng(0).normal(size=(60, 4))
    X[7, 2] = 1e4
    with pytest.warns(NothingLearntWarning, match=r"^One row has 98% of the variance of X, mostly in column 2"):
        NeighborAutoencoder(max_iter=60, random_state=0).fit(X)
