"""FilterDisplay: which filters are drawn, of which layer, as pictures and as heat maps, and what is refused."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import (
    RBM,
    Autoencoder,
    ConvolutionalAutoencoder,
    DeepBeliefNetwork,
    FineTunedClassifier,
    FineTunedRegressor,
    ReceptiveFieldAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    TopKAutoencoder,
    VariationalAutoencoder,
)
from skae.base import TorchEstimator
from skae.base.derivatives import first_layer_weights
from skae.inspection import FilterDisplay, optimal_stimulus


@pytest.fixture(scope="module")
def autoencoder(digits):
    return Autoencoder(5, hidden_layer_sizes=12, max_iter=3, random_state=0).fit(digits)


# -------------------------------------------------------------------- what filters are drawn


def test_stimuli_are_those_of_all_units(autoencoder):
    display = FilterDisplay.from_estimator(autoencoder, norm=3.0, random_state=0)
    np.testing.assert_array_equal(display.filters, optimal_stimulus(autoencoder, None, 3.0, random_state=0))
    assert display.titles == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(("units", "titles"), [([3, 1], ["3", "1"]), (2, ["2"]), (None, [str(k) for k in range(12)])])
def test_weights_are_those_of_the_first_layer(autoencoder, units, titles):
    display = FilterDisplay.from_estimator(autoencoder, kind="weights", units=units)
    W = first_layer_weights(autoencoder)
    np.testing.assert_array_equal(display.filters, W if units is None else np.atleast_2d(W[units]))
    assert display.titles == titles


def test_weights_and_stimuli_of_pca_are_its_components(pca):
    for kind in ("weights", "stimuli"):
        np.testing.assert_allclose(FilterDisplay.from_estimator(pca, kind=kind).filters, pca.components_)


# -------------------------------------------------------------------- nothing is blank

ESTIMATORS = {
    name
    for name, value in vars(skae).items()
    if name in skae.__all__ and isinstance(value, type) and issubclass(value, TorchEstimator)
}
NEED_ENCODERS = {"StackedAutoencoder", "FineTunedClassifier", "FineTunedRegressor"}
OF_TREES = {"RecursiveAutoencoder", "RecursiveAutoencoderClassifier"}
DEFAULTS = {
    **{name: getattr(skae, name)() for name in skae.__all__ if name in ESTIMATORS - NEED_ENCODERS - OF_TREES},
    "SparseAutoencoder, 100 units": SparseAutoencoder(100),
    "binary RBM": RBM(visible="bernoulli"),
    "ReceptiveFieldAutoencoder, pooled": ReceptiveFieldAutoencoder(4, image_shape=(8, 8), field_size=4, pool_size=2),
    "StackedAutoencoder": StackedAutoencoder([16, SparseAutoencoder(8)]),
    "FineTunedClassifier": FineTunedClassifier(SparseAutoencoder(20, max_iter=4)),
    "FineTunedRegressor": FineTunedRegressor(TopKAutoencoder(20, k=2, max_iter=4)),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_no_stimulus_is_blank_by_default(digits, name):
    """Units of sparse codes fall silent as training goes on. Those of top-k codes may die, which a warning tells."""
    X = digits[:150] / 16 if "binary" in name else digits[:150]
    model = DEFAULTS[name].set_params(max_iter=100 if name.startswith("Sparse") else 4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, np.arange(150) % 2)
    display = FilterDisplay.from_estimator(model, random_state=0)
    assert (np.ptp(display.filters, axis=1) > 0).all()


def test_every_estimator_is_drawn():
    assert {type(model).__name__ for model in DEFAULTS.values()} == ESTIMATORS - OF_TREES


def test_silent_units_are_told(digits):
    model = SparseAutoencoder(3, sparsity=0.0, max_iter=1, random_state=0).fit(digits)
    with torch.no_grad():
        model.module_.encoder.biases[0].copy_(torch.tensor([0.0, -1e9, -1e9]))
    with pytest.warns(UserWarning, match=r"drives units \[1, 2\], so that their pictures are blank"):
        FilterDisplay.from_estimator(model, random_state=0)
    with pytest.warns(UserWarning, match=r"drives units \[2\]"):
        FilterDisplay.from_estimator(model, units=[0, 2], random_state=0)
    with pytest.warns(UserWarning, match=r"drives units \[1\]"):
        FilterDisplay.from_estimator(model, units=1, random_state=0)


# -------------------------------------------------------------------- weights of higher layers


def slopes(transform, mean, n_features, step=1e-4):
    """Derivatives of a code at the mean, by differences."""
    steps = step * np.eye(n_features)
    return (transform(mean + steps) - transform(mean - steps)).T / (2 * step)


def fields(estimator, **options):
    return FilterDisplay.from_estimator(estimator, kind="weights", **options).filters


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_weights_of_an_rbm_are_its_components(digits, visible):
    model = RBM(5, visible=visible, max_iter=1, random_state=0).fit(digits / 16)
    np.testing.assert_array_equal(fields(model), model.components_)
    np.testing.assert_array_equal(fields(model, units=[3]), model.components_[[3]])


def test_stimuli_of_binary_units_are_their_components(digits):
    model = RBM(5, visible="bernoulli", dtype="float64", max_iter=1, random_state=0).fit(digits / 16)
    W = model.components_
    stimuli = FilterDisplay.from_estimator(model, norm=0.1, random_state=0).filters
    np.testing.assert_allclose(stimuli, 0.1 * W / np.linalg.norm(W, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("variant", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_a_linear_code_is_drawn_through_its_hidden_layers(iris, init, variant):
    options = {"activation": "identity", "init": init, "dtype": "float64", "max_iter": 3, "random_state": 0}
    model = variant(2, hidden_layer_sizes=(6, 5), **options).fit(iris)
    np.testing.assert_allclose(fields(model, layer=3), slopes(model.transform, model.mean_, 4), atol=1e-9)
    W1, W2, _ = (W.detach().numpy() for W in model.module_.encoder.weights)
    np.testing.assert_allclose(fields(model, layer=2), W2 @ W1 / model.scale_)


@pytest.mark.parametrize("fine_tune", [False, True])
def test_layers_of_a_linear_stack_are_slopes_of_their_codes(iris, fine_tune):
    def layer(k):
        return Autoencoder(k, activation="identity", hidden_layer_sizes=(6,), init="random", max_iter=2)

    stack = StackedAutoencoder(
        [layer(3), layer(2)], dtype="float64", fine_tune=fine_tune, max_iter=3, random_state=0
    ).fit(iris)
    np.testing.assert_allclose(fields(stack, layer=2), slopes(stack.transform, stack.mean_, 4), atol=1e-9)
    first = slopes(stack.layers_[0].transform, stack.mean_, 4)
    assert np.allclose(fields(stack), first) != fine_tune  # fine-tuning moved what was pretrained


def test_layers_of_a_stack_of_machines_are_drawn_through_each_other(digits):
    machines = [RBM(6, visible="bernoulli", max_iter=1), RBM(4, visible="bernoulli", max_iter=1)]
    stack = StackedAutoencoder(machines, fine_tune=False, random_state=0).fit(digits / 16)
    first, second = stack.layers_
    np.testing.assert_allclose(fields(stack), first.components_, rtol=1e-6)
    np.testing.assert_allclose(fields(stack, layer=2), second.components_ @ first.components_, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("labels", [False, True])
def test_layers_of_a_belief_network_are_drawn_through_each_other(digits, labels):
    y = np.arange(len(digits)) % 3 if labels else None
    network = DeepBeliefNetwork(
        4, hidden_layer_sizes=(6,), visible="bernoulli", labels=labels, max_iter=1, random_state=0
    ).fit(digits / 16, y)
    first, second = network.layers_
    np.testing.assert_allclose(fields(network), first.components_, rtol=1e-6)
    np.testing.assert_allclose(
        fields(network, layer=2), second.components_[:, :6] @ first.components_, rtol=1e-4, atol=1e-7
    )


def test_a_belief_network_without_hidden_layers_is_drawn_without_its_labels(digits):
    options = {"hidden_layer_sizes": (), "visible": "bernoulli", "labels": True, "max_iter": 1, "random_state": 0}
    network = DeepBeliefNetwork(4, **options).fit(digits / 16, np.arange(len(digits)) % 3)
    np.testing.assert_array_equal(fields(network), network.layers_[0].components_[:, :64])


def test_a_belief_network_of_gaussian_units_is_the_slope_of_its_fields(digits):
    network = DeepBeliefNetwork(
        4,
        hidden_layer_sizes=(6,),
        hidden="gaussian",
        learn_variances=True,
        dtype="float64",
        max_iter=2,
        random_state=0,
    ).fit(digits)
    sigma = np.exp(network.layers_[0].module_.log_scale.detach().numpy()) * network.scale_
    expected = slopes(network.transform, network.mean_, 64) * sigma  # gaussian units are linear
    np.testing.assert_allclose(fields(network, layer=2), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("layer", [0, 4, -1, 1.0, None, "2"])
def test_a_layer_that_is_not_there_is_refused(iris, layer):
    model = Autoencoder(2, hidden_layer_sizes=(6, 5), max_iter=1, random_state=0).fit(iris)
    with pytest.raises(
        ValueError, match="none of the 3 layers with receptive fields of Autoencoder: pass a whole number from 1 to"
    ):
        fields(model, layer=layer)
    with pytest.raises(ValueError, match="layer=2 is none of the 1 layers with receptive fields of PCA"):
        fields(PCA(2).fit(iris), layer=2)


def test_stacks_of_maps_have_no_filters_of_whole_rows(digits):
    stack = StackedAutoencoder([ConvolutionalAutoencoder(2, code="map", channels=(), max_iter=1)], fine_tune=False)
    with pytest.raises(TypeError, match="StackedAutoencoder has no components_ and no dense first layer"):
        fields(stack.set_params(random_state=0).fit(digits))


# -------------------------------------------------------------------- pictures


def pictures(display, n, height, width):
    """Cut the mosaic where its frames say that pictures are."""
    (frames,) = display.ax_.get_lines()
    corners = np.column_stack(frames.get_data()).reshape(n, -1, 2)[:, 0] + 0.5
    assert (corners % 1 == 0).all()
    mosaic = display.image_.get_array()
    return [mosaic[int(y) : int(y) + height, int(x) : int(x) + width] for x, y in corners]


def test_each_picture_reaches_the_ends_of_the_map(rng):
    filters = rng.standard_normal((7, 20)) * np.arange(7)[:, None]
    display = FilterDisplay(filters=filters, image_shape=(5, 4), n_columns=3).plot()
    drawn = pictures(display, 7, 5, 4)
    assert (drawn[0] == 0).all()
    for picture, row in zip(drawn[1:], filters[1:], strict=True):
        np.testing.assert_allclose(picture, (row / abs(row).max()).reshape(5, 4))
    assert display.image_.get_clim() == (-1.0, 1.0)
    assert len(display.figure_.axes) == 1


def test_a_shared_scale_keeps_the_ratios_and_has_a_bar(rng):
    filters = rng.standard_normal((4, 16)) * np.arange(1, 5)[:, None]
    display = FilterDisplay(filters=filters, image_shape="auto").plot(shared_scale=True)
    drawn = pictures(display, 4, 4, 4)
    np.testing.assert_allclose(drawn, filters.reshape(4, 4, 4) / abs(filters).max())
    (bar,) = (ax for ax in display.figure_.axes if ax is not display.ax_)
    end = f"{abs(filters).max():.3g}"
    assert [tick.get_text() for tick in bar.get_yticklabels()] == [f"-{end}", "0", end]


@pytest.mark.parametrize("titled", [False, True])
@pytest.mark.parametrize(
    ("n", "n_columns", "expected"), [(9, None, (3, 3)), (5, None, (2, 3)), (5, 9, (1, 5)), (5, 1, (5, 1))]
)
def test_pictures_stand_in_lines_with_gaps(n, n_columns, expected, titled):
    titles = [f"unit {k}" for k in range(n)] if titled else None
    display = FilterDisplay(filters=np.ones((n, 16)), image_shape=(4, 4), n_columns=n_columns, titles=titles).plot()
    mosaic = display.image_.get_array()
    assert mosaic.count() == n * 16  # all else is blank
    x, y = np.nonzero(~mosaic.mask.all(axis=0))[0], np.nonzero(~mosaic.mask.all(axis=1))[0]
    assert (len(y) / 4, len(x) / 4) == expected
    assert [text.get_text() for text in display.ax_.texts] == (titles or [])
    (right, left), (bottom, top) = display.ax_.get_xlim()[::-1], display.ax_.get_ylim()
    assert left <= x.min() - 0.5
    assert x.max() + 0.5 <= right
    assert top <= y.min() - 0.5
    assert y.max() + 0.5 <= bottom


def test_titles_stand_above_their_pictures_and_apart_from_others(rng):
    display = FilterDisplay(filters=rng.standard_normal((6, 64)), image_shape=(8, 8), titles=list("abcdef")).plot()
    display.figure_.canvas.draw()
    (frames,) = display.ax_.get_lines()
    x, y = np.moveaxis(np.column_stack(frames.get_data()).reshape(6, -1, 2)[:, :5], 2, 0)
    for k, text in enumerate(display.ax_.texts):
        box = text.get_window_extent().transformed(display.ax_.transData.inverted())
        assert x[k].min() < (box.x0 + box.x1) / 2 < x[k].max()
        assert max(box.y0, box.y1) <= y[k].min()
        if k >= 3:
            assert min(box.y0, box.y1) >= y[k - 3].max()


def test_many_pictures_have_no_titles():
    filters = np.ones((41, 16))
    display = FilterDisplay(filters=filters, image_shape=(4, 4), titles=[str(k) for k in range(41)]).plot()
    assert not display.ax_.texts


def test_colours_are_grey_at_zero(rng):
    filters = rng.standard_normal((3, 48))
    filters[0] = 0.0
    display = FilterDisplay(filters=filters, image_shape=(4, 4, 3), n_columns=3).plot(shared_scale=True)
    drawn = pictures(display, 3, 4, 4)
    assert (drawn[0] == 0.5).all()
    np.testing.assert_allclose(drawn, 0.5 + 0.5 * filters.reshape(3, 4, 4, 3) / abs(filters).max())
    assert len(display.figure_.axes) == 1


@pytest.mark.parametrize(
    ("told", "drawn"),
    [((16, 4), (16, 4)), ((1, 4, 16), (4, 16)), ((4, 4, 4), None), (None, "auto"), ("auto", "auto"), (64, "auto")],
)
def test_auto_asks_the_estimator_for_the_shape(digits, told, drawn):
    estimator = PCA(2).fit(digits)
    estimator.image_shape = told
    display = FilterDisplay.from_estimator(estimator, kind="weights")
    assert display.image_shape == drawn


# -------------------------------------------------------------------- heat maps


def test_tables_are_heat_maps_with_names(iris):
    frame = pd.DataFrame(iris, columns=["a", "b", "c", "d"])
    model = Autoencoder(2, hidden_layer_sizes=3, max_iter=2, random_state=0).fit(frame)
    display = FilterDisplay.from_estimator(model, kind="weights", units=[2, 0])
    W = first_layer_weights(model)[[2, 0]]
    np.testing.assert_allclose(display.image_.get_array(), W / abs(W).max(axis=1, keepdims=True))
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == list("abcd")
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["2", "0"]
    (bar,) = (ax for ax in display.figure_.axes if ax is not display.ax_)
    assert [tick.get_text() for tick in bar.get_yticklabels()] == ["-max", "0", "max"]


def test_many_names_are_numbers():
    display = FilterDisplay(
        filters=np.ones((41, 41)), titles=[f"u{k}" for k in range(41)], feature_names=[f"x{k}" for k in range(41)]
    ).plot()
    display.figure_.canvas.draw()
    for axis in (display.ax_.xaxis, display.ax_.yaxis):
        texts = [tick.get_text() for tick in axis.get_ticklabels()]
        assert not any(text[:1] in "ux" for text in texts if text)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Feature", "Unit")


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (300, 5), (3, 500)])
def test_heat_maps_of_any_size_are_drawn(shape):
    display = FilterDisplay(filters=np.ones(shape)).plot(shared_scale=True)
    display.figure_.canvas.draw()
    box = display.ax_.get_window_extent()
    assert box.width > 50
    assert box.height > 50


# -------------------------------------------------------------------- bad filters


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"filters": np.ones(4)}, r"filters of shape \(4,\) cannot be drawn"),
        ({"filters": np.ones((0, 4))}, r"filters of shape \(0, 4\) cannot be drawn"),
        ({"filters": np.full((2, 4), np.nan)}, "pass finite numbers"),
        ({"filters": np.ones((2, 4)), "titles": ["a"]}, "titles has 1 names, but the filters need 2"),
        ({"filters": np.ones((2, 4)), "feature_names": ["a"]}, "feature_names has 1 names, but the filters need 4"),
        ({"filters": np.ones((2, 16)), "n_columns": 0}, "n_columns=0 must be a whole number of at least 1"),
        ({"filters": np.ones((2, 16)), "n_columns": 1.5}, "n_columns=1.5 must be a whole number"),
        ({"filters": np.ones((2, 6)), "image_shape": (2, 2)}, r"image_shape=\(2, 2\) has 4 numbers, but X has 6"),
        ({"filters": np.ones((2, 6)), "image_shape": (6,)}, r"image_shape=\(6,\) is not the shape of a picture"),
    ],
)
def test_bad_filters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        FilterDisplay(**parameters).plot()
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kind": "filters"}, 'kind=\'filters\' is unknown: pass "stimuli" or "weights"'),
        ({"units": 5}, "There is no unit 5 among 5"),
        ({"units": [0, 12], "kind": "weights"}, r"There is no unit \[0, 12\] among 12"),
        ({"norm": 0.0}, "norm=0.0 must be a positive number"),
        ({"image_shape": (3, 3)}, r"image_shape=\(3, 3\) has 9 numbers, but X has 64"),
    ],
)
def test_bad_choices_are_refused(autoencoder, parameters, message):
    with pytest.raises(ValueError, match=message):
        FilterDisplay.from_estimator(autoencoder, **parameters)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("kind", "message"), [("stimuli", "Pipeline has no derivative"), ("weights", "Pipeline has no components_")]
)
def test_estimators_without_filters_are_refused(iris, kind, message):
    with pytest.raises(TypeError, match=message):
        FilterDisplay.from_estimator(make_pipeline(StandardScaler(), PCA(2)).fit(iris), kind=kind)
