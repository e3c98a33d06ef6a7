"""``python -m skae compare``: PCA beside the estimators, on a table of yours."""

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
    """Estimators by the names of the command line."""
    from sklearn.decomposition import PCA

    families = [getattr(family, name) for family in (autoencoders, boltzmann) for name in family.__all__]
    ours = [*families, compose.StackedAutoencoder]
    known = {"pca": PCA, **{short_name(estimator.__name__): estimator for estimator in ours}}
    unknown = [name for name in names if name not in known]
    if not names:
        raise ValueError(f"--reducers names none: choose from {', '.join(known)}.")
    if unknown:
        raise ValueError(f"There is no reducer {unknown[0]!r}: choose from {', '.join(known)}.")
    return {known[name].__name__: configured(known[name](), options) for name in names}


def short_name(name: str) -> str:
    """What an estimator is called on the command line: sparse is SparseAutoencoder."""
    return name.removesuffix("Autoencoder").lower() or "autoencoder"


def configured(estimator: Any, options: argparse.Namespace) -> Any:
    """An estimator with those of the options that are parameters of it."""
    hidden = options.hidden_layer_sizes
    asked = {
        "device": options.device,
        "hidden_layer_sizes": None if hidden is None else tuple(hidden),
        "max_iter": options.max_iter,
    }
    known = estimator.get_params()
    return estimator.set_params(**{k: v for k, v in asked.items() if k in known and v is not None})


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(prog="python -m skae", description="Autoencoders beside PCA.")
    top.add_argument("--version", action="version", version=f"skae {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    add = commands.add_parser("compare", help="cross-validate PCA and autoencoders on a table").add_argument
    add("data", nargs="?", default="digits", metavar="DATA", help=f"{', '.join(BUNDLED)}, or a file (default: digits)")
    add("--target", metavar="COLUMN", help="name or number of the column to predict")
    add("--reducers", default="pca,autoencoder", metavar="NAMES", help="default: pca,autoencoder")
    add("--n-components", nargs="+", type=int, metavar="K", help="default: 2 8 16, as far as DATA has them")
    add("--hidden-layer-sizes", nargs="*", type=int, metavar="N", help="hidden layers of the encoders")
    add("--max-iter", type=int, metavar="N", help="epochs at the most")
    add("--cv", type=int, default=5, metavar="N", help="folds (default: 5)")
    add("--standardize", action="store_true", help="divide columns by their standard deviation first")
    add("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    add("--seed", type=int, default=0, help="of folds and models (default: 0)")
    add("--output", type=Path, default=Path("compare"), metavar="DIR", help="default: compare")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 is success, 2 a mistake in the input."""
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
    """Load, compare, and tell: on the terminal, in compare.json and in compare.png."""
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
    """Make the folder to write to before anything is computed."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"Cannot write to {str(path)!r}: {error.strerror}.") from None


def describe_target(data: Dataset) -> str:
    """Say what is predicted."""
    if data.y is None:
        return "no target"
    if is_classes(data.y):
        return f"{len(set(data.y.tolist()))} classes"
    return "a target of real numbers" if data.y.ndim == 1 else f"{data.y.shape[1]} targets of real numbers"


def legend(data: Dataset) -> str:
    """Explain the columns of the table."""
    lines = ["Means over the folds, on held-out rows; the best reducer of each size stands out.", "R2: reconstruction"]
    if data.y is not None:
        unit = "accuracy" if is_classes(data.y) else "R2"
        lines[1] += f"; linear, kNN: {unit} of a linear model and of 5 nearest neighbours on the code"
    return "\n".join(lines)


def write_json(result: Comparison, data: Dataset, options: argparse.Namespace) -> Path:
    """Keep every figure, and the settings that led to it."""
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
    content = {"skae": __version__, "data": data.name, "shape": data.X.shape, "settings": settings}
    path: Path = options.output / "compare.json"
    content |= {"rows": result.rows, "folds": result.folds}
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    return path


def write_picture(result: Comparison, data: Dataset, options: argparse.Namespace) -> str:
    """Draw the comparison, if matplotlib is there."""
    from .inspection import ComparisonDisplay

    try:
        import matplotlib as mpl
    except ImportError:
        return 'no picture: pip install "skae[plot]" for compare.png'
    mpl.use("Agg")
    path = options.output / "compare.png"
    display = ComparisonDisplay.from_comparison(result, image_shape=data.image_shape, title=data.name)
    display.figure_.savefig(path, dpi=120)
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
