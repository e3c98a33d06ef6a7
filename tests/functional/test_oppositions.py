"""What a critic and those whom it judges minimise, against formulas and the best critic of two points."""

import numpy as np
import pytest
import torch
from scipy.special import entr, rel_entr

from skae.functional import OPPOSITIONS

FORMULAS = {
    "logistic": (
        lambda s: np.log1p(np.exp(-s)),
        lambda s: np.log1p(np.exp(s)),
        lambda s: -np.log(1 / (1 + np.exp(-s))),
    ),
    "hinge": (lambda s: np.maximum(0, 1 - s), lambda s: np.maximum(0, 1 + s), np.negative),
    "wasserstein": (np.negative, np.positive, np.negative),
}
S = np.array([-3.0, -1.0, -0.4, 0.0, 0.2, 1.0, 5.0])


@pytest.mark.parametrize("name", OPPOSITIONS)
def test_losses_are_the_formulas(name):
    for function, formula in zip(OPPOSITIONS[name], FORMULAS[name], strict=True):
        np.testing.assert_allclose(function(torch.from_numpy(S)), formula(S), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", OPPOSITIONS)
def test_maker_gains_where_the_critic_is_deceived(name):
    """The slope of the maker's loss does not vanish where the critic is sure that a row was made."""
    s = torch.tensor([-30.0, -1.0, 0.0], requires_grad=True, dtype=torch.float64)
    (slope,) = torch.autograd.grad(OPPOSITIONS[name].maker(s).sum(), s)
    assert (slope < -0.4).all()


P, Q = np.array([0.7, 0.3]), np.array([0.2, 0.8])
"""How often rows at two points are real, and made."""


def loss_of(name, scores):
    """What a critic minimises that gives the two points these scores."""
    opposition = OPPOSITIONS[name]
    return torch.from_numpy(P) @ opposition.real(scores) + torch.from_numpy(Q) @ opposition.made(scores)


@pytest.mark.parametrize(
    ("name", "best", "least"),
    [
        # log p/q, with 2 log 2 - 2 JS, where JS is the Jensen-Shannon divergence (Goodfellow et al., 2014)
        ("logistic", np.log(P / Q), 2 * np.log(2) - sum(rel_entr(d, (P + Q) / 2).sum() for d in (P, Q))),
        # the sign of p - q, with 2 - 2 TV, where TV is the total variation (Lim and Ye, 2017)
        ("hinge", np.sign(P - Q), 2 - np.abs(P - Q).sum()),
    ],
)
def test_the_best_critic_of_two_points_has_its_closed_form(name, best, least):
    scores = torch.tensor(best)
    assert float(loss_of(name, scores)) == pytest.approx(least, rel=1e-12)
    for direction in np.random.default_rng(0).standard_normal((50, 2)):
        assert float(loss_of(name, scores + 0.1 * torch.from_numpy(direction))) > least


def test_js_is_that_of_entropies():
    """The closed form above, once more by another formula of JS."""
    js = entr((P + Q) / 2).sum() - (entr(P).sum() + entr(Q).sum()) / 2
    assert float(loss_of("logistic", torch.from_numpy(np.log(P / Q)))) == pytest.approx(2 * np.log(2) - 2 * js)


def test_the_best_critic_of_bounded_slope_tells_the_distance_of_two_points():
    """With points at 0 and 3 and |slope| <= 1, the least loss is minus the cost of carrying q to p."""
    places = torch.tensor([0.0, 3.0], dtype=torch.float64)
    losses = [float(loss_of("wasserstein", slope * places)) for slope in (-1.0, 0.0, 1.0)]
    assert min(losses) == pytest.approx(-3.0 * abs(P[0] - Q[0]))
