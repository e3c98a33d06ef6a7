"""StackedAutoencoder: against its layers one by one, a pipeline, and PCA."""

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from seen import seen
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import (
    AdversariallyRegularizedAutoencoder,
    Autoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    ReceptiveFieldAutoencoder,
    SemiSupervisedAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    TopKAutoencoder,
    compare,
)

FIELDS = {"field_size": 2, "max_iter": 2, "random_state": 0}


def dense(width, **options):
    return Autoencoder(width, **{"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0, **options})


def image(width, **options):
    return ConvolutionalAutoencoder(
        width, **{"code": "map", "channels": (), "max_iter": 2, "random_state": 0, **options}
    )


KINDS = {
    "dense": lambda: [dense(6), dense(3)],
    "three": lambda: [dense(10, code_activation="tanh"), dense(5, batch_norm=True), dense(2, dropout=0.2)],
    "others": lambda: [
        DenoisingAutoencoder(12, hidden_layer_sizes=(8,), max_iter=3, random_state=0),
        SparseAutoencoder(20, max_iter=3, random_state=0),
        TopKAutoencoder(16, k=4, selection="batch", max_iter=3, random_state=0),
    ],
    "logistic": lambda: [
        dense(9, likelihood="bernoulli", code_activation="logistic"),
        dense(4, likelihood="bernoulli", code_activation="logistic"),
    ],
    "maps": lambda: [image(3), image(4, image_shape="auto")],
    "fields": lambda: [
        ReceptiveFieldAutoencoder(4, **{**FIELDS, "image_shape": (8, 8), "stride": 2, "pool_size": 2}),
        ReceptiveFieldAutoencoder(3, **FIELDS),
    ],
}


@pytest.fixture(params=KINDS)
def layers(request):
    return KINDS[request.param]()


@pytest.fixture
def X(digits):
    return digits[:120] / 16


def stack(layers, **options):
    return StackedAutoencoder(layers, **{"max_iter": 3, "random_state": 0, **options})


def fitted_in_turn(layers, X):
    """The layers fitted by hand: the oracle of pretraining."""
    fitted = []
    for layer in map(clone, layers):
        maps = getattr(fitted[-1] if fitted else None, "code_shape_", ())
        if len(maps) == 3:
            layer.set_params(image_shape=maps)
        fitted.append(layer.fit(X))
        X = fitted[-1].transform(X)
    return fitted


def table(model, X, weight=None):
    """All rows as the network sees them."""
    return seen(model, X, weight=weight)[:]


def reconstruction(model, batch):
    return float(model._loss(model.module_, batch, None)["reconstruction"].detach())


# ------------------------------------------------------------------ oracles


def test_without_fine_tuning_a_stack_is_its_layers_in_turn(layers, X):
    model = stack(layers, fine_tune=False).fit(X)
    pipe = make_pipeline(*fitted_in_turn(layers, X))
    H = pipe.transform(X)
    np.testing.assert_array_equal(model.transform(X), H)
    # A layer alone returns float64, and float32 inside a stack.
    np.testing.assert_allclose(model.inverse_transform(H), pipe.inverse_transform(H), atol=1e-5)
    assert model.history_ == {}
    assert model.n_iter_ == 0
    for layer, (_, expected) in zip(model.layers_, pipe.steps, strict=True):
        assert layer.history_ == expected.history_


def test_a_stack_of_one_is_that_estimator_to_the_last_bit(digits):
    X = digits + 1e6  # centred before it is cast, or little would be left of it
    for layer in (dense(5), dense(5, early_stopping=True), SparseAutoencoder(80, max_iter=2, random_state=3)):
        expected = clone(layer).fit(X)
        model = stack([layer], fine_tune=False).fit(X)
        np.testing.assert_array_equal(model.transform(X), expected.transform(X))
        np.testing.assert_array_equal(model.score_samples(X), expected.score_samples(X))
        assert model.loss_ == pytest.approx(-expected.score_samples(X).mean() / expected.scale_**2, rel=1e-4)


@pytest.mark.filterwarnings("ignore:.*The loss was still falling")
def test_every_solver_fine_tunes(X):
    before = stack([dense(5), dense(2)], fine_tune=False).fit(X).loss_
    for solver, rate in [("lbfgs", 1.0), ("sgd", 1e-2), ("adamw", 1e-2)]:
        model = stack([dense(5), dense(2)], solver=solver, learning_rate_init=rate, max_iter=15).fit(X)
        assert model.loss_ < 0.99 * before
        assert len(model.layers_[0].history_["loss"]) == 3


@pytest.mark.filterwarnings("ignore:.*The loss was still falling")
def test_fine_tuning_one_layer_goes_on_with_its_own_training(X):
    """With nothing but a reconstruction, training together is the training of the only layer."""
    training = {"solver": "sgd", "momentum": 0.0, "learning_rate": "constant", "learning_rate_init": 1e-3}
    training |= {"batch_size": 50}
    whole = dense(5, max_iter=8, **training).fit(X[:50])
    model = stack([dense(5, max_iter=4, **training)], max_iter=4, **training).fit(X[:50])
    np.testing.assert_allclose(model.transform(X), whole.transform(X), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.history_["loss"], whole.history_["loss"][4:], rtol=1e-5)


def test_the_unrolled_network_starts_where_the_layers_ended(layers, X):
    before = stack(layers, fine_tune=False).fit(X)
    model = stack(layers, learning_rate_init=1e-12, max_iter=1).fit(X)
    assert model.loss_ == pytest.approx(before.loss_, rel=1e-5)
    np.testing.assert_allclose(model.transform(X), before.transform(X), atol=1e-5)


def test_fine_tuning_brings_the_loss_down_and_leaves_the_layers_alone(layers, X):
    before = stack(layers, fine_tune=False).fit(X)
    after = stack(layers, max_iter=15, learning_rate_init=0.01, weight_decay=0.0).fit(X)
    assert after.loss_ < before.loss_
    for one, two in zip(before.layers_, after.layers_, strict=True):
        for a, b in zip(one.module_.parameters(), two.module_.parameters(), strict=True):
            assert torch.equal(a, b)


def test_every_weight_is_fine_tuned(layers, X):
    model = stack(layers, fine_tune=False, dtype="float64").fit(X)
    model._flat.grad.zero_()
    model._step(model.module_, table(model, X), None)
    for stage in model.module_.stages:
        for name, parameter in stage.coder.named_parameters():
            assert parameter.grad.abs().max() > 0, name


def test_gradients_are_those_of_finite_differences(X):
    model = stack([dense(5), dense(2)], fine_tune=False, dtype="float64").fit(X)
    batch = table(model, X, np.linspace(0, 2, len(X)))
    theta, grad = model._flat.theta, model._flat.grad.zero_()
    model._step(model.module_, batch, None)
    for i in range(0, len(theta), 97):
        losses = []
        for step in (1e-6, -1e-6):
            theta[i] += step
            losses.append(reconstruction(model, batch))
            theta[i] -= step
        assert float(grad[i]) == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-4, abs=1e-7)


def test_linear_layers_span_the_subspace_of_pca(X):
    at_start = {"hidden_layer_sizes": (), "max_iter": 1, "learning_rate_init": 1e-12}
    layers = [dense(20, **at_start), dense(4, **at_start)]
    model = stack(layers, fine_tune=False, dtype="float64").fit(X)
    pca = PCA(4).fit(X)
    expected = pca.inverse_transform(pca.transform(X))
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), expected, atol=5e-3)
    tuned = stack(layers, max_iter=30).fit(X)
    assert tuned.score(X) == pytest.approx(1 - ((X - expected) ** 2).sum() / ((X - X.mean(0)) ** 2).sum(), abs=1e-3)


