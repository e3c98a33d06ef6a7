"""Every measured number in the documentation is made by a script that is named there.

What counts as measured: decimal fractions, percentages, and numbers with one of the units below, outside of code,
formulas in backticks, links, and numbers of versions and sections. Such a number stands

- on a page of ``docs/measured``, which names at its top the command that made it,
- in a section that names the script of ``benchmarks`` which made it,
- in a paragraph, item or table that links to a page of ``docs/measured`` in which it occurs, or one that rounds to it,
- or in an example of the same page, which is run as a doctest.
"""

import ast
import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MEASURED = sorted((ROOT / "docs/measured").glob("*.md"))
HISTORY = {"changelog.md", "releases.md"}
"""Pages of versions. What the changelog tells was measured at the time."""
FOUND = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/models").glob("*.md"))]
PAGES = [path for path in FOUND if path.name not in HISTORY]

CAPTION = re.compile(r"!?\[[^\]]*\]\([^)]*\)\s*")
"""A paragraph that is a picture. It shows its own numbers."""
COMMAND = re.compile(r"`python\s+(benchmarks/\w+\.py)([^`]*)`")
SCRIPT = re.compile(r"`(?:python\s+)?(benchmarks/\w+\.py)")
UNIT = r"(?:%|times|nats?|[kMG]B|ms|s|seconds?|minutes?|hours?)"
NUMBER = re.compile(rf"(?<![\w./])(?<!\w-)(\d[\d ]*\d\.\d+|\d+\.\d+|\d[\d ]*(?=\s?{UNIT}(?![\w'])))(?!\.?\d)(\s?%)?")
VERSION = r"\b(?:versions?|Python|PyTorch|scikit-learn|torch|joblib|dask|ray|onnxruntime|sections?|skae) [\d.]+"


def plain(text):
    """Text without code, the targets of links, addresses, versions, and the rules of tables."""
    for pattern in (r"`[^`]*`", r"\]\([^)]*\)", r"https?://\S+", VERSION, r"^[| :-]+$"):
        text = re.sub(pattern, " ", text, flags=re.MULTILINE)
    return text


def numbers(text):
    """Numbers of a text that may be measured, as they are written and as (value, decimals, whether of a hundred)."""
    for match in NUMBER.finditer(plain(text)):
        digits = match[1].replace(" ", "")
        yield match[0].strip(), (float(digits), len(digits.partition(".")[2]), bool(match[2]))


def values(text):
    """All numbers of a text, whatever they mean."""
    text = re.sub(r"(?<=\d) (?=\d{3}\b)", "", text)
    return [float(digits) for digits in re.findall(r"\d+(?:\.\d+)?", text)]


def rounds_to(found, number):
    """Whether a number is another one, rounded. A percentage is a share too. 530 may be 527, but 531 may not."""
    value, decimals, percent = number
    if not decimals and value >= 100:
        decimals = len(f"{value:.0f}".rstrip("0")) - len(f"{value:.0f}")
    scales = (1, 100) if percent else (1,)
    return any(abs(found * scale - value) <= 0.5000001 * 10.0**-decimals for scale in scales)


def blocks(text):
    """Paragraphs, items of lists and tables of a text without examples."""
    for part in re.split(r"\n\s*\n", text):
        yield from [part] if part.lstrip().startswith("|") else re.split(r"\n(?=\s*(?:-|\d+\.) )", part)


def without_source(page):
    """Measured numbers of a page that nothing on the page is named for, each with the beginning of its paragraph."""
    text = page.read_text()
    examples = values(" ".join(re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)))
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE):
        if SCRIPT.search(section):
            continue
        for block in blocks(section):
            if CAPTION.fullmatch(block):
                continue
            links = [page.parent / link for link in re.findall(r"\(([^()\s]*measured/\w+\.md)", block)]
            found = [value for link in links for value in values(link.read_text())] + examples
            for written, number in numbers(block):
                if not any(rounds_to(value, number) for value in found):
                    yield written, " ".join(block.split())[:70]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_measured_number_has_a_source(page):
    assert list(without_source(page)) == []


@pytest.mark.parametrize("page", MEASURED, ids=lambda p: p.stem)
def test_a_page_of_measurements_begins_with_its_command(page):
    top = page.read_text().split("\n\n")[1:3]
    assert COMMAND.search("\n".join(top))


def commands():
    """All commands of benchmarks that pages tell: the page, the script and its options."""
    for page in (*PAGES, *MEASURED):
        for script, rest in COMMAND.findall(page.read_text()):
            yield page.stem, script, re.findall(r"--[\w-]+", rest)


def test_commands_name_scripts_and_options_that_exist():
    missing = []
    for page, script, options in commands():
        path = ROOT / script
        texts = ast.walk(ast.parse(path.read_text())) if path.exists() else ()
        known = {node.value for node in texts if isinstance(node, ast.Constant)}
        missing += [(page, script, option) for option in options if option not in known]
        missing += [] if path.exists() else [(page, script)]
    assert missing == []


def test_named_scripts_exist():
    named = {script for page in (*PAGES, *MEASURED) for script in SCRIPT.findall(page.read_text())}
    assert [script for script in sorted(named) if not (ROOT / script).exists()] == []


@pytest.mark.parametrize("record", sorted((ROOT / "docs/measured").glob("*.json")), ids=lambda p: p.stem)
def test_a_page_shows_its_recorded_runs(record):
    name = record.stem
    path = next(path for path in (ROOT / f"benchmarks/{name}_page.py", ROOT / f"benchmarks/{name}.py") if path.exists())
    spec = importlib.util.spec_from_file_location(f"page_{name}", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    runs, shown = json.loads(record.read_text()), record.with_suffix(".md").read_text()
    assert (script.page(runs) if hasattr(script, "page") else script.rewritten(shown, runs)) == shown


def test_what_counts_as_a_measured_number():
    text = "It is 97.7 % of `0.5` rows, 1 318 MB, 3 times, in 2024, version 1.2, 8 x 8, [0.3](a/0.4.md), section 2.3."
    assert [written for written, _ in numbers(text)] == ["97.7 %", "1 318", "3", "0.3"]


@pytest.mark.parametrize(
    ("found", "written", "same"),
    [
        (0.9774, "97.7 %", True),
        (97.66, "97.7 %", True),
        (0.977, "98 %", True),
        (0.977, "97 %", False),
        (527.0, "530 MB", True),
        (527.0, "531 MB", False),
        (0.295, "0.30", True),
        (0.294, "0.30", False),
    ],
)
def test_a_number_may_be_rounded(found, written, same):
    ((_, number),) = numbers(written)
    assert rounds_to(found, number) == same
