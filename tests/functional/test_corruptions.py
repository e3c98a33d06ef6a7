"""Each corruption against its law: how much it selects, and what stands there afterwards."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse, stats
from seen import seen

from skae import DenoisingAutoencoder
from skae.functional.corruptions import SELECTIVE, any_of_variable, gaussian, select, uniform_numbers

GROUPS = (3, 1, 2)
MEMBER = torch.tensor([0, 0, 0, 1, 2, 2])
N, D = 4000, 6
QUICK = {"hidden_layer_sizes": (6,), "max_iter": 2, "random_state": 0}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def real(n=N, d=D, seed=5):
    return torch.randn((n, d), generator=seeded(seed), dtype=torch.float64)


def one_hot(n=N, seed=0):
    """Rows of one-hot groups, as OneHotEncoder makes them."""
    columns = np.random.default_rng(seed)
    return np.hstack([np.eye(size)[columns.integers(0, size, n)] for size in GROUPS])


def corrupted(name, x, level, seed=0, member=None):
    """What an estimator does with a batch, by the functions alone."""
    rng = seeded(seed)
    limits = torch.stack([x.amin(0), x.amax(0)])
    selected = select(x, level, rng, member)
    return SELECTIVE[name](x, selected, lambda: uniform_numbers(x, rng, member), limits), selected


def require_rate(hits, trials, p):
    """A count that a binomial law of probability p would give but for one time in a million."""
    assert stats.binomtest(int(hits), int(trials), p).pvalue > 1e-6, f"{hits} of {trials} and not {p:g}"


every_name = pytest.mark.parametrize("name", SELECTIVE)


# ------------------------------------------------------------------ which entries


@pytest.mark.parametrize("level", [0.01, 0.15, 0.5, 0.9])
@pytest.mark.parametrize("member", [None, MEMBER], ids=["columns", "groups"])
def test_entries_are_selected_with_the_probability_asked_for(level, member):
    selected = select(real(), level, seeded(), member)
    first_columns = range(D) if member is None else (0, 3, 4)
    for column in first_columns:
        require_rate(selected[:, column].sum(), N, level)
    if member is None:  # and independently: pairs of columns, and of neighbouring rows
        for other in range(1, D):
            require_rate((selected[:, 0] & selected[:, other]).sum(), N, level**2)
        require_rate((selected[:-1:2] & selected[1::2]).sum(), N // 2 * D, level**2)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_nothing_or_all_is_selected_at_the_ends(level):
    assert (select(real(), level, seeded()) == bool(level)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1), (5, 7), (2, 2)], ids=str)
def test_any_shape_can_be_selected(shape):
    x = torch.zeros(shape)
    hits = sum(select(x, 0.5, seeded(seed)).sum() for seed in range(200))
    require_rate(hits, 200 * x.numel(), 0.5)
    assert select(x, 0.5, seeded()).shape == shape


def test_columns_of_one_variable_are_selected_together():
    for choice in (select(real(), 0.3, seeded(), MEMBER), uniform_numbers(real(), seeded(), MEMBER)):
        assert torch.equal(choice[:, 0], choice[:, 1])
        assert torch.equal(choice[:, 0], choice[:, 2])
        assert torch.equal(choice[:, 4], choice[:, 5])
        assert not torch.equal(choice[:, 0], choice[:, 3])
        assert not torch.equal(choice[:, 3], choice[:, 4])


def test_one_column_selects_its_variable():
    selected = torch.tensor([[0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 1], [1, 1, 0, 0, 0, 0]], dtype=torch.bool)
    expected = [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]]
    assert torch.equal(any_of_variable(selected, MEMBER), torch.tensor(expected, dtype=torch.bool))
    assert any_of_variable(selected, None) is selected


def test_uniform_numbers_are_uniform():
    u = uniform_numbers(real(), seeded())
    assert u.shape == (N, D)
    assert stats.kstest(u.numpy().ravel(), stats.uniform.cdf).pvalue > 1e-4


# ------------------------------------------------------------------ what stands there afterwards


@every_name
@pytest.mark.parametrize("member", [None, MEMBER], ids=["columns", "groups"])
def test_untouched_entries_stay_and_the_input_is_not_written_to(name, member):
    x = real()
    before = x.clone()
    x_tilde, selected = corrupted(name, x, 0.3, member=member)
    assert torch.equal(x, before)
    assert torch.equal(x_tilde[~selected], x[~selected])
    assert x_tilde.shape == x.shape
    assert x_tilde.dtype == x.dtype


@every_name
def test_a_generator_repeats_and_another_differs(name):
    one, two, other = (corrupted(name, real(), 0.3, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_masking_is_zero():
    x_tilde, selected = corrupted("masking", real(), 0.3)
    assert (x_tilde[selected] == 0).all()


def test_gaussian_noise_is_normal_and_independent():
    x = real()
    noise = ((gaussian(x, 0.7, seeded()) - x) / 0.7).numpy()
    assert stats.kstest(noise.ravel(), stats.norm.cdf).pvalue > 1e-4
    correlation = np.corrcoef(np.hstack([noise, x]).T) - np.eye(2 * D)
    assert np.abs(correlation).max() < 5 / np.sqrt(N)
    assert torch.equal(gaussian(x, 0.7, seeded()), gaussian(x, 0.7, seeded()))
    assert torch.equal(gaussian(x, 0.0, seeded()), x)


def test_salt_and_pepper_is_the_least_or_the_greatest_value_by_a_fair_coin():
    x = real()
    x_tilde, selected = corrupted("salt_and_pepper", x, 0.3)
    low, high = ((x_tilde == end) & selected for end in (x.amin(0), x.amax(0)))
    assert torch.equal(low | high, selected)
    require_rate(low.sum(), selected.sum(), 0.5)
    flipped = low[:, 0][selected[:, 0] & selected[:, 1]] == low[:, 1][selected[:, 0] & selected[:, 1]]
    require_rate(flipped.sum(), len(flipped), 0.5)  # a coin an entry, not a row


def test_a_swapped_value_is_that_of_another_row_of_the_same_column():
    n = 40
    x = torch.arange(n * D, dtype=torch.float64).reshape(D, n).t().contiguous()  # every value tells row and column
    from_rows = torch.zeros(n, n, dtype=torch.long)
    for seed in range(50):
        x_tilde, selected = corrupted("swap", x, 1.0, seed)
        rows, columns = (x_tilde % n).long(), (x_tilde // n).long()
        assert torch.equal(columns, torch.arange(D).expand(n, D))
        assert (rows != torch.arange(n)[:, None]).all()
        assert selected.all()
        from_rows.index_put_((torch.arange(n)[:, None].expand(n, D), rows), torch.tensor(1), accumulate=True)
    counts = from_rows[~torch.eye(n, dtype=torch.bool)].reshape(n, n - 1)
    assert stats.chisquare(counts.numpy(), axis=1).pvalue.min() > 1e-6  # every other row is as likely


@pytest.mark.parametrize("name", ["swap", "bert"])
@pytest.mark.parametrize("n", [1, 2])
def test_few_rows_can_be_swapped(name, n):
    x = real(n) + 10
    for seed in range(20):
        x_tilde, _ = corrupted(name, x, 1.0, seed)
        for i, row in enumerate(x_tilde):
            own, other = row == x[i], row == x[n - 1 - i]
            assert (own | other | ((row == 0) & (name == "bert"))).all()
    if name == "swap":
        assert torch.equal(x_tilde, x.flip(0))  # of two rows each has the other's values, one keeps its own


def test_bert_masks_eight_in_ten_swaps_one_and_keeps_one():
    n = 20_000
    x = real(n) + 10  # no entry is zero, or equal to another
    x_tilde, selected = corrupted("bert", x, 0.15)
    masked, kept = x_tilde == 0, x_tilde == x
    swapped = ~masked & ~kept
    for hits, share in ((masked, 0.12), (swapped, 0.015), (selected & kept, 0.015)):
        require_rate(hits.sum(), n * D, share)
    for column in range(D):
        assert np.isin(x_tilde[swapped[:, column], column], x[:, column]).all()


@every_name
def test_groups_stay_one_hot_or_become_empty(name):
    x = torch.from_numpy(one_hot())
    x_tilde, selected = corrupted(name, x, 0.4, member=MEMBER)
    bounds = np.cumsum((0, *GROUPS))
    for start, stop in pairwise(bounds):
        chosen = selected[:, start]
        totals = x_tilde[:, start:stop].sum(1)
        assert (totals[~chosen] == 1).all()
        expected = {"masking": {0.0}, "swap": {1.0}, "bert": {0.0, 1.0}, "salt_and_pepper": {0.0, float(stop - start)}}
        assert set(totals[chosen].tolist()) <= expected[name]


# ------------------------------------------------------------------ by an estimator


@pytest.fixture
def X(rng):
    """Columns of other means and spreads."""
    return rng.standard_normal((300, 4)) * [1.0, 2.0, 0.5, 1.0] + [0.0, 10.0, -5.0, 100.0]


def estimator(name, level=0.3, **options):
    return DenoisingAutoencoder(corruption=name, corruption_level=level, **{**QUICK, **options})


@pytest.mark.parametrize("name", [*SELECTIVE, "gaussian"])
def test_corrupt_is_on_the_scale_of_x_and_repeats(name, X):
    model = estimator(name, dtype="float64").fit(X)
    before = X.copy()
    X_tilde = model.corrupt(X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(model.corrupt(X), X_tilde)  # the estimator's seed
    np.testing.assert_array_equal(model.corrupt(X, random_state=0), X_tilde)
    assert not np.array_equal(model.corrupt(X, random_state=1), X_tilde)
    changed = ~np.isclose(X_tilde, X, rtol=1e-12, atol=1e-12)
    if name == "gaussian":
        noise = (X_tilde - X) / (0.3 * model.scale_)
        assert stats.kstest(noise.ravel(), stats.norm.cdf).pvalue > 1e-4
        return
    require_rate(changed.sum(), X.size, {"bert": 0.27}.get(name, 0.3))
    means, values = np.broadcast_to(X.mean(0), X.shape), X_tilde[changed]
    if name == "masking":
        np.testing.assert_allclose(values, means[changed], rtol=1e-12, atol=1e-12)
    if name == "salt_and_pepper":
        ends = [np.isclose(X_tilde, end, rtol=1e-12, atol=1e-12) for end in (X.min(0), X.max(0))]
        assert (ends[0] | ends[1])[changed].all()
    if name == "swap":
        for column in range(4):
            distance = np.abs(X_tilde[:, [column]] - X[:, column]).min(1)
            assert distance.max() < 1e-10


def test_without_a_seed_corrupt_differs_and_no_global_generator_is_drawn_from(X):
    model = estimator("masking", random_state=None).fit(X)
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    assert not np.array_equal(model.corrupt(X), model.corrupt(X))
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])


@pytest.mark.parametrize("convert", [sparse.csr_array, torch.from_numpy, lambda X: pd.DataFrame(X).rename(columns=str)])
@pytest.mark.parametrize("name", ["salt_and_pepper", "swap"])
def test_all_kinds_of_rows_are_corrupted_alike(name, convert, X):
    expected = estimator(name).fit(X).corrupt(X)
    corrupt = estimator(name).fit(convert(X)).corrupt(convert(X))
    np.testing.assert_allclose(corrupt, expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", SELECTIVE)
def test_one_hot_variables_are_corrupted_whole(name):
    X = one_hot(500)
    model = estimator(name, likelihood="categorical", categories=GROUPS).fit(X)
    X_tilde = model.corrupt(X)
    assert set(np.unique(X_tilde)) <= {0.0, 1.0}
    bounds = np.cumsum((0, *GROUPS))
    parts = [X_tilde[:, a:b] for a, b in pairwise(bounds)]
    whole = {"masking": (0, 1), "swap": (1,), "bert": (0, 1)}.get(name)
    for part, size in zip(parts, GROUPS, strict=True):
        assert set(part.sum(1)) <= set(whole or (0, 1, size))
    assert not np.array_equal(X_tilde, X)


def test_limits_grow_with_the_chunks_that_are_seen(X):
    model = estimator("salt_and_pepper", 1.0, dtype="float64").partial_fit(X[:100])
    model.partial_fit(X[100:] * 3)
    everything = np.vstack([X[:100], X[100:] * 3])
    X_tilde = model.corrupt(X)
    np.testing.assert_allclose(X_tilde.min(0), everything.min(0), rtol=1e-12)
    np.testing.assert_allclose(X_tilde.max(0), everything.max(0), rtol=1e-12)
    np.testing.assert_allclose(model.fit(X).corrupt(X).max(0), X.max(0), rtol=1e-12)  # and start anew


# ------------------------------------------------------------------ functions as corruptions


def hide_second(X, rng):
    """The second column of a random half of the rows, in place, is -1."""
    X[rng.random(len(X)) < 0.5, 1] = -1.0
    return X


def test_a_function_is_given_rows_on_the_scale_of_x_and_a_generator(X):
    seen = []

    def spy(rows, rng):
        seen.append(rows.copy())
        assert isinstance(rng, np.random.Generator)
        return hide_second(rows, rng)

    model = estimator(spy, batch_size=300, dtype="float64", shuffle=False).fit(X)
    np.testing.assert_allclose(seen[0], X, rtol=1e-10)
    X_tilde = model.corrupt(X)
    hidden = X_tilde[:, 1] < 0
    require_rate(hidden.sum(), len(X), 0.5)
    np.testing.assert_allclose(X_tilde[hidden, 1], -1, rtol=1e-10)
    np.testing.assert_allclose(np.delete(X_tilde, 1, 1), np.delete(X, 1, 1), rtol=1e-10)


@pytest.mark.parametrize("batch_size", [50, 300])
def test_a_function_repeats_by_the_estimator_s_seed(batch_size, X):
    one, two, other = (
        estimator(hide_second, batch_size=batch_size, random_state=seed).fit(X).transform(X) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_entries_that_a_function_leaves_alone_are_untouched_to_the_last_bit(dtype, X):
    """Also where the way to the scale of X and back rounds: emphasis tells corrupted entries from others."""
    model = estimator(hide_second, dtype=dtype).fit(X)
    x = seen(model, X)[:].x
    x_tilde, selected = model._corruption(model.module_)(x, seeded())
    assert torch.equal(x_tilde[~selected], x[~selected])
    assert not selected[:, [0, 2, 3]].any()
    require_rate(selected[:, 1].sum(), len(X), 0.5)


def test_a_function_that_changes_nothing_is_the_plain_autoencoder(X):
    plain = DenoisingAutoencoder(corruption_level=0.0, batch_size=50, **QUICK).fit(X)
    model = estimator(lambda X, rng: X, batch_size=50).fit(X)
    np.testing.assert_array_equal(model.transform(X), plain.transform(X))
    x = seen(model, X)[:].x
    x_tilde, selected = model._corruption(model.module_)(x, seeded())
    assert torch.equal(x_tilde, x)
    assert not selected.any()


def test_a_function_that_changes_one_column_of_a_variable_corrupts_the_variable():
    X = one_hot(100)

    def other_category(rows, rng):
        rows[:, [0, 1, 2]] = rows[:, [1, 2, 0]]
        return rows

    model = estimator(other_category, likelihood="categorical", categories=GROUPS, emphasis=(1.0, 0.5)).fit(X)
    _, selected = model._corruption(model.module_)(torch.from_numpy(X).float(), seeded())
    assert selected[:, :3].all()
    assert not selected[:, 3:].any()


def test_functions_may_look_at_other_rows(X):
    """So that equal rows are not merged: here each row is shown as its neighbour."""
    lengths = []

    def roll(rows, rng):
        lengths.append(len(rows))
        return np.roll(rows, 1, axis=0)

    estimator(roll).set_params(batch_size=40).fit(np.repeat(X[:20], 2, axis=0))
    assert set(lengths) == {40}


def raise_an_error(X, rng):
    raise RuntimeError("no more noise")


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda X, rng: X[:1], r"must return an array of numbers of its input's shape \(300, 4\); got shape \(1, 4\)"),
        (lambda X, rng: X[:, :1], r"got shape \(300, 1\)"),
        (lambda X, rng: None, r"got shape \(\) and dtype object"),
        (lambda X, rng: X.astype(str), "dtype <U"),
        (lambda X, rng: X + 0j, "dtype complex"),
        (lambda X, rng: X * np.nan, "corruption returned NaN or infinity: it must return finite numbers"),
        (lambda X, rng: np.where(X > 0, np.inf, X), "NaN or infinity"),
        (raise_an_error, "no more noise"),
    ],
)
def test_bad_functions_are_told_and_leave_nothing_behind(function, sentence, X):
    model = estimator(function, batch_size=300)
    before = dict(vars(model))
    with pytest.raises((ValueError, RuntimeError), match=sentence):
        model.fit(X)
    assert vars(model) == before


@pytest.mark.parametrize("convert", [lambda X: X.tolist(), lambda X: X.astype(np.float16), pd.DataFrame])
def test_functions_may_return_any_kind_of_numbers(convert, X):
    model = estimator(lambda rows, rng: convert(np.round(rows, 1))).fit(X)
    np.testing.assert_allclose(model.corrupt(X), np.round(X, 1), rtol=1e-2, atol=1e-6)