def test_the_objective_is_the_likelihood_of_the_lowest_layer(X):
    model = stack(KINDS["logistic"]()).fit(X)
    X_hat = model.inverse_transform(model.transform(X)).astype(float)
    cross_entropy = -(X * np.log(X_hat) + (1 - X) * np.log(1 - X_hat)).sum(1).mean()
    assert reconstruction(model, table(model, X)) == pytest.approx(cross_entropy, rel=1e-5)
    assert model._frame.centred is False


# ------------------------------------------------------------------ layers


def test_widths_are_autoencoders(X):
    model = stack([10, 2]).fit(X)
    expected = Autoencoder(10, hidden_layer_sizes=(128,), max_iter=25).get_params()
    made = model.layers_[0].get_params()
    assert {name: made[name] for name in expected if name != "random_state"} == {
        name: value for name, value in expected.items() if name != "random_state"
    }
    assert [layer.n_components for layer in model.layers_] == [10, 2]
    assert model.layers == [10, 2]


def test_n_components_is_the_width_of_the_last_layer(X):
    assert stack([dense(5), dense(2)], n_components=3).fit(X).transform(X).shape == (120, 3)
    assert stack([dense(5), 2], n_components=np.int64(4)).fit(X).transform(X).shape == (120, 4)
    assert StackedAutoencoder(n_components=8).layers == (64, 16, 2)


