"""What the project says of itself agrees with the package: its version and what it needs. Forges can read its files."""

import configparser
import re
from pathlib import Path

import pytest
import yaml

import skae

ROOT = Path(__file__).parents[1]
FORMS = sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"))
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))


def settings():
    """What setup.cfg says."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == skae.__version__
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= cited.keys()
    assert cited["license"] == settings()["metadata"]["license"]


def test_the_page_of_versions_names_the_oldest_ones():
    table = re.findall(r"^\| ([\w-]+) \| (\d[\d.]*) \|", (ROOT / "docs/releases.md").read_text(), re.MULTILINE)
    names = {"NumPy": "numpy", "SciPy": "scipy", "PyTorch": "torch"}
    told = {names.get(name, name): oldest for name, oldest in table}
    needed = dict(line.split(">=") for line in settings()["options"]["install_requires"].split())
    assert told.pop("Python") == settings()["options"]["python_requires"].removeprefix(">=")
    assert told == {name: needed[name] for name in told}
    assert {"numpy", "scipy", "scikit-learn", "torch"} == told.keys()


@pytest.mark.parametrize("path", [*FORMS, *WORKFLOWS], ids=lambda p: p.name)
def test_files_for_the_forge_can_be_read(path):
    read = yaml.safe_load(path.read_text())
    if path in WORKFLOWS:
        for job in read["jobs"].values():
            scripts = [step["run"] for step in job["steps"] if "run" in step]
            assert all((ROOT / script).exists() for script in scripts if script.startswith(".ci/"))
    elif path.name != "config.yml":
        assert {"name", "description", "body"} <= read.keys()
        names = [part["id"] for part in read["body"] if part["type"] != "markdown"]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/*.md")), ids=lambda p: p.stem)
def test_links_of_the_forge_lead_to_files(path):
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    files = [target for target in targets if not target.startswith("https:")]
    assert [target for target in files if not (path.parent / target).exists()] == []


def test_the_command_of_contributors_installs_what_the_readme_says():
    (command,) = re.findall(r"^python -m pip install (.*) && python -m pytest", (ROOT / "README.md").read_text(), re.M)
    assert f"python -m pip install {command}\n" in (ROOT / ".github/CONTRIBUTING.md").read_text()
