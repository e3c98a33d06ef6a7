"""Units against their definitions: derivatives, enumeration, quadrature, and the law of what they draw."""

import math

import numpy as np
import pytest
import torch
from energy.machines import LEVEL, TOTAL, require_law, seeded, states_of
from scipy import stats
from scipy.integrate import quad

from skae.energy.layers import Joint, Part, layer_of
from skae.energy.special import softplus
from skae.energy.units import Bernoulli, Counts, Gaussian, Rectified, Softmax

N = 6
UNITS = {
    "bernoulli": Bernoulli(4),
    "gaussian": Gaussian(3),
    "relu": Rectified(3),
    "softmax": Softmax((2, 1, 3)),
    "counts": Counts(3),
    "joint": Joint([Bernoulli(2), Softmax((3,)), Gaussian(2)]),
    "joint counts": Joint([Bernoulli(2), Counts(3), Rectified(1)]),
}
FINITE = {
    "bernoulli": Bernoulli(4),
    "softmax": Softmax((2, 1, 3)),
    "joint": Joint([Bernoulli(2), Softmax((3, 2)), Bernoulli(1)]),
}

every_kind = pytest.mark.parametrize("units", UNITS.values(), ids=UNITS)
every_finite_kind = pytest.mark.parametrize("units", FINITE.values(), ids=FINITE)


def fields(units, n=N, seed=0, dtype=torch.float64):
    return 2 * torch.randn((n, units.width), generator=seeded(seed), dtype=dtype)


def totals(units, n=N):
    """Totals 0, 1, 2, ... of rows of counts."""
    return torch.arange(n, dtype=torch.float64) if units.has_draws else None


# ------------------------------------------------------------------ means and normalisers


@every_kind
def test_mean_is_the_derivative_of_the_log_normaliser(units):
    field, total = fields(units).requires_grad_(), totals(units)
    (slope,) = torch.autograd.grad(units.log_normaliser(field, total).sum(), field)
    torch.testing.assert_close(units.mean(field, total), slope, rtol=1e-13, atol=1e-13)
    assert torch.autograd.gradcheck(lambda f: units.log_normaliser(f, total), field)


@pytest.mark.parametrize("units", [u for u in UNITS.values() if not u.has_draws])
def test_a_ratio_is_that_of_the_normalisers(units):
    below, above = 4 * fields(units), 4 * fields(units, seed=1)
    expected = units.log_normaliser(above) - units.log_normaliser(below)
    torch.testing.assert_close(units.log_ratio(below, above), expected, rtol=1e-12, atol=1e-12)


def test_a_ratio_is_exact_at_extreme_fields():
    below = torch.tensor([[1e4, -1e4, 90.0, -90.0, 0.0, 30.0]])
    above = torch.tensor([[2e4, -2e4, 91.0, -91.0, 0.0, -30.0]])
    expected = Bernoulli(6).log_normaliser(above.double()) - Bernoulli(6).log_normaliser(below.double())
    torch.testing.assert_close(Bernoulli(6).log_ratio(below, above).double(), expected, rtol=1e-6, atol=1e-6)


def test_the_ratio_of_close_fields_keeps_digits_that_the_difference_loses():
    below = 30 * torch.randn((5, 500), generator=seeded())
    above = below * 1.001
    exact = softplus(above.double()).sum(1) - softplus(below.double()).sum(1)
    units = Bernoulli(500)
    error, rough = (
        (found.double() - exact).abs().max()
        for found in (units.log_ratio(below, above), units.log_normaliser(above) - units.log_normaliser(below))
    )
    assert error < 2e-5 < rough


def test_many_binary_units_are_drawn_by_their_means_too():
    mean = torch.rand((200, 200), generator=seeded())
    drawn = sum(Bernoulli(200).draw(mean, seeded(i)) for i in range(1, 301))
    z = (drawn - 300 * mean) / (300 * mean * (1 - mean)).sqrt().clamp_min(1)
    assert abs(float(z.mean())) < 4 / 200
    assert 0.95 < float(z[(mean > 0.1) & (mean < 0.9)].square().mean()) < 1.05


