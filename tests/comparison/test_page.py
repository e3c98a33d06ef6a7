"""Comparison.to_html: what the page says, and that it stands alone."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, KernelPCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, compare
from skae.comparison.page import page

X, Y = load_iris(return_X_y=True)
WEIGHT = np.ones(150)
ODD = "<x>&'\"$x$\udcff</x>"


@pytest.fixture(scope="module")
def result():
    reducers = {
        "kernel": KernelPCA(),
        ODD: Autoencoder(hidden_layer_sizes=(4,), max_iter=2),
        "piped": make_pipeline(StandardScaler(), PCA(whiten=True)),
    }
    scoring = ["f1_macro", "accuracy"]
    return compare(X, Y, reducers, [1, 2], cv=2, scoring=scoring, params={"sample_weight": WEIGHT})


class Reader(HTMLParser):
    """Cells of the tables, sources, and whether every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.open, self.sources, self.tags, self.text = [], [], [], set(), []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and "table" in self.open and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data.strip("\n")


def test_the_page_stands_alone_and_has_the_picture_and_the_table(result, tmp_path):
    path = tmp_path / "page.html"
    result.to_html(path, title=ODD)
    text = path.read_text(encoding="utf-8")
    read = Reader(text)
    (source,) = read.sources
    kind, _, content = source.partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content)[:8] == b"\x89PNG\r\n\x1a\n"
    assert read.tags.isdisjoint({"script", "link", "iframe", "x"})
    assert not re.search(r"https?:|url\(", text)
    assert read.tables[0][0][2:] == ["R2", "linear", "kNN", "kept", "fit s", "rows/s"]
    assert read.tables[1][0][2:] == ["f1_macro", "accuracy"]
    for rows, columns in ((read.tables[0], ["r2", "linear", "knn", "neighbors"]), (read.tables[1], ["f1_macro"])):
        for cells, row in zip(rows[1:], result.rows + result.baselines, strict=True):
            assert cells[1] == row["reducer"].replace("\udcff", "\ufffd")
            for cell, column in zip(cells[2:], columns, strict=False):
                spread = None if row[column] is None else f"{row[column + '_std']:.3f}".removeprefix("0")
                assert cell == ("-" if spread is None else f"{row[column]:.3f} ±{spread}")


def test_the_page_tells_columns_settings_versions_parameters_and_folds(result):
    read = Reader(page(result, "Flowers", None, ["150 rows of iris."]))
    text = " ".join("".join(read.text).split())
    assert "Reducers compared: Flowers 150 rows of iris." in text
    assert "Held-out accuracy of a linear model on the standardized code" in text
    settings = dict(read.tables[2])
    assert settings == result.settings
    assert settings["sample_weight"].endswith("not to PCA, kernel")
    assert {"Python", "skae", "sklearn", "torch"} <= set(re.findall(r"\w+", settings["versions"]))
    assert "max_iter=2, random_state=0, " in text
    assert "pca__whiten=True" in text
    assert "piped (Pipeline)" in text
    assert len(read.tables[3]) == 1 + len(result.folds)
    assert not read.sources


def test_the_best_are_marked_as_in_the_table(result):
    text = page(result, None, None)
    first = text[: text.index("<h2>")]
    assert first.count('class="best"') == result.table().count("*")


def test_a_page_replaces_an_older_one_only_when_it_is_complete(result, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")
    monkeypatch.setattr("skae.comparison.page.page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result.to_html(path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
