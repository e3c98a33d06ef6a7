"""The house of the package: floors are folders, and a file imports from lower floors only."""

import ast
import sys
from pathlib import Path

import pytest

import skae

ROOT = Path(skae.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
FLOORS = [
    ["functional"],
    ["nn", "energy", "engine", "export"],
    ["base"],
    ["families"],
    ["compose"],
    ["inspection"],
    ["tables"],
]
"""Folders by floor. A folder that is not named here is a family of estimators."""
BELOW = {"exceptions", "metrics", "tokens", "trees", "_version"}
"""Files and folders at the root that every folder may import, and that import nothing of ours."""
ABOVE = {"comparison"}
"""Folders that stand above all floors, as the other files at the root do."""
OUTSIDE = [
    {"torch"},
    {"torch", "numpy", "scipy", "tqdm", "threadpoolctl", "onnx"},
    {"torch", "numpy", "scipy", "sklearn", "joblib", "typing_extensions", "pynndescent", "pyarrow"},
    {"torch", "numpy", "sklearn", "typing_extensions"},
    {"torch", "numpy", "sklearn", "typing_extensions"},
    {"numpy", "scipy", "sklearn", "tqdm", "pandas", "matplotlib", "typing_extensions"},
    {"numpy", "sklearn", "pandas"},
    {
        "torch",
        "numpy",
        "scipy",
        "sklearn",
        "joblib",
        "tqdm",
        "pandas",
        "matplotlib",
        "typing_extensions",
        "onnx",
        "skl2onnx",
    },
]
"""What each floor may import from other packages."""
MOST_LINES = 250


def folder_of(path):
    """The folder of the package that a file lies in; the file itself if it lies at the root."""
    inner = path.relative_to(ROOT).parts
    return inner[0].removesuffix(".py")


def floor_of(name):
    """Number of the floor of a folder, or of a file at the root."""
    if name in BELOW:
        return -1
    if name in ABOVE or not (ROOT / name).is_dir():
        return len(FLOORS)
    return next((i for i, names in enumerate(FLOORS) if name in names), FLOORS.index(["families"]))


def imports(path):
    """Dotted names that a file imports, those of this package from its root on as ("skae", ...)."""
    package = ["skae", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = [*start, *(node.module or "").split(".")] if node.module else start
            yield from ((*module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    here = folder_of(path)
    floor = floor_of(here)
    for name in imports(path):
        if name[0] != "skae":
            allowed = {"__future__", *sys.stdlib_module_names, *OUTSIDE[min(floor, len(OUTSIDE) - 1)]}
            assert name[0] in allowed, f"{path} imports {name[0]}"
        elif len(name) > 1 and name[1] not in (here, "_version"):
            there = floor_of(name[1])
            assert here not in BELOW, f"{path} stands below all, and imports {name}"
            assert there <= floor, f"{path} imports {'.'.join(name)} from a higher floor"
            siblings = there == floor and floor < len(FLOORS)
            assert not siblings or floor == FLOORS.index(["families"]), f"{path}: {here} does not see {name[1]}"
            assert not siblings or len(name) == 3, f"{path} imports the inside of the family {name[1]}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_private_names_stay_in_their_folder(path):
    here = folder_of(path)
    for name in imports(path):
        private = [part for part in name[1:] if part.startswith("_") and not part.startswith("__")]
        if name[0] == "skae" and name[1] not in (here, "_version"):
            assert not private, f"{path} imports the private {'.'.join(name)}"
        elif name[0] == "sklearn":
            assert not private or path.name == "compat.py", f"{path} imports the private {'.'.join(name)}"


def lines_of_code(path):
    """Lines that are neither blank, nor comments, nor docstrings."""
    text = path.read_text()
    prose = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    code = enumerate(text.splitlines(), 1)
    return sum(1 for i, line in code if line.strip() and i not in prose and not line.strip().startswith("#"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short_and_say_what_they_are_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert lines_of_code(path) <= MOST_LINES


ANCESTORS = {"Autoencoder": 4, "DenoisingAutoencoder": 5, "RBM": 6, "DeepBeliefNetwork": 9, "DeepBoltzmannMachine": 10}
"""Classes of ours in the method resolution order at the most, the class itself included."""


@pytest.mark.parametrize("name", ANCESTORS)
def test_an_estimator_has_few_ancestors(name):
    ours = [cls for cls in getattr(skae, name).__mro__ if cls.__module__.startswith("skae")]
    assert len(ours) <= ANCESTORS[name], ours