@every_finite_kind
def test_the_log_normaliser_and_the_mean_sum_over_all_states(units):
    field, states = fields(units), states_of(units)
    scores = field @ states.T + units.log_base(states)
    torch.testing.assert_close(units.log_normaliser(field), torch.logsumexp(scores, 1))
    torch.testing.assert_close(units.mean(field), torch.softmax(scores, 1) @ states)


@pytest.mark.parametrize("units", [Counts(3), Joint([Bernoulli(1), Counts(2), Softmax((2,))])])
def test_the_log_normaliser_of_counts_sums_over_all_counts(units):
    total = torch.full((N,), float(TOTAL), dtype=torch.float64)
    field, states = fields(units), states_of(units)
    scores = field @ states.T + units.log_base(states)
    torch.testing.assert_close(units.log_normaliser(field, total), torch.logsumexp(scores, 1))
    torch.testing.assert_close(units.mean(field, total), torch.softmax(scores, 1) @ states)


def test_the_base_of_counts_is_how_many_orders_of_the_draws_they_are():
    base = Counts(3).log_base(states_of(Counts(3)))
    assert math.isclose(float(base.exp().sum()), 3**TOTAL, rel_tol=1e-12)


def test_the_log_normaliser_of_gaussian_units_is_the_integral():
    units = Gaussian(1)
    for f in (-2.0, 0.0, 1.5):
        area, _ = quad(lambda x, f=f: math.exp(x * f + float(units.log_base(torch.tensor([[x]])))), -20, 20)
        assert math.isclose(float(units.log_normaliser(torch.tensor([[f]]))), math.log(area), rel_tol=1e-6)


def test_rectified_units_are_sums_of_binary_ones():
    """Of infinitely many, with biases -1/2, -3/2, ... (Nair and Hinton, 2010)."""
    f, units = torch.linspace(-20, 30, 501, dtype=torch.float64)[:, None], Rectified(1)
    copies = f - torch.arange(120) - 0.5
    torch.testing.assert_close(units.mean(f), torch.sigmoid(copies).sum(1, keepdim=True), atol=5e-7, rtol=1e-5)
    sums = -torch.nn.functional.logsigmoid(-copies).sum(1)
    torch.testing.assert_close(units.log_normaliser(f), sums, atol=2e-7, rtol=1e-5)


@every_kind
def test_far_fields_are_finite(units):
    field = torch.cat([fields(units) * scale for scale in (0.0, 1e2, -1e2, 1e3)])
    total = None if totals(units) is None else torch.full((len(field),), 4.0, dtype=torch.float64)
    for value in (units.mean(field, total), units.log_normaliser(field, total)):
        assert value.isfinite().all()
    assert units.draw(units.mean(field, total), seeded(), total).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_kind
def test_the_steady_mean_is_the_mean_whatever_rows_are_beside(units, dtype):
    field = fields(units, 101, dtype=dtype)
    steady = units.steady_mean(field)
    torch.testing.assert_close(steady, units.mean(field))
    for n in (1, 2, 3, 7, 50):
        for start in range(0, 101 - n, 5):
            assert torch.equal(units.steady_mean(field[start : start + n].clone()), steady[start : start + n])
    order = torch.randperm(101, generator=seeded())
    assert torch.equal(units.steady_mean(field[order]), steady[order])


def test_the_link_of_rectified_units_undoes_softplus():
    field = torch.linspace(-5, 20, 50, dtype=torch.float64)
    torch.testing.assert_close(Rectified(50).link(softplus(field)), field)


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "softmax", "counts", "joint"])
def test_the_link_undoes_the_mean(kind):
    units = UNITS[kind]
    mean = units.mean(fields(units, 1))[0].clamp_min(0.05)
    if kind in ("softmax", "counts"):
        mean = units.mean(mean[None].log())[0]
    if kind == "joint":
        mean[2:5] /= mean[2:5].sum()
    torch.testing.assert_close(units.mean(units.link(mean)[None])[0], mean)


@every_kind
def test_the_link_of_means_at_the_edge_is_finite(units):
    for edge in (0.0, 1.0):
        assert units.link(torch.full((units.width,), edge, dtype=torch.float64)).isfinite().all()


