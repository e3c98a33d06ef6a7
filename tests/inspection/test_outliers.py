"""OutlierDisplay: which rows are drawn, how long the bars are, where pixels are red, and what is refused."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA

from skae import OutlierDetector
from skae.inspection import OutlierDisplay


@pytest.fixture(scope="module")
def frame(iris):
    X = pd.DataFrame(iris, columns=["a", "b", "c", "_$d"], index=[f"r{i}" for i in range(150)])
    X.iloc[20, 3] = 50.0
    return X


@pytest.fixture(scope="module")
def detector(frame):
    return OutlierDetector(random_state=0).fit(frame)


def test_the_strangest_rows_are_explained(detector, frame):
    display = OutlierDisplay.from_estimator(detector, frame, n_samples=4)
    strangest = np.argsort(detector.score_samples(frame))[:4]
    np.testing.assert_array_equal(display.rows, frame.to_numpy()[strangest])
    np.testing.assert_array_equal(display.contributions, detector.explain(frame.iloc[strangest]))
    first = display.axes_[0]
    assert first.get_title().startswith("row r20: score")
    assert [label.get_text() for label in first.get_yticklabels()][-1] == r" _\$d = 50"
    lengths = [bar.get_width() for bar in first.patches]
    order = np.argsort(-np.abs(display.contributions[0]))[::-1]
    np.testing.assert_array_equal(lengths, display.contributions[0][order])
    display.figure_.canvas.draw()


def test_pictures_have_contributions_below(digits):
    rows, values = digits[:2], np.zeros((2, 64))
    values[0, 5], values[1, 9] = 2.0, -1.0
    display = OutlierDisplay(rows=rows, contributions=values, image_shape=(8, 8)).plot()
    first, second, *below = display.ax_.images
    np.testing.assert_array_equal(first.get_array().ravel(), rows[0])
    np.testing.assert_array_equal(second.get_array().ravel(), rows[1])
    for image, value, most in zip(below, values, (2.0, 1.0), strict=True):
        np.testing.assert_array_equal(image.get_array().ravel(), value)
        assert image.get_clim() == (-most, most)
    red, _, blue, _ = below[0].to_rgba(below[0].get_array())[0, 5]
    assert red > blue
    colour = OutlierDisplay(rows=digits[:1, :48], contributions=values[:1, :48], image_shape=(4, 4, 3)).plot()
    assert colour.ax_.images[-1].get_array().shape == (4, 4)
    assert colour.ax_.images[-1].get_array().sum() == 2.0


def test_what_is_wrong_is_told(detector, frame):
    with pytest.raises(TypeError, match="PCA has no explain"):
        OutlierDisplay.from_estimator(PCA().fit(frame), frame)
    with pytest.raises(ValueError, match="n_samples=0"):
        OutlierDisplay.from_estimator(detector, frame, n_samples=0)
    with pytest.raises(ValueError, match="image_shape"):
        OutlierDisplay.from_estimator(detector, frame, image_shape=(3, 3))


def test_rows_of_an_arrow_table_and_of_a_file_are_drawn_with_their_names(detector, frame, tmp_path):
    plain = OutlierDisplay.from_estimator(detector, frame.reset_index(drop=True), n_samples=2)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    for table in (pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "a.parquet"):
        display = OutlierDisplay.from_estimator(detector, table, n_samples=2)
        np.testing.assert_array_equal(display.rows, plain.rows)
        assert list(display.feature_names) == list(frame.columns)
        for one, other in zip(display.axes_, plain.axes_, strict=True):
            assert one.get_title() == other.get_title()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"contributions": np.zeros((3, 4))},
            r"^There are contributions of shape \(3, 4\), but rows of shape \(2, 4\): ",
        ),
        ({"names": ["a"]}, "^There are 1 names, but 2 rows: pass as many.$"),
        ({"feature_names": ["a"]}, "^There are 1 feature_names, but 4 columns: pass as many.$"),
    ],
)
def test_what_does_not_fit_the_rows_is_told(wrong, sentence):
    display = OutlierDisplay(**{"rows": np.zeros((2, 4)), "contributions": np.zeros((2, 4)), **wrong})
    with pytest.raises(ValueError, match=sentence):
        display.plot()
