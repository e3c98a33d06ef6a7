"""TopKAutoencoder: selection, dictionary, dead units and gradients, against closed forms and autograd."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split

from skae import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    TopKAutoencoder,
)
from skae.engine.data import Batch
from skae.metrics import reconstruction_r2
from skae.nn import topk as dictionary
from skae.nn.topk import Entries, TopKEncoder, keep_largest

QUICK = {"max_iter": 3, "batch_size": 20, "random_state": 0}


@pytest.fixture
def X(rng):
    return rng.random((60, 7))


@pytest.fixture(params=["dense", "gathered"])
def way(request, monkeypatch):
    """Both ways of multiplying by a sparse code, whatever the sizes."""
    monkeypatch.setattr(dictionary, "GATHERED_SIZE", 1 if request.param == "gathered" else 2**62)
    monkeypatch.setattr(dictionary, "GATHERED_RATIO", 1)
    return request.param


# ------------------------------------------------------------------ selection


def test_the_largest_are_kept_as_a_sort_would(rng):
    a = torch.from_numpy(rng.standard_normal((30, 11)))
    h = keep_largest(a, 4)
    for row, kept in zip(a.numpy(), h.numpy(), strict=True):
        np.testing.assert_array_equal(np.sort(kept[kept != 0]), np.sort(row)[-4:])
        np.testing.assert_array_equal(kept[kept != 0], row[kept != 0])


def test_of_ties_no_more_than_k_are_kept():
    assert (keep_largest(torch.ones(5, 9), 3) != 0).sum(1).tolist() == [3] * 5


def test_codes_and_reconstructions_are_those_of_the_formula(way, X):
    model = TopKAutoencoder(12, k=3, dtype="float64", **QUICK).fit(X)
    W, b = (p.detach().numpy() for p in next(model.module_.encoder.layers()))
    a = np.maximum((X - model.mean_) / model.scale_ @ W.T + b, 0)
    a[a < np.sort(a, axis=1)[:, [-3]]] = 0
    np.testing.assert_allclose(model.transform(X), a, atol=1e-12)
    c = model.module_.decoder.bias.detach().numpy()
    X_hat = model.mean_ + model.scale_ * (a @ model.components_ + c)
    np.testing.assert_allclose(model.inverse_transform(a), X_hat, atol=1e-12)


def test_rows_have_k_active_units(digits):
    H = TopKAutoencoder(64, k=5, **QUICK).fit(digits).transform(digits)
    assert ((H != 0).sum(axis=1) == 5).all()
    assert (H >= 0).all()


def test_fewer_positive_activations_give_fewer_active_units(X):
    few = TopKAutoencoder(7, k=6, **QUICK).fit(X).transform(X)
    assert (few != 0).sum(axis=1).max() <= 6
    assert (few != 0).sum(axis=1).min() < 6
    signed = TopKAutoencoder(7, k=6, code_activation="identity", **QUICK).fit(X).transform(X)
    assert ((signed != 0).sum(axis=1) == 6).all()
    assert signed.min() < 0


@pytest.mark.parametrize(("n_components", "k"), [(1, 1), (2, 1), (31, 1), (32, 2), (128, 8), (512, 32), (4096, 32)])
def test_automatic_k(n_components, k):
    X = np.zeros((2, 3))
    model = TopKAutoencoder(n_components, max_iter=1, random_state=0).fit(X)
    assert model.module_.encoder.k == k


# ------------------------------------------------------------------ limit case


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("size", [12, 100])
def test_with_all_units_active_it_is_an_autoencoder_to_the_last_bit(size, activation, tied, X):
    options = {
        "hidden_layer_sizes": (),
        "code_activation": activation,
        "tied_weights": tied,
        "init": "random",
        "learning_rate_init": 1e-3,
        **QUICK,
    }
    plain = Autoencoder(size, **options).fit(X)
    all_active = TopKAutoencoder(size, k=size, unit_norm=False, auxiliary_weight=0.0, **options).fit(X)
    np.testing.assert_array_equal(all_active.transform(X), plain.transform(X))
    np.testing.assert_array_equal(
        all_active.inverse_transform(plain.transform(X)), plain.inverse_transform(plain.transform(X))
    )
    assert all_active.history_ == plain.history_


# ------------------------------------------------------------------ gradients


def gradients(model, batch, by_hand):
    """Terms, gradients and buffers of one step at the fitted weights."""
    module, rng = copy.deepcopy(model.module_), torch.Generator().manual_seed(1)
    for p in module.parameters():
        p.grad = torch.zeros_like(p)
    if by_hand:
        terms = model._step(module, batch, rng)
    else:
        terms = model._loss(module, batch, rng)
        sum(terms.values()).backward()
    return (
        {name: float(term.detach()) for name, term in terms.items()},
        {name: p.grad.numpy() for name, p in module.named_parameters()},
        {name: b.numpy() for name, b in module.named_buffers()},
    )


def kill(model, units):
    """Let units be dead: silent for a million rows, as all others have larger activations."""
    with torch.no_grad():
        model.module_.encoder.idle[units] = 10**6
        model.module_.encoder.biases[-1].add_(10.0)
        model.module_.encoder.biases[-1][units] -= 10.0


OPTIONS = [
    {},
    {"tied_weights": True},
    {"unit_norm": False},
    {"unit_norm": False, "tied_weights": True, "selection": "batch"},
    {"selection": "batch"},
    {"code_activation": "identity"},
    {"code_activation": "gelu", "selection": "batch"},
    {"hidden_layer_sizes": (9,)},
    {"hidden_layer_sizes": (9,), "code_activation": "softplus"},
    {"hidden_layer_sizes": (9, 5), "dropout": 0.3, "input_dropout": 0.2},
    {"likelihood": "bernoulli"},
    {"likelihood": "poisson", "selection": "batch", "hidden_layer_sizes": (9,)},
    {"likelihood": "categorical", "categories": (3, 4)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_step_by_hand_is_autograds(way, options, X, rng):
    sizes = options.get("categories")
    Z = X / np.repeat(np.add.reduceat(X, [0, sizes[0]], axis=1), sizes, axis=1) if sizes else X
    model = TopKAutoencoder(12, k=4, dtype="float64", **options, **QUICK).fit(Z)
    kill(model, [1, 5, 7])
    x = Z - model.mean_ if model._frame.centred else Z
    batch = Batch(torch.from_numpy(x), torch.from_numpy(rng.random(60)))
    by_hand, autograd = (gradients(model, batch, by_hand=which) for which in (True, False))
    assert by_hand[0].keys() == {"reconstruction", "auxiliary"}
    assert by_hand[0] == pytest.approx(autograd[0], rel=1e-10)
    assert by_hand[0]["auxiliary"] > 0
    for theirs, ours in itertools.chain(zip(autograd[1].items(), by_hand[1].items(), strict=True)):
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-10, atol=1e-10, err_msg=ours[0])
    for name, buffer in by_hand[2].items():
        np.testing.assert_array_equal(buffer, autograd[2][name], err_msg=name)


def test_both_ways_give_the_same_fit(X, monkeypatch):
    fits = []
    for size in (1, 2**62):
        monkeypatch.setattr(dictionary, "GATHERED_SIZE", size)
        monkeypatch.setattr(dictionary, "GATHERED_RATIO", 1)
        fits.append(TopKAutoencoder(12, k=3, dtype="float64", dead_after=40, **QUICK).fit(X))
    one, two = fits
    assert one.module_.encoder.gathered
    assert not two.module_.encoder.gathered
    np.testing.assert_allclose(one.transform(X), two.transform(X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.score(X), two.score(X), rtol=1e-9)


def test_large_sparse_codes_are_gathered_and_small_ones_are_not(X):
    assert not TopKAutoencoder(**QUICK).fit(X).module_.encoder.gathered
    assert TopKAutoencoder(2**15, k=4, max_iter=1, random_state=0).fit(X).module_.decoder.gathered
    assert not TopKAutoencoder(2**15, k=2**12, max_iter=1, random_state=0).fit(X).module_.decoder.gathered


def test_gradients_leave_norms_alone(way, X):
    model = TopKAutoencoder(12, k=4, dtype="float64", **QUICK).fit(X)
    _, grads, _ = gradients(model, Batch(torch.from_numpy(X)), by_hand=True)
    rows = model.module_.decoder.rows.detach().numpy()
    into = grads["decoder.weight"] if way == "gathered" else grads["decoder.weight"].T
    assert np.abs(into).max() > 0.01
    np.testing.assert_allclose((rows * into).sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "identity", "gelu"])
@pytest.mark.parametrize("hidden", [(), (9,)])
def test_the_derivative_of_the_code_is_that_of_the_active_units(hidden, activation, X):
    model = TopKAutoencoder(12, k=4, dtype="float64", hidden_layer_sizes=hidden, code_activation=activation, **QUICK)
    module, x = model.fit(X).module_, torch.from_numpy(X[:5] - X.mean(axis=0))
    expected = torch.stack([torch.func.jacrev(lambda row: module.encode(row[None])[0])(row) for row in x]).detach()
    assert (expected.abs().sum(2) > 0).sum(1).tolist() == [4] * 5
    unit_vectors, h = torch.eye(12)[None].double(), module.encode(x)
    np.testing.assert_allclose(module.pull_back(x, unit_vectors).detach(), expected, atol=1e-12)
    np.testing.assert_allclose(module.squared_jacobian(x, h).detach(), expected.square().sum((1, 2)), rtol=1e-9)


def test_decoding_is_differentiable_in_silent_units(way, X):
    module = TopKAutoencoder(12, k=4, dtype="float64", **QUICK).fit(X).module_
    h = module.encode(torch.from_numpy(X[:1])).detach().requires_grad_()
    module.decode(h).sum().backward()
    assert (h.grad != 0).all()


# ------------------------------------------------------------------ products with sparse matrices


@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_products_of_entries_are_those_of_the_matrix(density, rng):
    S = torch.from_numpy(rng.standard_normal((6, 9)) * (rng.random((6, 9)) < density))
    M, A, B = (torch.from_numpy(rng.standard_normal(shape)) for shape in ((9, 4), (6, 4), (9, 4)))
    code = Entries.of(S)
    np.testing.assert_array_equal(code.dense(), S)
    np.testing.assert_allclose(code.product(M), S @ M, atol=1e-12)
    np.testing.assert_allclose(code.column_sums(), S.sum(0), atol=1e-12)
    columns, sums = code.transposed_product(A)
    np.testing.assert_allclose(torch.zeros(9, 4).double().index_add_(0, columns, sums), S.t() @ A, atol=1e-12)
    assert len(columns) == S.any(0).sum()
    inner = code.like(code.inner_products(A, B)).dense()
    np.testing.assert_allclose(inner, (A @ B.t()) * (S != 0), atol=1e-12)


# ------------------------------------------------------------------ atoms


@pytest.mark.filterwarnings("ignore:The loss was still falling")  # lbfgs in three epochs
@pytest.mark.parametrize("options", [{}, {"tied_weights": True}, {"solver": "lbfgs"}, {"weight_decay": 0.1}], ids=str)
def test_atoms_have_norm_one_whatever_moves_them(way, options, X):
    model = TopKAutoencoder(12, k=4, dtype="float64", **options, **QUICK).fit(X)
    assert model.components_.shape == (12, 7)
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1, rtol=1e-12)


def test_atoms_without_unit_norm_are_the_weights(X):
    model = TopKAutoencoder(12, k=4, unit_norm=False, **QUICK).fit(X)
    np.testing.assert_array_equal(model.components_, model.module_.decoder.rows.detach())
    assert np.abs(np.linalg.norm(model.components_, axis=1) - 1).max() > 0.01


def test_the_start_is_an_encoder_that_is_the_transposed_dictionary(X):
    start = TopKAutoencoder(12, k=4, learning_rate_init=1e-30, max_iter=1, random_state=0).fit(X)
    np.testing.assert_array_equal(start.module_.encoder.weights[0].detach(), start.module_.decoder.rows.detach())
    np.testing.assert_allclose(np.linalg.norm(start.components_, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(start.module_.decoder.bias.detach(), 0, atol=1e-20)


def test_components_need_a_fit():
    with pytest.raises(NotFittedError):
        TopKAutoencoder().components_  # noqa: B018


def test_sparse_codes_beat_pca_with_as_many_numbers_a_row():
    train, test = train_test_split(load_digits().data, random_state=0)
    model = TopKAutoencoder(max_iter=30, random_state=0).fit(train)
    assert model.transform(test).shape[1] == 128
    assert model.score(test) > reconstruction_r2(PCA(8).fit(train), test) + 0.1  # 0.66


# ------------------------------------------------------------------ the largest of a batch


def encoder(k, n_units):
    module = TopKEncoder([n_units, n_units], "relu", "relu", k=k, over_batch=True, gathered=False)
    with torch.no_grad():
        module.weights[0].copy_(torch.eye(n_units))
    return module


def test_a_batch_keeps_n_k_units_and_the_threshold_is_the_mean_of_the_smallest(rng):
    module, noise = encoder(2, 5), torch.Generator()
    assert module.threshold.isnan()
    expected = None
    for _ in range(4):
        x = torch.from_numpy(rng.random((6, 5)).astype(np.float32))
        h = module(x, noise)
        assert (h != 0).sum() == 12
        smallest = np.sort(x.numpy().ravel())[-12]
        assert h[h != 0].min() == smallest
        expected = smallest if expected is None else 0.9 * expected + 0.1 * smallest
    assert module.threshold.item() == pytest.approx(expected, rel=1e-6)
    h = module(x)
    np.testing.assert_array_equal(h.detach(), np.where(x > expected, x, 0))
    module(torch.zeros(6, 5), noise)  # nothing is active, and nothing is learnt of it
    assert module.threshold.item() == pytest.approx(expected, rel=1e-6)


def test_a_row_is_encoded_without_looking_at_its_batch(digits):
    model = TopKAutoencoder(40, k=4, selection="batch", **{**QUICK, "max_iter": 20}).fit(digits)
    H = model.transform(digits)
    np.testing.assert_allclose(np.vstack([model.transform(x[None]) for x in digits[:20]]), H[:20], rtol=1e-5)
    n_active = (H != 0).sum(axis=1)
    assert n_active.mean() == pytest.approx(4, abs=0.5)
    assert len(np.unique(n_active)) > 3


def test_the_threshold_is_saved_with_the_model(X):
    model = TopKAutoencoder(12, k=4, selection="batch", **QUICK).fit(X)
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(again.module_.encoder.threshold, model.module_.encoder.threshold)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_rows_of_a_single_batch_are_merged_only_if_they_are_independent():
    assert TopKAutoencoder()._rows_are_independent()
    assert not TopKAutoencoder(selection="batch")._rows_are_independent()


# ------------------------------------------------------------------ dead units


def test_silent_rows_are_counted(rng):
    module, noise = encoder(1, 3), torch.Generator()
    module.over_batch = False
    first, second = torch.tensor([[3.0, 1, 0], [2, 1, 0]]), torch.tensor([[0.0, 1, 0]])
    module(first, noise)
    assert module.idle.tolist() == [0, 2, 2]
    module.propagate(second, noise)
    assert module.idle.tolist() == [1, 0, 3]
    module(second)
    assert module.idle.tolist() == [1, 0, 3], "only training counts"
    assert module.dead(2).tolist() == [2]
    assert module.dead(3).tolist() == []


def test_the_count_goes_on_over_calls_and_in_a_copy(X):
    model = TopKAutoencoder(40, k=1, random_state=0).partial_fit(X).partial_fit(X)
    idle = model.module_.encoder.idle
    assert idle.max() == 120
    assert torch.equal(pickle.loads(pickle.dumps(model)).module_.encoder.idle, idle)


def test_held_out_rows_are_not_asked_about_dead_units(X):
    model = TopKAutoencoder(12, k=4, **QUICK).fit(X)
    kill(model, [1, 5])
    batch, noise = Batch(torch.from_numpy(X).float()), torch.Generator()
    assert set(model._loss(model.module_, batch, None)) == {"reconstruction"}
    assert set(model._loss(model.module_, batch, noise)) == {"reconstruction", "auxiliary"}


def test_dead_units_see_what_the_encoder_sees(X):
    class Blind(TopKAutoencoder):
        """An encoder that is shown nothing in training."""

        def _corrupt(self, module, batch, rng):
            return batch if rng is None else batch._replace(corrupted=torch.zeros_like(batch.x))

    model = Blind(12, k=4, dtype="float64", auxiliary_weight=1.0, **QUICK).fit(X)
    kill(model, [5])
    with torch.no_grad():
        model.module_.encoder.biases[0][5] = 0.7
    x = torch.from_numpy(X)
    h = model.module_.encode(torch.zeros_like(x)).detach()
    eta = model.module_.decode(h) + 0.7 * torch.from_numpy(model.components_[5])
    terms, _, _ = gradients(model, Batch(x), by_hand=True)
    assert terms["auxiliary"] == pytest.approx(float((eta - x).square().sum(1).mean().detach()))


@pytest.mark.parametrize("n_dead", [2, 9])
def test_the_auxiliary_loss_is_the_error_that_the_dead_would_leave(n_dead, X):
    """||e - e_hat||^2 of Gao et al., e_hat from the 7 // 2 strongest of the dead units."""
    model = TopKAutoencoder(20, k=4, dtype="float64", auxiliary_weight=0.3, **QUICK).fit(X)
    units = list(range(n_dead))
    kill(model, units)
    x = (X - model.mean_) / model.scale_
    W, b = (p.detach().numpy() for p in next(model.module_.encoder.layers()))
    a = np.maximum(x @ W[units].T + b[units], 0)
    a[a < np.sort(a, axis=1)[:, [-min(n_dead, 3)]]] = 0
    e = (X - model.inverse_transform(model.transform(X))) / model.scale_
    expected = 0.3 * ((e - a @ model.components_[units]) ** 2).sum(axis=1).mean()
    terms, _, _ = gradients(model, Batch(torch.from_numpy(x)), by_hand=True)
    assert terms["auxiliary"] == pytest.approx(expected, rel=1e-10)


