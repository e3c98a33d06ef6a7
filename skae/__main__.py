"""``python -m skae compare``: compare PCA with the estimators of this package, on a table of the user's."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import autoencoders, boltzmann, compose
from ._version import __version__
from .comparison import Comparison, compare, is_classes
from .tables import BUNDLED, Dataset, load

BOLD = "\033[1;32m{}\033[0m"


def reducers(names: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """The estimators that are named on the command line."""
    from sklearn.decomposition import PCA

    families = [getattr(family, name) for family in (autoencoders, boltzmann) for name in family.__all__]
    ours = [*families, compose.StackedAutoencoder]
    known = {"pca": PCA, **{short_name(estimator.__name__): estimator for estimator in ours}}
    unknown = [name for name in names if name not in known]
    if not names:
        raise ValueError(f"--reducers is empty: choose from {', '.join(known)}.")
    if unknown:
        raise ValueError(f"There is no reducer {unknown[0]!r}: choose from {', '.join(known)}.")
    return {known[name].__name__: configured(known[name](), options) for name in names}


def short_name(name: str) -> str:
    """Name of an estimator on the command line, such as "sparse" for SparseAutoencoder."""
    return name.removesuffix("Autoencoder").lower() or "autoencoder"


def configured(estimator: Any, options: argparse.Namespace) -> Any:
    """The estimator with the command line's options set, as far as they are its parameters."""
    hidden = options.hidden_layer_sizes
    asked = {
        "device": options.device,
        "hidden_layer_sizes": None if hidden is None else tuple(hidden),
        "max_iter": options.max_iter,
    }
    known = estimator.get_params()
    return estimator.set_params(**{k: v for k, v in asked.items() if k in known and v is not None})


def parser() -> argparse.ArgumentParser:
    """Define the command line."""
    top = argparse.ArgumentParser(prog="python -m skae", description="Compare autoencoders with PCA.")
    top.add_argument("--version", action="version", version=f"skae {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    add = commands.add_parser("compare", help="cross-validate PCA and autoencoders on a table").add_argument
    add("data", nargs="?", default="digits", metavar="DATA", help=f"{', '.join(BUNDLED)}, or a file (default: digits)")
    add("--target", metavar="COLUMN", help="name or number of the column to predict")
    add(
        "--reducers",
        default="pca,autoencoder",
        metavar="NAMES",
        help="reducers to compare, separated by commas (default: pca,autoencoder)",
    )
    add(
        "--n-components",
        nargs="+",
        type=int,
        metavar="K",
        help="numbers of components (default: 2 8 16, as far as DATA allows)",
    )
    add("--hidden-layer-sizes", nargs="*", type=int, metavar="N", help="widths of the encoders' hidden layers")
    add("--max-iter", type=int, metavar="N", help="maximum number of epochs")
    add("--cv", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    add(
        "--standardize",
        action="store_true",
        help="centre the columns and divide them by their standard deviation first",
    )
    add("--device", default="auto", help="device of the computation: auto, cpu, cuda or mps (default: auto)")
    add("--seed", type=int, default=0, help="seed of the folds and the models (default: 0)")
    add("--output", type=Path, default=Path("compare"), metavar="DIR", help="folder for the results (default: compare)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0 for success, 2 for a mistake in the input, and 130 for an interruption."""
    options = parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"skae {options.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nskae {options.command}: interrupted", file=sys.stderr)
        return 130
    return 0


def run(options: argparse.Namespace) -> None:
    """Load a table, compare the reducers, and write the result to the terminal, compare.json and compare.png."""
    data = load(options.data, options.target)
    models = reducers([name.strip().lower() for name in options.reducers.split(",") if name.strip()], options)
    make_folder(options.output)
    print(f"{data.name}: {data.X.shape[0]} rows, {data.X.shape[1]} columns, {describe_target(data)}", flush=True)
    result = compare(
        data.X,
        data.y,
        models,
        options.n_components,
        options.cv,
        standardize=options.standardize,
        random_state=options.seed,
        verbose=1,
    )
    print(result.table(BOLD if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else "{}*"))
    print(legend(data))
    for written in (write_json(result, data, options), write_picture(result, data, options)):
        print(written)


def make_folder(path: Path) -> None:
    """Create the output folder, so that an error comes before the computation."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"Cannot write to {str(path)!r}: {error.strerror}.") from None


def describe_target(data: Dataset) -> str:
    """Describe the target in words."""
    if data.y is None:
        return "no target"
    if is_classes(data.y):
        return f"{len(set(data.y.tolist()))} classes"
    return "a target of real numbers" if data.y.ndim == 1 else f"{data.y.shape[1]} targets of real numbers"


def legend(data: Dataset) -> str:
    """Explain the columns of the table."""
    lines = ["Means over the folds, on held-out rows. The best reducer of each size is marked.", "R2: reconstruction"]
    if data.y is not None:
        unit = "accuracy" if is_classes(data.y) else "R2"
        lines[1] += f"; linear, kNN: {unit} of a linear model and of 5 nearest neighbours on the code"
    return "\n".join(lines)


def write_json(result: Comparison, data: Dataset, options: argparse.Namespace) -> Path:
    """Write all numbers of the result, and the settings, to compare.json."""
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
    content = {"skae": __version__, "data": data.name, "shape": data.X.shape, "settings": settings}
    path: Path = options.output / "compare.json"
    content |= {"rows": result.rows, "folds": result.folds}
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    return path


def write_picture(result: Comparison, data: Dataset, options: argparse.Namespace) -> str:
    """Draw the comparison to compare.png, if matplotlib is installed."""
    from .inspection import ComparisonDisplay

    try:
        import matplotlib as mpl
    except ImportError:
        return 'compare.png was not drawn, because it needs matplotlib: pip install "skae[plot]"'
    mpl.use("Agg")
    path = options.output / "compare.png"
    display = ComparisonDisplay.from_comparison(result, image_shape=data.image_shape, title=data.name)
    display.figure_.savefig(path, dpi=120)
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
