"""What the pages of the documentation show and point to is there: pictures, links and hooks."""

import importlib.util
import inspect
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

import skae
from skae import base
from skae.adversarial._adversarial import Adversarial
from skae.adversarial._matched import Matched
from skae.boltzmann.machine import BoltzmannMachine
from skae.variational._variational import Variational

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "docs/pictures").glob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def files_of(page):
    """Files that a page links to."""
    targets = (link.partition("#")[0] for link in LINK.findall(page.read_text()))
    return [(page.parent / target).resolve() for target in targets if not target.startswith(("http:", "https:"))]


FEWER = {"N_DRAWS": 4, "N_CLUSTERS": (10, 20), "DRAWS": range(100, 101)}
"""Repetitions of some scripts, for a picture that nobody looks at."""


@pytest.mark.filterwarnings("ignore:The code is nearly the same for all rows")  # after as few epochs as here
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_a_picture_is_drawn_and_is_in_the_documentation(path):
    spec = importlib.util.spec_from_file_location(f"pictures_{path.stem}", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name in FEWER.keys() & vars(script):
        setattr(script, name, FEWER[name])
    figure = script.draw(max_iter=1)
    assert isinstance(figure, Figure)
    assert all(ax.has_data() or ax.child_axes or not ax.axison for ax in figure.axes)
    plt.close(figure)
    picture = path.with_suffix(".png")
    assert picture.exists()
    assert any(picture in files_of(page) for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files(page):
    assert [str(path) for path in files_of(page) if not path.exists()] == []


def test_every_model_has_a_page_of_its_name():
    modules = {getattr(skae, name).__module__ for name in skae.__all__ if hasattr(getattr(skae, name), "get_params")}
    pages = {page.stem for page in (ROOT / "docs/models").glob("*.md")}
    assert pages == {module.rpartition(".")[2] for module in modules}


HOOK = re.compile(r"^\| `(_\w+)(?:\((.*?)\))?` \| (?:every estimator|`(\w+)`) \|", re.MULTILINE)
HOSTS = {
    "": base.TorchEstimator,
    "Adversarial": Adversarial,
    "Autoencoder": skae.Autoencoder,
    "BoltzmannMachine": BoltzmannMachine,
    "Matched": Matched,
    "RecursiveAutoencoder": skae.RecursiveAutoencoder,
    "Variational": Variational,
}
TABLE = HOOK.findall((ROOT / "docs/extending.md").read_text())


@pytest.mark.parametrize(("name", "arguments", "host"), TABLE)
def test_a_hook_is_as_the_documentation_says(name, arguments, host):
    hook = getattr(HOSTS[host] if host in HOSTS else getattr(base, host), name, None)
    if callable(hook) and not isinstance(hook, type):
        assert ", ".join(list(inspect.signature(hook).parameters)[1:]) == arguments
    else:
        assert not arguments
        assert hook is not None or name in {"_Module", "_monitor"}


@pytest.mark.parametrize(
    "cls",
    [
        base.TorchEstimator,
        base.TorchTransformer,
        base.Prediction,
        Adversarial,
        BoltzmannMachine,
        Variational,
        skae.RecursiveAutoencoder,
    ],
)
def test_no_hook_is_missing_from_the_documentation(cls):
    """Hooks are the methods under a comment that says so."""
    for owner in (owner for owner in cls.__mro__ if owner.__module__.startswith("skae")):
        sections = re.split(r"# -{9,} ", inspect.getsource(owner))
        hooks = [name for part in sections if part.startswith("hooks") for name in re.findall(r"def (_\w+)", part)]
        assert set(hooks) <= {name for name, *_ in TABLE}
