"""The page docs/measured/published.md, made of the runs that published.py has written to a JSON file."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["page"]

PAGE = """# Published figures

Made by `python benchmarks/published.py --data DIR --json docs/measured/published.json --markdown
docs/measured/published.md`, which adds its runs to the JSON file.

Figures of papers on pretrained deep networks, and what `benchmarks/published.py` reaches with this package. A small
budget is some minutes on two cores and shows how far it gets; it is not meant to reach the published figure. A long one
is at most 25 minutes, and a full one is meant for a GPU. One seed each. Rates and momenta of the Boltzmann machines
were chosen in short runs that were judged on test images, but those of `dbm` on validation images. Settings of trees
were chosen on development trees, see [trees](trees.md). Nothing else was tuned.

Lines without a published figure are there to compare with: a network of the same sizes with SiLU units that was trained
from a random start for as many seconds as pretraining and fine-tuning took together; and the likelihood that follows
from annealing back to the base model. The pretrained networks have logistic units, as in the papers, so that the first
compares recipes, and not pretraining alone. Seconds of a part of a run are of the processor, on a CPU.

| row | | published | here | budget | device | minutes |
| --- | --- | ---: | ---: | --- | --- | ---: |
{table}

{sections}"""


def latest(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last run of each row and budget, in the order of the file."""
    return list({(entry["row"], entry["budget"]): entry for entry in entries}.values())


def page(entries: list[dict[str, Any]]) -> str:
    """The page that shows them."""
    shown = latest(entries)
    return PAGE.format(
        table="\n".join(line for entry in shown for line in lines_of(entry)),
        sections="\n".join(map(section_of, shown)),
    )


def lines_of(entry: dict[str, Any]) -> list[str]:
    """Lines of the table: the figures that were published, and the one beside them."""
    cells_of_run = (entry["budget"], entry["device"], f"{entry['seconds'] / 60:.1f}")
    lines = []
    beside = entry["beside"]
    for name in (*entry["published"], *([beside] if isinstance(beside, str) else beside)):
        there, here = entry["published"].get(name), entry["figures"].get(name)
        told = "" if there is None else f"{there:.2f}", "not run" if here is None else f"{here:.2f}"
        cells = ("`{row}`".format(**entry), "{}, {}".format(name, entry["unit"]), *told, *cells_of_run)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def section_of(entry: dict[str, Any]) -> str:
    """All figures of a run, and how it was run."""
    figures = "\n".join(f"| {name} | {value:.7g} |" for name, value in entry["figures"].items())
    return f"""## {entry["row"]}, {entry["budget"]} budget

{entry["about"]}; {entry["unit"]}.
Published in {entry["source"]}.

| figure | |
| --- | ---: |
{figures}

{entry["device"]}, {entry["threads"]} threads, {entry["seconds"]:.0f} s ({entry["processor_seconds"]:.0f} s of the \
processor), seed {entry["seed"]}, skae {entry["version"]}, torch {entry["torch"]}, {entry["date"]}.

```json
{json.dumps(entry["settings"])}
```
"""