def test_only_counts_have_a_total():
    x = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    assert Counts(3).total(x).tolist() == [3.0, 0.0]
    beside = torch.tensor([[7.0, 7.0], [7.0, 7.0]])
    assert UNITS["joint counts"].total(torch.cat([beside, x, beside[:, :1]], 1)).tolist() == [3.0, 0.0]
    for units in UNITS.values():
        assert (units.total(torch.ones(2, units.width)) is not None) == units.has_draws


def test_only_negative_counts_are_not_admitted():
    x = torch.full((1, 6), -1.0)
    assert Counts(6).admit(x).tolist() == [[0.0] * 6]
    assert UNITS["joint counts"].admit(x).tolist() == [[-1.0, -1.0, 0.0, 0.0, 0.0, -1.0]]
    assert Gaussian(6).admit(x) is x


def test_a_row_has_one_number_of_draws():
    with pytest.raises(ValueError, match="There are 2 parts of counts, but a row has one number of draws"):
        layer_of([Part("counts", 2), Part("bernoulli", 1), Part("counts", 3)])


# ------------------------------------------------------------------ states


@every_finite_kind
def test_states_are_enumerated_once_each(units):
    n = int(units.n_states)
    found = units.states(torch.arange(n))
    expected = states_of(units)
    assert found.shape == expected.shape == (n, units.width)
    assert {tuple(row) for row in found.tolist()} == {tuple(row) for row in expected.tolist()}
    assert torch.equal(found[2:4], units.states(torch.tensor([2, 3])))


def test_layers_without_end_have_infinitely_many_states():
    for units in (Gaussian(2), Rectified(2), Counts(2), UNITS["joint"], UNITS["joint counts"]):
        assert math.isinf(units.n_states)
    assert Joint([Bernoulli(3), Softmax((5,))]).n_states == 40
    assert Joint([Bernoulli(900)] * 20).n_states == Bernoulli(900).n_states == 2**100


def test_a_layer_is_made_of_its_parts():
    kinds = {"bernoulli": Bernoulli, "gaussian": Gaussian, "relu": Rectified, "counts": Counts}
    for kind, expected in kinds.items():
        units = layer_of([Part(kind, 4)])
        assert type(units) is expected
        assert units.width == 4
    joint = layer_of([Part("gaussian", 2, scaled=True), Part("softmax", 5, (2, 3)), Part("relu", 1)])
    found = [(type(units), columns) for units, columns in joint.kinds()]
    assert found == [(Gaussian, slice(0, 2)), (Softmax, slice(2, 7)), (Rectified, slice(7, 8))]
    assert joint.parts[1].sizes == (2, 3)
    assert joint.width == 8


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Part("softmax", 4, (1, 2)), "must sum to their width"),
        (Part("softmax", 4), "must sum to their width"),
        (Part("counts", 4, (4,)), "groups are of softmax units"),
        (Part("bernoulli", 4, scaled=True), "only gaussian units have a standard deviation"),
    ],
)
def test_parts_that_describe_no_units_are_refused(part, message):
    with pytest.raises(ValueError, match=message):
        layer_of([part])


# ------------------------------------------------------------------ samples


@pytest.mark.parametrize("how", ["sample", "draw"])
@every_finite_kind
def test_samples_follow_the_law(units, how):
    field, n = 0.5 * fields(units, 1), 20_000
    many = field.expand(n, -1)
    sample = units.sample(many, seeded()) if how == "sample" else units.draw(units.mean(many), seeded())
    states = states_of(units)
    require_law(sample, states, torch.softmax(field @ states.T, 1)[0])


@pytest.mark.parametrize("how", ["sample", "draw"])
def test_samples_of_counts_follow_the_law(how):
    units, n = Counts(3), 20_000
    field = 0.5 * fields(units, 1)
    total = torch.full((n,), float(TOTAL), dtype=torch.float64)
    many = field.expand(n, -1)
    sample = units.sample(many, seeded(), total)
    if how == "draw":
        sample = units.draw(units.mean(many, total), seeded(), total)
    states = states_of(units)
    require_law(sample, states, torch.softmax(field @ states.T + units.log_base(states), 1)[0])


