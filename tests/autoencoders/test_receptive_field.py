"""ReceptiveFieldAutoencoder: local filters, pooling and normalisation against loops, and edges from raw patches."""

import math
import pickle

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_sample_images
from sklearn.decomposition import FastICA
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.pipeline import make_pipeline

from skae import ReceptiveFieldAutoencoder
from skae.engine.data import Batch
from skae.nn.receptive_field import LocallyConnected, contrast_normalise, l2_pool, unpool

GEOMETRIES = [
    {"image_shape": (1, 5, 1), "field_size": (5, 1), "stride": (1, 1)},
    {"image_shape": (1, 6, 6), "field_size": (3, 3), "stride": (1, 1)},
    {"image_shape": (2, 7, 5), "field_size": (3, 2), "stride": (2, 1)},
    {"image_shape": (3, 4, 6), "field_size": (2, 2), "stride": (2, 2)},
]
QUICK = {"max_iter": 3, "random_state": 0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape):
    return torch.randn(shape, generator=generator(1), dtype=torch.float64)


def layer(geometry, n_filters=3):
    made = LocallyConnected(n_filters=n_filters, **geometry).double()
    made.initialise(generator())
    return made


def corners(geometry):
    """Rows and columns at which fields begin, in the order of positions."""
    (_, height, width), (fh, fw), (sh, sw) = geometry.values()
    return [(i, j) for i in range(0, height - fh + 1, sh) for j in range(0, width - fw + 1, sw)]


def dense_matrix(made, geometry):
    """The locally connected layer as one matrix with zeros, rows ordered by position and filter."""
    fh, fw = geometry["field_size"]
    rows = []
    for (i, j), filters in zip(corners(geometry), made.weight.detach().numpy(), strict=True):
        for w in filters:
            image = np.zeros(geometry["image_shape"])
            image[:, i : i + fh, j : j + fw] = w.reshape(-1, fh, fw)
            rows.append(image.ravel())
    return np.array(rows)


# ------------------------------------------------------------------ the layers, against loops


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_filters_and_their_transpose_are_a_matrix_with_zeros(geometry):
    made = layer(geometry)
    W = dense_matrix(made, geometry)
    x = normal(math.prod(geometry["image_shape"]), 4)
    h = made(x)
    assert h.shape == (*made.grid, 3, 4)
    np.testing.assert_allclose(h.detach().numpy().reshape(-1, 4), W @ x.numpy(), atol=1e-12)
    np.testing.assert_allclose(made.transpose(h).detach().numpy(), W.T @ W @ x.numpy(), atol=1e-12)


def test_weights_are_not_shared_between_positions():
    made = layer(GEOMETRIES[1])
    x = normal(36, 2)
    before = made(x).detach().clone()
    with torch.no_grad():
        made.weight[6] += 1.0  # the third position of the second row of four
    changed = (made(x) != before).all(-1).all(-1)
    assert changed.nonzero().tolist() == [[1, 2]]


def test_a_new_layer_keeps_lengths():
    made = layer({"image_shape": (1, 20, 20), "field_size": (10, 10), "stride": (1, 1)}, n_filters=20)
    x = normal(400, 50)
    with torch.no_grad():
        assert 0.8 < float((made.transpose(made(x)) * x).sum() / x.square().sum()) < 1.2


@pytest.mark.parametrize(("size", "stride"), [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((2, 2), (2, 1)), ((4, 5), (1, 1))])
def test_pooling_is_the_norm_of_neighbours(size, stride):
    h = normal(4, 5, 2, 3)
    pooled = l2_pool(h, size, stride, 0.01)
    for i, top in enumerate(range(0, 4 - size[0] + 1, stride[0])):
        for j, left in enumerate(range(0, 5 - size[1] + 1, stride[1])):
            window = h[top : top + size[0], left : left + size[1]]
            expected = torch.sqrt(0.01 + window.square().sum((0, 1)))
            torch.testing.assert_close(pooled[i, j], expected)
    assert pooled.shape[:2] == (i + 1, j + 1)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (9, 9)])