def test_layers_are_cloned_and_seeded_apart(X):
    given = [Autoencoder(6, max_iter=1), Autoencoder(6, max_iter=1), dense(6, random_state=7)]
    model = stack(given).fit(X)
    seeds = [layer.random_state for layer in model.layers_]
    assert len(set(seeds)) == 3
    assert seeds[2] == 7
    assert given[0].random_state is None
    assert not hasattr(given[0], "module_")
    assert stack(given, random_state=1).fit(X).layers_[0].random_state != seeds[0]


def test_a_stack_takes_its_precision_to_the_layers(X):
    model = stack([dense(5), dense(2, dtype="float32")], dtype="float64").fit(X)
    assert {layer.transform(layer.mean_[None]).dtype.name for layer in model.layers_} == {"float64"}
    assert model.transform(X).dtype == np.float64


def test_maps_are_handed_on(X):
    model = stack([image(3), ConvolutionalAutoencoder(5, channels=(4,), max_iter=2)]).fit(X)
    assert model.layers_[0].code_shape_ == (3, 4, 4)
    assert model.layers_[1].image_shape_ == (3, 4, 4)
    assert model.transform(X).shape == (120, 5)
    assert stack([image(3), image(2)]).fit(X).transform(X).shape == (120, 2 * 2 * 2)


def test_a_shape_that_is_given_is_kept(X):
    model = stack([image(4), image(2, image_shape=(1, 8, 8))]).fit(X)
    assert model.layers_[1].image_shape_ == (1, 8, 8)


def test_a_stack_in_a_stack(X):
    inner = stack([dense(8), dense(5)])
    model = stack([inner, dense(2)], fine_tune=False).fit(X)
    expected = fitted_in_turn([inner, dense(2)], X)
    np.testing.assert_array_equal(model.transform(X), expected[1].transform(expected[0].transform(X)))
    assert pickle.loads(pickle.dumps(model)).score(X) == model.score(X)


def test_a_layer_that_turns_into_an_autoencoder_is_unrolled_as_that(X):
    class Machine(Autoencoder):
        """An estimator whose own decoder is not the one of its autoencoder."""

        def to_autoencoder(self):
            twin = clone(Autoencoder(6, hidden_layer_sizes=(), max_iter=1, random_state=0)).fit(X)
            for mine, other in zip(twin.module_.parameters(), self.module_.parameters(), strict=True):
                mine.data.copy_(other.data + 0.5)
            return twin

    machine = Machine(6, hidden_layer_sizes=(), max_iter=1, random_state=0)
    model = stack([machine], fine_tune=False).fit(X)
    twin = clone(machine).fit(X).to_autoencoder()
    assert type(model.layers_[0]) is Machine
    np.testing.assert_array_equal(model.transform(X), twin.transform(X))


@pytest.mark.parametrize("fine_tune", [True, False])
def test_weights_of_rows_reach_every_layer(X, fine_tune):
    weight = np.arange(120.0) % 7
    model = stack([dense(5), dense(2)], dtype="float64", fine_tune=fine_tune).fit(X, sample_weight=weight)
    codes = model.layers_[0].transform(X)
    np.testing.assert_allclose(model.mean_, np.average(X, axis=0, weights=weight), atol=1e-12)
    np.testing.assert_allclose(model.layers_[1].mean_, np.average(codes, axis=0, weights=weight), atol=1e-9)


def test_inputs_of_all_kinds(X):
    layers = [dense(5), dense(2)]
    expected = stack(layers).fit(X)
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    for other in (frame, sparse.csr_array(X), torch.from_numpy(X.copy())):
        np.testing.assert_allclose(stack(layers).fit(other).transform(other), expected.transform(X), atol=1e-5)
    one = stack(layers).fit(X[:1])
    assert np.isfinite(one.transform(X)).all()


# ------------------------------------------------------------------ parameters


def test_parameters_of_layers_are_reached_by_name():
    model = StackedAutoencoder([SparseAutoencoder(20), ("top", Autoencoder(2)), 3])
    params = model.get_params()
    assert (params["layer1__sparsity"], params["top__n_components"], params["layer3"]) == (0.3, 2, 3)
    assert "layer1" not in model.get_params(deep=False)
    model.set_params(layer1__sparsity=0.1, top=Autoencoder(4), top__max_iter=7, layer3=5)
    assert model.layers[0].sparsity == 0.1
    assert model.layers[1][0] == "top"
    assert (model.layers[1][1].n_components, model.layers[1][1].max_iter, model.layers[2]) == (4, 7, 5)