def test_the_auxiliary_loss_moves_dead_units_only(way, X):
    model = TopKAutoencoder(12, k=4, dtype="float64", unit_norm=False, **QUICK).fit(X)
    kill(model, [1, 5])
    batch = Batch(torch.from_numpy((X - model.mean_) / model.scale_))
    _, with_it, _ = gradients(model, batch, by_hand=True)
    _, without, _ = gradients(model.set_params(auxiliary_weight=0.0), batch, by_hand=True)
    difference = {name: with_it[name] - without[name] for name in with_it}
    atoms = difference["decoder.weight"] if way == "gathered" else difference["decoder.weight"].T
    for rows in (atoms, difference["encoder.weight_0"], difference["encoder.bias_0"]):
        assert set(np.flatnonzero(np.abs(rows.reshape(12, -1)).max(axis=1) > 1e-12)) == {1, 5}
    assert not difference["decoder.bias"].any()


def test_the_auxiliary_loss_revives_units(digits):
    dead = {}
    for weight in (0.0, 1.0):
        model = TopKAutoencoder(100, k=4, auxiliary_weight=weight, dead_after=500, warm_start=True, **QUICK)
        model.fit(digits)
        z = (digits - model.mean_) / model.scale_ @ model.module_.encoder.weights[0].detach().numpy().T
        with torch.no_grad():  # half of the units can be positive, but are not among the largest
            model.module_.encoder.biases[0][:50] = torch.from_numpy(-0.7 * z.max(axis=0)[:50]).float()
        assert (model.transform(digits)[:, :50] == 0).all(axis=0).mean() > 0.5
        model.set_params(max_iter=20).fit(digits)
        dead[weight] = (model.transform(digits) == 0).all(axis=0).mean()
    assert dead[1.0] < 0.6 * dead[0.0]