def test_contrast_normalisation_is_that_of_jarrett(size):
    p = normal(4, 5, 2, 3) * 0.01  # small enough for the least contrast to matter
    height, width, n_maps, _ = p.shape

    def average(q, i, j):
        total = weights = 0.0
        for u in range(height):
            for v in range(width):
                if abs(u - i) <= size[0] // 2 and abs(v - j) <= size[1] // 2:
                    w = math.exp(-8 * ((u - i) ** 2 / size[0] ** 2 + (v - j) ** 2 / size[1] ** 2))
                    total, weights = total + w * sum(q[u, v, k] for k in range(n_maps)) / n_maps, weights + w
        return total / weights

    positions = [(i, j) for i in range(height) for j in range(width)]
    g = torch.stack([p[i, j] - average(p, i, j) for i, j in positions]).view_as(p)
    y = [g[i, j] / average(g**2, i, j).sqrt().clamp(min=0.01) for i, j in positions]
    torch.testing.assert_close(contrast_normalise(p, size), torch.stack(y).view_as(p))


def test_contrast_normalisation_takes_away_brightness_and_contrast():
    p = normal(5, 5, 2, 3)
    torch.testing.assert_close(contrast_normalise(7 * p + 3, (3, 3)), contrast_normalise(p, (3, 3)))
    assert contrast_normalise(torch.ones_like(p), (3, 3)).abs().max() < 1e-12


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (2, 1), (3, 1), (3, 3), (4, 2), (5, 3)])
def test_each_position_is_told_by_the_nearest_window(size, stride):
    middles = torch.arange(4.0, dtype=torch.float64) * stride + (size - 1) / 2
    told = unpool(middles[:, None, None, None], (size, 1), (stride, 1)).flatten()
    positions = torch.arange(3 * stride + size)
    nearest = (positions[:, None] - middles).abs().amin(1)
    torch.testing.assert_close((positions - told).abs(), nearest)


# ------------------------------------------------------------------ the objective


def rica_cost(W, Z, lam, eps):
    """Le, Karpenko, Ngiam and Ng (2011), in mean over the rows, written down as it is printed."""
    reconstruction = sparsity = 0.0
    for z in Z:
        reconstruction += ((W.T @ (W @ z) - z) ** 2).sum() / len(Z)
        sparsity += sum(np.sqrt(eps + (w @ z) ** 2) for w in W) / len(Z)
    return reconstruction, lam * sparsity


def fitted(X, n_components=3, **options):
    return ReceptiveFieldAutoencoder(n_components, dtype="float64", **QUICK, **options).fit(X)


def loss(model, X, weight=None):
    batch = Batch(torch.from_numpy((X - model.mean_) / model.scale_), weight)
    return model._loss(model.module_, batch, None)


def test_one_field_without_pooling_is_rica(iris):
    model = fitted(iris, n_components=6, sparsity=0.7, eps=0.02, whitening=None)
    W = model.module_.filters.weight.detach().numpy()[0]
    expected = rica_cost(W, (iris - model.mean_) / model.scale_, 0.7, 0.02)
    terms = loss(model, iris)
    np.testing.assert_allclose([terms["reconstruction"].item(), terms["sparsity"].item()], expected, rtol=1e-12)


def test_the_history_tells_rica_of_the_start(iris):
    model = fitted(iris, n_components=2, whitening=None, batch_size=200)
    start = LocallyConnected((4, 1, 1), 2, (1, 1), (1, 1)).double()
    start.initialise(generator(int(np.random.RandomState(0).randint(2**31 - 1))))
    expected = rica_cost(start.weight.detach().numpy()[0], (iris - model.mean_) / model.scale_, 0.5, 0.01)
    told = [model.history_["reconstruction"][0], model.history_["sparsity"][0]]
    np.testing.assert_allclose(told, expected, rtol=1e-10)


