"""The house of the package: a file imports from lower floors only."""

import ast
from pathlib import Path

import pytest

import skae

ROOT = Path(skae.__file__).parent
FLOORS = [
    {"functional", "likelihoods", "modules", "corruptions", "convolution", "dictionary", "local", "units", "energy"}
    | {"annealing", "chains", "pseudo_likelihood", "_version"},
    {"_data", "_linear", "_optim", "_train"},
    {
        "_params",
        "_compat",
        "_input",
        "_state",
        "_coding",
        "_estimator",
        "_base",
        "_derivatives",
        "_labels",
        "_prediction",
    },
    {"autoencoders", "boltzmann", "supervised"},
    {"metrics", "compare", "inspection", "_load", "__main__", "__init__"},
]
OUTSIDE = [
    {"torch"},
    {"torch", "numpy", "scipy", "tqdm"},
    {"torch", "numpy", "scipy", "sklearn", "threadpoolctl", "typing_extensions"},
    {"torch", "numpy", "sklearn", "typing_extensions"},
    {"numpy", "scipy", "sklearn", "tqdm", "pandas", "matplotlib", "typing_extensions"},
]
"""What each floor may import from other packages; the last uses no torch."""
FILES = sorted(ROOT.rglob("*.py"))


def floor_of(module: str) -> int:
    return next(i for i, names in enumerate(FLOORS) if module in names)


def imports(path: Path):
    """Level of relativity, and dotted name, of every module that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((node.level, name) for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    inner = path.relative_to(ROOT)
    floor = floor_of(inner.parts[0].removesuffix(".py"))
    depth = len(inner.parts)
    for level, name in imports(path):
        top = name.split(".")[0]
        if level == depth:  # relative to the package's root
            assert floor_of(top) <= floor, f"{inner} imports {name} from a higher floor"
            family = floor == 3 and floor_of(top) == 3 and top != inner.parts[0]
            assert not family or "." not in name, f"{inner} imports the inside of another family"
        elif level == 0 and top not in {"__future__", *stdlib()}:
            assert top in OUTSIDE[floor], f"{inner} imports {top}"


def stdlib():
    import sys

    return sys.stdlib_module_names


def test_private_scikit_learn_is_imported_in_one_place():
    for path in FILES:
        for level, name in imports(path):
            private = name.startswith("sklearn") and any(part.startswith("_") for part in name.split("."))
            assert not (level == 0 and private and path.name != "_compat.py"), path


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short_and_say_what_they_are_for(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 400
