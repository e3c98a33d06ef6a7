"""JacobianDisplay: the spectrum over rows, its band, and what is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skae import Autoencoder
from skae.base.derivatives import jacobian_singular_values
from skae.inspection import JacobianDisplay


@pytest.fixture(scope="module")
def autoencoder(digits):
    return Autoencoder(5, hidden_layer_sizes=12, max_iter=3, random_state=0).fit(digits)


def test_spectrum_is_the_mean_over_the_rows(autoencoder, digits):
    display = JacobianDisplay.from_estimator(autoencoder, digits[:50])
    s = jacobian_singular_values(autoencoder, digits[:50])
    np.testing.assert_array_equal(display.singular_values, s)
    np.testing.assert_array_equal(display.line_.get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_allclose(display.line_.get_ydata(), s.astype(float).mean(axis=0))
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["Autoencoder"]


def test_the_band_lies_between_quantiles():
    values = np.arange(101.0)[:, None] * [2.0, 1.0]
    display = JacobianDisplay(singular_values=values).plot(quantiles=(0.25, 0.75))
    (path,) = display.band_.get_paths()
    assert set(map(tuple, path.vertices)) == {(1.0, 50.0), (1.0, 150.0), (2.0, 25.0), (2.0, 75.0)}
    assert display.ax_.get_legend() is None


def test_several_spectra_share_axes_in_their_own_colours(autoencoder, digits):
    first = JacobianDisplay.from_estimator(autoencoder, digits[:5], label="first")
    second = JacobianDisplay.from_estimator(autoencoder, digits[5:10], label="second", ax=first.ax_, log_scale=True)
    assert second.ax_ is first.ax_
    assert first.line_.get_color() != second.line_.get_color()
    assert [text.get_text() for text in first.ax_.get_legend().get_texts()] == ["first", "second"]
    assert first.ax_.get_yscale() == "log"


def test_one_singular_value_is_visible():
    display = JacobianDisplay(singular_values=np.ones((3, 1))).plot()
    assert display.line_.get_marker() == "o"


@pytest.mark.parametrize(
    ("values", "quantiles", "message"),
    [
        (np.ones(3), (0.1, 0.9), r"singular_values of shape \(3,\) cannot be drawn"),
        (np.ones((0, 3)), (0.1, 0.9), r"singular_values of shape \(0, 3\) cannot be drawn"),
        (np.ones((3, 3)), (0.9, 0.1), r"quantiles=\(0.9, 0.1\) do not define a band"),
        (np.ones((3, 3)), (0.0, 2.0), "do not define a band"),
        (np.ones((3, 3)), (0.5,), "do not define a band"),
        (np.ones((3, 3)), (np.nan, 0.5), "do not define a band"),
    ],
)
def test_bad_spectra_are_refused(values, quantiles, message):
    with pytest.raises(ValueError, match=message):
        JacobianDisplay(singular_values=values).plot(quantiles=quantiles)
    assert not plt.get_fignums()


def test_estimators_without_a_jacobian_are_refused(pca, iris, autoencoder):
    with pytest.raises(TypeError, match="PCA has no derivative of its code"):
        JacobianDisplay.from_estimator(pca, iris)
    with pytest.raises(ValueError, match="4 features"):
        JacobianDisplay.from_estimator(autoencoder, iris)
    assert not plt.get_fignums()