POOLED = {"image_shape": (6, 6), "field_size": 3, "pool_size": 2}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [POOLED, {**POOLED, "pool_stride": 2}, {**POOLED, "pool_size": 1, "stride": 3}])
def test_the_gradient_is_that_of_the_closed_form(rng, options, weighted):
    X = rng.normal(size=(9, 36))
    model = fitted(X, **options)
    module = model.module_
    w = rng.random(9) if weighted else np.ones(9)
    x = torch.from_numpy((X - model.mean_) / model.scale_)
    module.filters.weight.grad.zero_()
    model._step(module, Batch(x, torch.from_numpy(w) if weighted else None), generator())

    filters = module.filters
    image = {"image_shape": (1, 6, 6), "field_size": (3, 3), "stride": filters_stride(options)}
    W = dense_matrix(filters, image)
    Z = module.whiten(x).numpy()
    H = W @ Z
    R = (W.T @ H - Z) * w
    pools = pool_matrix(filters.grid, options["pool_size"], options.get("pool_stride", 1), n_filters=3)
    slope = H * (pools.T @ (1 / np.sqrt(0.01 + pools @ H**2))) * w
    gradient = (2 * (H @ R.T + W @ R @ Z.T) + 0.5 * slope @ Z.T) / 9
    gradient *= W != 0  # zeros of the matrix are no weights
    np.testing.assert_allclose(filters.weight.grad.numpy().ravel(), gradient[W != 0], atol=1e-10)


def filters_stride(options):
    return (options.get("stride", 1),) * 2


def pool_matrix(grid, size, stride, n_filters):
    """Ones where a unit, ordered by position and filter, is in a window."""
    rows = []
    for top in range(0, grid[0] - size + 1, stride):
        for left in range(0, grid[1] - size + 1, stride):
            for k in range(n_filters):
                member = np.zeros((*grid, n_filters))
                member[top : top + size, left : left + size, k] = 1
                rows.append(member.ravel())
    return np.array(rows)


def test_orthonormal_filters_reconstruct_without_error(iris):
    model = fitted(iris, n_components=4)
    with torch.no_grad():
        model.module_.filters.weight.copy_(torch.linalg.qr(normal(4, 4))[0])
    assert loss(model, iris)["reconstruction"] < 1e-20
    assert model.score(iris) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(model.inverse_transform(model.transform(iris)), iris, atol=1e-12)


def test_weights_of_rows_are_repetitions(iris):
    X, weight = iris[:30], np.arange(30) % 3
    options = {"image_shape": (2, 2), "field_size": (1, 2), "pool_size": (2, 1)}
    one = ReceptiveFieldAutoencoder(2, dtype="float64", **options, **QUICK).fit(X, sample_weight=weight)
    two = clone(one).fit(X.repeat(weight, axis=0))
    np.testing.assert_allclose(one.transform(X), two.transform(X), rtol=1e-10)
    codes = one.transform(X)
    np.testing.assert_allclose(one.inverse_transform(codes), two.inverse_transform(codes), rtol=1e-8)


# ------------------------------------------------------------------ whitening


@pytest.mark.parametrize("n_rows", [200, 4])
def test_whitened_data_have_unit_variance_where_there_is_some(rng, n_rows):
    X = rng.normal(size=(n_rows, 6)) @ rng.normal(size=(6, 6))
    model = fitted(X, whitening=0.01)
    x = torch.from_numpy((X - model.mean_) / model.scale_)
    C = (x.T @ x / len(x)).numpy()
    Z = model.module_.whiten(x).numpy()
    np.testing.assert_allclose(Z @ Z.T / len(X), C @ np.linalg.inv(C + 0.01 * np.eye(6)), atol=1e-10)
    np.testing.assert_allclose(Z.T @ model.module_.colouring.numpy(), x.numpy(), atol=1e-10)