def test_counts_keep_the_totals_of_their_rows():
    units, total = Counts(4), torch.tensor([0.0, 7.0, 1.0, 30.0])
    sample = units.sample(torch.randn(4, 4, generator=seeded()), seeded(), total)
    assert torch.equal(sample.sum(1), total)
    assert not units.sample(torch.zeros(2, 4), seeded(), torch.zeros(2)).any()


def test_gaussian_samples_are_normal():
    field = torch.tensor([[-1.0, 0.0, 2.0]]).expand(20_000, -1)
    for column, mean in zip(Gaussian(3).sample(field, seeded()).T, (-1.0, 0.0, 2.0), strict=True):
        assert stats.kstest(column.numpy(), stats.norm(mean).cdf).pvalue > LEVEL


def law_of_sum(f):
    """The law of a rectified unit, by convolution of the laws of its binary copies."""
    law = np.ones(1)
    for i in range(40):
        p = 1 / (1 + math.exp(-(f - i - 0.5)))
        law = np.convolve(law, [1 - p, p])
    return law


@pytest.mark.parametrize("f", [-2.0, 0.0, 0.7, 4.0])
def test_the_law_of_rectified_units_is_that_of_the_sum(f):
    units, x = Rectified(1), torch.arange(20.0, dtype=torch.float64)[:, None]
    field = torch.full((1, 1), f, dtype=torch.float64)
    log_p = x[:, 0] * f + units.log_base(x) - units.log_normaliser(field)
    np.testing.assert_allclose(log_p.exp(), law_of_sum(f)[:20], rtol=1e-6)


@pytest.mark.parametrize("f", [-2.0, 0.0, 0.7, 4.0])
def test_rectified_samples_are_sums_of_binary_ones(f):
    n, law = 30_000, law_of_sum(f)
    sample = Rectified(1).sample(torch.full((n, 1), f, dtype=torch.float64), seeded())[:, 0]
    likely = int((law * n > 5).nonzero()[0].max()) + 1
    seen = np.bincount(sample.long().numpy(), minlength=len(law))
    table = np.append(seen[:likely], seen[likely:].sum()), np.append(law[:likely], law[likely:].sum()) * n
    keep = table[1] > 1
    assert stats.chisquare(table[0][keep], table[1][keep] * table[0][keep].sum() / table[1][keep].sum()).pvalue > LEVEL
    expected = math.log1p(math.exp(f)), 1 / (1 + math.exp(-f))
    assert abs(float(sample.mean()) - expected[0]) < 0.011 + 5 * math.sqrt(expected[1] / n)
    assert abs(float(sample.var()) - expected[1]) < 0.005 + 0.05 * expected[1]


def test_rectified_samples_of_one_row_do_not_end_below_another():
    """As many copies are drawn as the largest field of all needs."""
    field = torch.tensor([[-3.0, 50.0]]).expand(2000, -1)
    mean = Rectified(2).sample(field, seeded()).mean(0)
    assert abs(float(mean[1]) - 50.0) < 0.2
    assert float(mean[0]) < 0.1


@pytest.mark.parametrize("f", [-0.5, 0.0, 0.7, 4.0])
def test_rectified_draws_are_cut_normals(f):
    """max(0, N(f, sigmoid(f)))."""
    field = torch.full((20_000, 1), f, dtype=torch.float64)
    sample = Rectified(1).draw(softplus(field), seeded())[:, 0].numpy()
    normal = stats.norm(f, math.sqrt(1 / (1 + math.exp(-f))))
    assert sample.min() >= 0
    assert stats.binomtest(int((sample == 0).sum()), len(sample), normal.cdf(0)).pvalue > LEVEL
    above = sample[sample > 0]
    assert stats.kstest(above, lambda x: (normal.cdf(x) - normal.cdf(0)) / normal.sf(0)).pvalue > LEVEL


def test_rectified_draws_of_no_activation_are_zero():
    assert not Rectified(3).draw(torch.zeros(50, 3), seeded()).any()


@every_kind
def test_samples_repeat_by_their_generator_and_leave_the_global_one_alone(units):
    field, total = fields(units), totals(units)
    before = torch.get_rng_state()
    first, again = (units.sample(field, seeded(3), total) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.dtype == field.dtype
