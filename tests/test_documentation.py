"""What the pages of the documentation show and point to is there: examples, links, names and hooks."""

import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

import skae
from skae import base
from skae._version import SITE
from skae.adversarial._adversarial import Adversarial
from skae.adversarial._matched import Matched
from skae.boltzmann.machine import BoltzmannMachine
from skae.options import parser
from skae.variational._variational import Variational

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "docs/gallery").glob("*/*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def files_of(page):
    """Files that a page links to."""
    targets = (link.partition("#")[0] for link in LINK.findall(page.read_text()))
    return [(page.parent / target).resolve() for target in targets if not target.startswith(("http:", "https:"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files(page):
    assert [str(path) for path in files_of(page) if not path.exists()] == []


def test_every_model_has_a_page_of_its_name():
    modules = {getattr(skae, name).__module__ for name in skae.__all__ if hasattr(getattr(skae, name), "get_params")}
    pages = {page.stem for page in (ROOT / "docs/models").glob("*.md")}
    assert pages == {module.rpartition(".")[2] for module in modules}


OPTION = re.compile(r"--[a-z][a-z-]*")


@pytest.mark.parametrize("page", ["README.md", "docs/comparing.md", "docs/gallery/workflow/compare.py"])
def test_options_of_the_command_line_exist(page, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["compare", "--help"])
    known = {*OPTION.findall(capsys.readouterr().out), "--index-url"}  # the last is one of pip
    assert {*OPTION.findall((ROOT / page).read_text())} <= known


def attribute(name):
    module, _, name = name.rpartition(".")
    return getattr(importlib.import_module(module), name)


def listed():
    """Full names in the API reference, as sphinx reads them."""
    for block in re.findall(r"\.\. currentmodule:: (\S+)\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL):
        module, text = block
        yield from (f"{module}.{name}" for name in re.findall(r"^   (\w+)$", text, re.MULTILINE))


LISTED = [*listed()]
ESTIMATORS = [name for name in LISTED if hasattr(attribute(name), "get_params") and "skae.base" not in name]
MODULES = ["skae", *(f"skae.{name}" for name in ("exceptions", "inspection", "metrics", "onnx", "tokens", "trees"))]


def test_the_reference_lists_what_is_public_once():
    public = {f"{name}.{each}" for name in MODULES for each in importlib.import_module(name).__all__}
    assert public - {*LISTED} == {"skae.__version__"}
    hidden = [name for name in LISTED if name.rpartition(".")[2] not in sys.modules[name.rpartition(".")[0]].__all__]
    assert hidden == []
    assert len(LISTED) == len({*LISTED})


def test_the_html_representation_of_an_estimator_links_to_its_page():
    for name in ESTIMATORS:
        cls = attribute(name)
        assert cls.__new__(cls)._get_doc_link() == f"{SITE}/api/{name}.html"


def test_the_gallery_has_an_order(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    order = importlib.import_module("lectures").ORDER
    listed = [f"{section}/{name}.py" for section, names in order.items() for name in names]
    assert sorted(listed) == [path.relative_to(ROOT / "docs/gallery").as_posix() for path in EXAMPLES]


@pytest.mark.parametrize("name", [name.rpartition(".")[2] for name in ESTIMATORS])
def test_an_example_shows_each_estimator(name):
    assert any(re.search(rf"\b{name}\b", path.read_text()) for path in EXAMPLES)


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