def test_independent_components_are_found_like_fast_ica(rng):
    S = rng.laplace(size=(2000, 4))
    X = S @ rng.normal(size=(4, 4))

    def recovered(codes):
        return np.abs(np.corrcoef(S.T, codes.T)[:4, 4:]).max(axis=1).min()

    model = ReceptiveFieldAutoencoder(4, sparsity=1.0, whitening=1e-4, max_iter=60, random_state=0)
    assert recovered(FastICA(4, random_state=0).fit_transform(X)) > 0.99
    assert recovered(model.fit_transform(X)) > 0.99
    assert recovered(model.set_params(max_iter=1).fit_transform(X)) < 0.9


# ------------------------------------------------------------------ what the estimator gives out


def test_the_derivative_of_the_code_is_the_filters(digits):
    model = ReceptiveFieldAutoencoder(2, image_shape=(8, 8), field_size=4, stride=4, dtype="float64", **QUICK)
    values = model.fit(digits).jacobian_singular_values(digits[:2])
    np.testing.assert_allclose(values, [np.linalg.svd(model.components_)[1]] * 2, atol=1e-10)


@pytest.mark.parametrize("whitening", [None, 0.1])
def test_components_are_the_filters_in_units_of_x(digits, whitening):
    model = ReceptiveFieldAutoencoder(
        2, image_shape=(8, 8), field_size=4, stride=2, whitening=whitening, dtype="float64", **QUICK
    ).fit(digits)
    assert model.components_.shape == (2 * 9, 64)
    np.testing.assert_allclose(model.transform(digits), (digits - model.mean_) @ model.components_.T, atol=1e-10)
    if whitening is None:  # without a whitening they end with the field
        images = model.components_.reshape(2, 3, 3, 8, 8)
        assert images[:, 0, 1, :4, 2:6].all()
        assert np.count_nonzero(images[:, 0, 1]) == 2 * 16


def test_pooled_codes_forget_signs_and_normalised_ones_lengths(rng):
    X = rng.normal(size=(40, 36))
    model = fitted(X, **POOLED)
    step = X - model.mean_
    np.testing.assert_allclose(model.transform(model.mean_ + step), model.transform(model.mean_ - step), atol=1e-10)
    assert (model.transform(X) > 0).all()
    model = fitted(X, **{**POOLED, "pool_size": 1}, contrast_size=3)
    np.testing.assert_allclose(model.transform(model.mean_ + 9 * step), model.transform(X), atol=1e-8)


def test_the_code_is_an_image_with_a_channel_for_each_filter(digits):
    """Unit (k, i, j) of the code looks at the field at (i, j), the channels lying one after the other."""
    model = ReceptiveFieldAutoencoder(
        3, image_shape=(8, 8), field_size=4, stride=2, pool_size=1, whitening=None, **QUICK
    ).fit(digits)
    X = digits.copy().reshape(-1, 8, 8)
    X[:, :2] += 5.0  # the first two rows of pixels are in the upper fields only
    moved = model.transform(X.reshape(-1, 64)) != model.transform(digits)
    np.testing.assert_array_equal(np.unique(moved.reshape(-1, 3, 3, 3).all(axis=(0, 1, 3))), [False, True])
    assert moved.reshape(-1, 3, 3, 3)[:, :, 0].all()
    assert not moved.reshape(-1, 3, 3, 3)[:, :, 1:].any()


@pytest.mark.parametrize("contrast_size", [None, 3])
def test_a_pooled_code_is_decoded_by_least_squares(rng, contrast_size):
    """At each position the responses are regressed on the code of the window whose middle is nearest."""
    X = rng.normal(size=(300, 36)) ** 3
    model = fitted(X, **POOLED, contrast_size=contrast_size)
    module = model.module_
    x = torch.from_numpy((X - model.mean_) / model.scale_)
    H = module.responses(x).detach().numpy().reshape(-1, 3, 4, 4)
    C = model.transform(X).reshape(-1, 3, 3, 3)
    estimated = np.empty_like(H)
    for i in range(4):
        for j in range(4):
            A = np.c_[C[:, :, min(i, 2), min(j, 2)], np.ones(len(X))]
            estimated[:, :, i, j] = A @ np.linalg.lstsq(A, H[:, :, i, j], rcond=None)[0]
    rows = module.filters.transpose(torch.from_numpy(estimated).permute(2, 3, 1, 0)).T @ module.colouring
    np.testing.assert_allclose(
        model.inverse_transform(model.transform(X)), rows.detach().numpy() * model.scale_ + model.mean_, atol=1e-8
    )
    assert 0 < model.score(X) < 0.5