def test_the_auxiliary_loss_is_told_and_what_must_fall_is_the_reconstruction(X):
    model = TopKAutoencoder(40, k=1, dead_after=60, early_stopping=True, **QUICK).fit(X)
    history = {name: np.array(values) for name, values in model.history_.items()}
    np.testing.assert_allclose(history["loss"], history["reconstruction"] + history["auxiliary"])
    assert history["auxiliary"][0] == 0.0
    assert history["auxiliary"][-1] > 0.0
    still = TopKAutoencoder(40, k=1, dead_after=60, batch_size=60, max_iter=9, random_state=0).fit(X)
    assert still.loss_ <= min(still.history_["reconstruction"])
    assert set(TopKAutoencoder(auxiliary_weight=0.0, **QUICK).fit(X).history_) == {"loss", "reconstruction"}


def test_without_dead_units_the_auxiliary_loss_changes_nothing(X):
    one, two = (TopKAutoencoder(12, k=3, auxiliary_weight=w, **QUICK).fit(X) for w in (0.0, 1.0))
    np.testing.assert_array_equal(one.transform(X), two.transform(X))


# ------------------------------------------------------------------ with other recipes


@pytest.mark.parametrize("other", [SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder])
@pytest.mark.parametrize("first", [True, False])
def test_recipes_combine(other, first, X):
    bases = (TopKAutoencoder, other) if first else (other, TopKAutoencoder)
    both = type("Both", bases, {"__doc__": "Both."})(12, k=3, tied_weights=False, hidden_layer_sizes=(), **QUICK)
    H = both.fit(X).transform(X)
    assert (H != 0).sum(axis=1).max() == 3
    assert "auxiliary" in both.history_
    assert ("sparsity" in both.history_) == (other is SparseAutoencoder)
    np.testing.assert_array_equal(clone(both).fit(X).transform(X), H)