def test_replacing_a_layer_changes_no_list_of_others():
    given = [3, 2]
    one, two = StackedAutoencoder(given), StackedAutoencoder(given)
    assert one.set_params(layer1=9).layers == [9, 2]
    assert two.layers == given == [3, 2]
    assert StackedAutoencoder().set_params(layer2=8).layers == (64, 8, 2)
    assert StackedAutoencoder.layers == (64, 16, 2)


def test_clone_copies_the_layers():
    model = StackedAutoencoder([("bottom", SparseAutoencoder(20)), 2])
    other = clone(model).set_params(bottom__sparsity=1.0)
    assert model.layers[0][1].sparsity == 0.3
    assert other.layers[0][1].sparsity == 1.0


def test_unknown_parameters_are_told():
    with pytest.raises(ValueError, match="Invalid parameter 'layer4'"):
        StackedAutoencoder().set_params(layer4=2)
    with pytest.raises(ValueError, match="Invalid parameter 'sparsty'"):
        StackedAutoencoder([SparseAutoencoder()]).set_params(layer1__sparsty=2)
    with pytest.raises(ValueError, match="layer1__max_iter is not a parameter, because layer1 is the width 64"):
        StackedAutoencoder().set_params(layer1__max_iter=3)


def test_grid_search_over_layers(X):
    model = stack([SparseAutoencoder(6, max_iter=2), 2], max_iter=2)
    grid = [{"layer1__sparsity": [0.0, 1e3], "layer2": [2, 4]}, {"n_components": [1]}]
    search = GridSearchCV(model, grid, cv=2).fit(X)
    assert search.best_params_ == {"layer1__sparsity": 0.0, "layer2": 4}
    assert search.best_estimator_.transform(X).shape == (120, 4)


def test_compare_sets_the_width(X):
    result = compare(X, reducers=[stack([4, 2], max_iter=2)], n_components=[1, 3], cv=2)
    assert {model.transform(X).shape[1] for (name, _), model in result.estimators.items() if name != "PCA"} == {1, 3}


# ------------------------------------------------------------------ going on


def test_warm_start_goes_on_without_pretraining(X):
    model = stack([dense(5), dense(2)], warm_start=True).fit(X)
    layers = model.layers_
    model.fit(X)
    assert model.layers_ is layers
    assert model.n_iter_ == 6


def test_fine_tuning_can_come_later(X):
    model = stack([dense(5), dense(2)], warm_start=True, fine_tune=False).fit(X)
    before = model.loss_
    model.set_params(fine_tune=True).fit(X)
    assert model.loss_ < before
    assert model.n_iter_ == 3
    direct = stack([dense(5), dense(2)]).fit(X)
    np.testing.assert_allclose(model.loss_, direct.loss_, rtol=0.05)


def test_warm_start_refuses_other_layers(X):
    model = stack([dense(5), ("top", dense(2))], warm_start=True).fit(X)
    for change in ({"layer1__activation": "relu"}, {"layers": [dense(5), dense(2)]}, {"top": SparseAutoencoder(2)}):
        with pytest.raises(ValueError, match="layers changed since the last fit"):
            clone_fitted(model).set_params(**change).fit(X)
    with pytest.raises(ValueError, match=r"^n_components changed since the last fit"):
        clone_fitted(model).set_params(top__n_components=3).fit(X)
    clone_fitted(model).set_params(n_components=2).fit(X)


def clone_fitted(model):
    return pickle.loads(pickle.dumps(model))