def test_the_shape_of_the_code_is_known_before_fit(digits):
    assert ReceptiveFieldAutoencoder(5).code_shape_ == (5, 1, 1)
    model = ReceptiveFieldAutoencoder(
        5, image_shape=(8, 8), field_size=(4, 2), stride=2, pool_size=(2, 1), pool_stride=(1, 1), **QUICK
    )
    assert model.code_shape_ == (5, 2, 4)
    assert model.fit_transform(digits).shape == (400, 40)
    model.set_params(n_components=7)
    assert model.code_shape_ == (5, 2, 4)  # of the filters that were fitted
    assert len(model.get_feature_names_out()) == 40


def test_three_stages_in_a_pipeline(digits):
    first = ReceptiveFieldAutoencoder(4, image_shape=(8, 8), field_size=3, pool_size=2, contrast_size=3, **QUICK)
    second = ReceptiveFieldAutoencoder(3, image_shape=first.code_shape_, field_size=2, pool_size=2, **QUICK)
    third = ReceptiveFieldAutoencoder(6, image_shape=second.code_shape_, field_size=3, **QUICK)
    assert [stage.code_shape_ for stage in (first, second, third)] == [(4, 5, 5), (3, 3, 3), (6, 1, 1)]
    pipe = make_pipeline(first, second, third).fit(digits)
    H = pipe.transform(digits)
    assert H.shape == (400, 6)
    assert pipe.inverse_transform(H).shape == (400, 64)
    by_hand = digits
    for stage in (first, second, third):
        by_hand = clone(stage).fit_transform(by_hand)
    np.testing.assert_array_equal(H, by_hand)


def test_sizes_may_be_arrays(digits):
    options = {"stride": 2, "pool_size": 2, **QUICK}
    one = ReceptiveFieldAutoencoder(2, image_shape=(8, 8), field_size=4, **options)
    two = ReceptiveFieldAutoencoder(2, image_shape=np.array([1, 8, 8]), field_size=np.array([4, 4]), **options)
    np.testing.assert_array_equal(one.fit_transform(digits), two.fit_transform(digits))


def test_pooled_filters_are_saved_go_on_and_can_be_warm(digits):
    model = ReceptiveFieldAutoencoder(
        2, image_shape=(8, 8), field_size=4, pool_size=2, contrast_size=3, warm_start=True, **QUICK
    )
    H = model.fit_transform(digits)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.transform(digits), H)
    np.testing.assert_array_equal(other.inverse_transform(H), model.inverse_transform(H))
    model.partial_fit(digits[:50])
    np.testing.assert_array_equal(other.partial_fit(digits[:50]).transform(digits), model.transform(digits))
    with pytest.raises(ValueError, match="pool_size changed since the last fit"):
        model.set_params(pool_size=1).fit(digits)


def test_held_out_rows_are_scored_by_the_same_objective(digits):
    model = ReceptiveFieldAutoencoder(
        2, image_shape=(8, 8), field_size=4, pool_size=2, early_stopping=True, max_iter=8, random_state=0
    ).fit(digits)
    assert model.history_["validation_loss"][-1] < model.history_["validation_loss"][0]


# ------------------------------------------------------------------ edges


@pytest.fixture(scope="module")
def patches():
    """Grey patches of 12 x 12 pixels, 2,000 from each of the two photographs, as they are."""
    photographs = [image.mean(axis=2) for image in load_sample_images().images]
    cut = [extract_patches_2d(image, (12, 12), max_patches=2000, random_state=0) for image in photographs]
    return np.concatenate(cut).reshape(-1, 144)