@pytest.mark.parametrize("options", [{"batch_norm": True, "hidden_layer_sizes": (8,)}, {"likelihood": "bernoulli"}])
def test_inherited_parameters_keep_their_meaning(options, X):
    model = TopKAutoencoder(12, k=3, **options, **QUICK).fit(X)
    kill(model, [0, 1, 2])
    model.partial_fit(X)
    assert (model.transform(X) != 0).sum(axis=1).max() == 3
    if "likelihood" in options:
        X_hat = model.inverse_transform(model.transform(X))
        assert 0 <= X_hat.min() < X_hat.max() <= 1


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 4, "k": 5}, r"k=5 is larger than n_components=4, the number of units: lower k\.$"),
        ({"k": 0}, "The 'k' parameter of TopKAutoencoder must be"),
        ({"k": "many"}, "The 'k' parameter of TopKAutoencoder must be"),
        ({"k": 2.0}, "The 'k' parameter of TopKAutoencoder must be"),
        ({"selection": "column"}, "The 'selection' parameter of TopKAutoencoder must be a str among"),
        ({"init": "pca"}, "The 'init' parameter of TopKAutoencoder must be a str among {.*}. Got 'pca'"),
        ({"auxiliary_weight": -1.0}, "The 'auxiliary_weight' parameter"),
        ({"dead_after": 0}, "The 'dead_after' parameter"),
        ({"unit_norm": "yes"}, "The 'unit_norm' parameter"),
        (
            {"tied_weights": True, "hidden_layer_sizes": (8,)},
            r"tied_weights=True needs an encoder without hidden .* \(8,\)\.$",
        ),
    ],
)
def test_bad_parameters_are_told_in_a_sentence_and_leave_nothing(options, message, X):
    model = TopKAutoencoder(**QUICK).set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert not hasattr(model, "module_")
    assert not hasattr(model, "mean_")


