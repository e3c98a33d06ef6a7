"""The size of an installation: what a fresh environment holds after the README's command, package by package.

    python benchmarks/installed.py --markdown docs/measured/installed.md

Nothing is imported. What pip brings for itself is not counted, and neither is compiled bytecode.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = """# The size of an installation

A fresh environment of Python {python} on {system}, after `python -m pip install {what}`, with a
PyTorch for the CPU alone. Compiled bytecode is not counted. Made by
`python benchmarks/installed.py --markdown docs/measured/installed.md`.

| package | version | MB |
| --- | --- | ---: |
{rows}

A PyTorch for NVIDIA's GPUs, which pip takes on Linux if it is not told otherwise, brings the libraries of CUDA as well.
`python -m pip install torch --index-url https://download.pytorch.org/whl/cpu`, before the command above, takes the one
for the CPU.
"""
LARGE = 5.0
"""Smaller packages, in MB, share a line."""


def installed(what: list[str]) -> list[tuple[str, str, float]]:
    """Name, version and MB of each package that pip installs into a fresh environment."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=False)
        python = str(Path(folder) / "bin" / "python")
        command = [sys.executable, "-m", "pip", "--quiet", "--python", python, "install", *what]
        subprocess.run(command, check=True, cwd=ROOT)
        site = next(Path(folder).glob("lib/python*/site-packages"))
        found = importlib.metadata.distributions(path=[str(site)])
        return sorted(((d.metadata["Name"], d.version, megabytes(d)) for d in found), key=lambda row: -row[2])


def megabytes(distribution: importlib.metadata.Distribution) -> float:
    """Size of the files that a package has brought, without bytecode."""
    paths = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file()) / 1e6


def page(rows: list[tuple[str, str, float]], what: list[str]) -> str:
    """The page that shows them."""
    small = [row for row in rows if row[2] < LARGE and row[0] != "skae"]
    lines = [row for row in rows if row not in small]
    lines += [(f"{len(small)} others", "", sum(row[2] for row in small)), ("**all**", "", sum(row[2] for row in rows))]
    return PAGE.format(
        python=platform.python_version(),
        system=f"{platform.system()}, {platform.machine()}",
        what=" ".join(what),
        rows="\n".join(f"| {name} | {version} | {size:,.1f} |".replace(",", " ") for name, version, size in lines),
    )


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["torch==2.13.0", "."], help="what pip installs")
    parser.add_argument("--markdown", type=Path, help="the page to write")
    args = parser.parse_args()
    text = page(installed(args.what), args.what)
    print(text)
    if args.markdown:
        args.markdown.write_text(text)


if __name__ == "__main__":
    main()