def orientation_selectivity(filters):
    """Length of the mean of exp(2 i angle) over a filter's power spectrum: 0 for noise, 1 for a grating."""
    power = np.abs(np.fft.fft2(filters.reshape(-1, 12, 12), s=(32, 32))) ** 2
    fy, fx = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
    power[:, 0, 0] = 0.0
    angle = np.arctan2(fy, fx)
    return np.abs((power * np.exp(2j * angle)).sum((1, 2))) / power.sum((1, 2))


def bandwidth(filters):
    """Spread of a filter's power around its mean frequency, in cycles a pixel."""
    power = np.abs(np.fft.fft2(filters.reshape(-1, 12, 12), s=(32, 32))) ** 2
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    power /= power.sum((1, 2), keepdims=True)
    mean = (power * radius).sum((1, 2), keepdims=True)
    return np.sqrt((power * (radius - mean) ** 2).sum((1, 2)))


@pytest.mark.filterwarnings("ignore:The reconstruction of the training rows is no better")  # so large is the penalty
@pytest.mark.parametrize(
    "options", [{"n_components": 32}, {"n_components": 3, "field_size": 8, "stride": 2, "pool_size": 2}]
)
def test_filters_of_natural_patches_are_oriented_edges(patches, options):
    model = ReceptiveFieldAutoencoder(**options, image_shape=(12, 12), sparsity=1.0, random_state=0, max_iter=20)
    start = clone(model)
    start._fit(patches, None, None, train=False)
    before, after = start.components_, model.fit(patches).components_
    assert np.median(orientation_selectivity(after)) > 1.5 * np.quantile(orientation_selectivity(before), 0.9)
    assert np.quantile(bandwidth(after), 0.9) < np.quantile(bandwidth(before), 0.1)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_shape": (5, 5)}, r"image_shape=\(5, 5\) has 25 pixels, but X has 64 columns\."),
        ({"image_shape": (64,)}, r"image_shape=\(64,\) is neither \(height, width\) nor \(channels, height, width\)\."),
        ({"image_shape": (1, 1, 8, 8)}, "is neither .height, width. nor .channels, height, width."),
        ({"image_shape": (8.5, 8)}, r"image_shape=\(8\.5, 8\) has 8\.5 in it: every size must be a whole number"),
        ({"image_shape": (-8, -8)}, "every size must be a whole number of at least 1"),
        ({"image_shape": (8, 8), "field_size": 9}, r"field_size=\(9, 9\) is larger than the image, \(8, 8\): lower it"),
        ({"field_size": 4}, r"field_size=\(4, 4\) is larger than the image, \(1, 1\)"),
        ({"image_shape": (8, 8), "field_size": (2, 2, 2)}, "must be one number, or height and width"),
        ({"image_shape": (8, 8), "field_size": (2, 0)}, "every size must be a whole number of at least 1"),
        (
            {"image_shape": (8, 8), "field_size": 2, "stride": 3},
            r"stride=\(3, 3\) is larger than field_size=\(2, 2\) and leaves gaps: lower it\.",
        ),
        (
            {"image_shape": (8, 8), "field_size": 4, "stride": 3},
            r"stride=\(3, 3\) never reaches the end of the image, \(8, 8\), with field_size=\(4, 4\): choose steps "
            r"that divide 8 - 4\.",
        ),
        (
            {"image_shape": (8, 8), "field_size": 6, "pool_size": (2, 4)},
            r"pool_size=\(2, 4\) is larger than the grid of fields, \(3, 3\): lower it\.",
        ),
        ({"image_shape": (8, 8), "field_size": 5, "pool_stride": 2}, "pool_stride=.* leaves gaps"),
        ({"image_shape": (8, 8), "field_size": 4, "pool_size": 2, "pool_stride": 2}, "pool_stride=.* never reaches"),
        ({"pool_size": 2}, r"pool_size=\(2, 2\) is larger than the grid of fields, \(1, 1\)"),
        ({"image_shape": (8, 8), "field_size": 4, "contrast_size": 2}, "must be odd, so that the window has a middle"),
        ({"n_components": 1, "contrast_size": 3}, "the code has only one unit: use None"),
        ({"sparsity": -1.0}, "'sparsity' parameter"),
        ({"eps": 0.0}, "'eps' parameter"),
        ({"whitening": 0.0}, "'whitening' parameter"),
        ({"stride": "2"}, "'stride' parameter"),
        ({"pool_size": 0}, "'pool_size' parameter"),
    ],
)
def test_bad_parameters_are_told_in_one_sentence(digits, options, message):
    model = ReceptiveFieldAutoencoder(**options, **QUICK)
    with pytest.raises(ValueError, match=message):
        model.fit(digits)
    assert not hasattr(model, "module_")
    assert not hasattr(model, "mean_")