@pytest.mark.parametrize(("options", "name"), [({"k": 5}, "k"), ({"selection": "batch"}, "over_batch")])
def test_warm_start_refuses_another_selection(options, name, X):
    model = TopKAutoencoder(12, k=3, warm_start=True, **QUICK).fit(X)
    before = model.transform(X)
    with pytest.raises(ValueError, match=f"{name} changed since the last fit"):
        model.set_params(**options).fit(X)
    np.testing.assert_array_equal(model.transform(X), before)


# ------------------------------------------------------------------ the rate


@pytest.mark.parametrize("columns", [4, 64])
@pytest.mark.parametrize(("schedule", "share"), [("one_cycle", 1), ("cosine", 3)])
def test_the_rate_fits_the_entries_of_atoms(columns, schedule, share):
    X = load_digits().data[:40, 20 : 20 + columns] if columns == 4 else load_digits().data[:40]
    rate = min(0.15 / np.sqrt(columns), 0.03) / share
    model = TopKAutoencoder(12, learning_rate=schedule, **QUICK)
    auto, written = clone(model).fit(X), clone(model).set_params(learning_rate_init=rate).fit(X)
    np.testing.assert_array_equal(auto.transform(X), written.transform(X))


def test_a_network_with_hidden_layers_has_the_rate_of_dense_ones():
    X = load_digits().data[:40]
    model = TopKAutoencoder(12, hidden_layer_sizes=(8,), **QUICK)
    auto, written = clone(model).fit(X), clone(model).set_params(learning_rate_init=3e-3).fit(X)
    np.testing.assert_array_equal(auto.transform(X), written.transform(X))