def test_partial_fit_pretrains_on_the_first_chunk(X):
    model = stack([dense(5), dense(2)]).partial_fit(X[:60])
    layers = model.layers_
    assert len(layers[0].history_["loss"]) == 3
    model.partial_fit(X[60:])
    assert model.layers_ is layers
    assert model.n_iter_ == 2
    with pytest.raises(ValueError, match="fine_tune=False leaves out: use fit"):
        model.set_params(fine_tune=False).partial_fit(X)
    assert not hasattr(model.set_params(solver="lbfgs"), "partial_fit")


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "layers is empty"),
        ((), "layers is empty"),
        ("dense", "must be an instance of 'list' or an instance of 'tuple'"),
        (8, "must be an instance of 'list' or an instance of 'tuple'"),
        ([8, 0], "layer2 is 0: a layer is a width of at least 1"),
        ([True], "layer1 is True: a layer is"),
        ([2.5], "layer1 is 2.5: a layer is"),
        ([PCA(2)], r"layer1 is PCA\(n_components=2\): a layer is"),
        ([Autoencoder], "layer1 is <class .*Autoencoder.*>: a layer is"),
        ([("a", "b")], "a is 'b': a layer is"),
        (("top", Autoencoder(2)), "layer1 is 'top': a layer is"),
        ([4, SemiSupervisedAutoencoder(2)], "layer2 is a SemiSupervisedAutoencoder, which learns from y"),
        ([AdversariallyRegularizedAutoencoder(2, likelihood="tokens")], "layer1 has likelihood='tokens', but a stack"),
        ([("a", 3), ("a", 2)], "Two layers are named 'a'"),
        ([("layer2", 3), 2], "Two layers are named 'layer2'"),
        ([("solver", 3)], "A layer cannot be named 'solver'"),
        ([("a__b", 3)], "A layer cannot be named 'a__b'"),
        ([4, SparseAutoencoder(2, sparsity=-1.0)], "layer2: The 'sparsity' parameter of SparseAutoencoder must be"),
        ([image(3), image(2, image_shape=(5, 5))], r"layer2: image_shape=\(5, 5\) has 25 pixels, but X has 48"),
        ([7, image(2)], "layer2: image_shape='auto' reads rows as squares, but X has 7 columns"),
        ([dense(3, learning_rate_init=1e30)], "layer1: The loss term .* became"),
    ],
)
def test_what_cannot_be_stacked_is_told(X, layers, message):
    model = StackedAutoencoder(layers, max_iter=1)
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert not [name for name in vars(model) if name.endswith("_")]


def test_an_error_leaves_the_last_fit_as_it_was(X):
    model = stack([dense(5), dense(2)]).fit(X)
    before = model.transform(X)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((9, 64), np.nan))
    with pytest.raises(ValueError, match="layer2: The loss term"):
        model.set_params(layer2__learning_rate_init=1e30).fit(X)
    np.testing.assert_array_equal(model.transform(X), before)


def test_rows_of_another_width_are_refused(X):
    model = stack([dense(5), dense(2)]).fit(X)
    with pytest.raises(ValueError, match="X has 63 features"):
        model.transform(X[:, 1:])
    with pytest.raises(ValueError, match="has codes of 2 columns"):
        model.inverse_transform(X)


def test_codes_that_a_likelihood_cannot_describe_warn_once(X):
    told_once = r"layer2: the code of layer1 has values outside \[0, 1\] in row \d+, .*: give layer1 a code within it"
    with pytest.warns(UserWarning, match=told_once) as told:
        stack([dense(5), dense(2, likelihood="bernoulli")]).fit(X)
    assert len(told) == 1
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="layer1: X has values outside"):
        stack([dense(5, likelihood="bernoulli")]).fit(X - 1)


def test_warnings_of_a_layer_bear_its_name_and_the_users_line(X):
    with pytest.warns(ConvergenceWarning, match="layer2: The loss was still falling after max_iter=3") as told:
        stack([dense(5), dense(2, learning_rate="constant")]).fit(X)
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    "error",
    [
        json.JSONDecodeError("no JSON", "abc", 1),
        UnicodeDecodeError("utf-8", b"abc", 0, 1, "no text"),
        KeyError("absent"),
        TypeError("no number"),
    ],
)
def test_an_error_that_needs_more_than_a_message_stays_as_it_is(X, error):
    def fail(rows, rng):
        raise error

    model = stack([dense(5), ("noisy", DenoisingAutoencoder(2, corruption=fail, max_iter=1))])
    with pytest.raises(type(error)) as caught:
        model.fit(X)
    assert caught.value is error
    assert getattr(error, "__notes__", ["This happened in noisy."]) == ["This happened in noisy."]


def test_while_layers_learn_the_filters_of_the_process_stay_in_force(X):
    """They are not of one thread only, so that a thread that puts them back later would undo another's."""
    seen = []

    def look(rows, rng):
        seen.append((warnings.filters, warnings.showwarning))
        return rows

    before = (warnings.filters, warnings.showwarning)
    stack([DenoisingAutoencoder(2, corruption=look, max_iter=1)], random_state=0).fit(X)
    assert seen
    assert all(now is then for pair in seen for now, then in zip(pair, before, strict=True))


def test_a_start_trains_no_layer(iris):
    stack = StackedAutoencoder([4, 2], max_iter=3, random_state=0)
    stack._fit(iris, None, None, train=False)
    assert [layer.history_ for layer in stack.layers_] == [{}, {}]
    assert stack.history_ == {}
    assert stack.max_iter == 3
    stack.fit(iris)
    assert all(layer.history_ for layer in stack.layers_)