def test_a_covariance_that_is_too_large_is_refused_before_it_is_made():
    X = np.zeros((2, 5_001))
    with pytest.raises(ValueError, match=r"a covariance of 5001 x 5001 numbers: pass whitening=None"):
        ReceptiveFieldAutoencoder(1, **QUICK).fit(X)
    assert ReceptiveFieldAutoencoder(1, whitening=None, **QUICK).fit(X).transform(X).shape == (2, 1)


def test_codes_of_another_width_are_refused(digits):
    model = ReceptiveFieldAutoencoder(2, image_shape=(8, 8), field_size=4, **QUICK).fit(digits)
    with pytest.raises(ValueError, match="has codes of 50 columns"):
        model.inverse_transform(np.zeros((3, 2)))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_wide_rows_are_refused_before_anything_of_their_size_squared_is_made(method, monkeypatch):
    def build(self):
        raise AssertionError("the module would hold two matrices of 14 GB")

    monkeypatch.setattr(ReceptiveFieldAutoencoder, "_new_module", build)
    X = sparse.csr_array((3, 60_000))
    sentence = refuses(ReceptiveFieldAutoencoder(), method, X)
    assert sentence.startswith("whitening would decompose a covariance of 60000 x 60000 numbers: pass whitening=None")
    with pytest.raises(AssertionError, match="two matrices"):
        ReceptiveFieldAutoencoder(whitening=None).fit(X)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_decoder_knows_all_chunks(weighted, rng):
    """At weights that no step moves, chunks lead to the decoder of one pass over all rows."""
    X, weight = rng.standard_normal((60, 16)), rng.uniform(0.5, 2.0, 60) if weighted else np.ones(60)
    options = {"image_shape": (4, 4), "field_size": 2, "pool_size": 2, "dtype": "float64", "random_state": 0}
    model = ReceptiveFieldAutoencoder(2, learning_rate_init=1e-300, max_iter=1, warm_start=True, **options)
    for rows in (slice(0, 40), slice(40, 58), slice(58, 60)):
        model.partial_fit(X[rows], sample_weight=weight[rows])
    H = model.transform(X)
    of_chunks = model.inverse_transform(H)
    of_all = model.fit(X, sample_weight=weight).inverse_transform(H)
    np.testing.assert_allclose(of_chunks, of_all, rtol=1e-6, atol=1e-9)
    alone = model.fit(X[58:]).inverse_transform(H)
    assert np.abs(alone - of_all).max() > 0.1


@pytest.mark.parametrize(("shape", "size", "pixels"), [(None, None, 64), ((8, 8), 6, 36), ((4, 4, 4), 4, 64)])
def test_the_rate_fits_the_pixels_of_a_field(rng, shape, size, pixels):
    X = rng.standard_normal((40, 64))
    model = ReceptiveFieldAutoencoder(4, image_shape=shape, field_size=size, **QUICK)
    auto = clone(model).fit(X)
    written = clone(model).set_params(learning_rate_init=0.15 / pixels**0.5).fit(X)
    np.testing.assert_array_equal(auto.transform(X), written.transform(X))
