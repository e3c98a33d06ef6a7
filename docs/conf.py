"""The site: how sphinx builds it from these pages, the docstrings and the gallery. See .github/CONTRIBUTING.md."""

from __future__ import annotations

import os
import re
import sys
import warnings
from pathlib import Path
from pydoc import locate
from types import ModuleType
from typing import Any

from docutils import nodes

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two examples run at once

from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (of_scikit_learn looks for the imputer)

import skae
from skae.base.encoding import Encoding

sys.path.insert(0, str(Path(__file__).parent))  # sphinx-gallery imports by name what it is told here
from lectures import ORDER

project = "skae"
author = "the skae developers"
copyright = f"2026, {author}"  # noqa: A001 (sphinx's name)
version = release = skae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
]
root_doc = "index"
exclude_patterns = ["_build", "gallery/**", "**/GALLERY_HEADER.rst", "sg_execution_times.rst", "examples/**/*.md5"]
templates_path = ["_templates"]
toc_object_entries_show_parents = "hide"
smartquotes = False  # "l1" in docstrings is code
nitpicky = False  # types in docstrings are words, such as "array-like"; links in pages are checked all the same

# ------------------------------------------------------------------ pages

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# ------------------------------------------------------------------ the API reference

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # numpydoc's words say what a parameter is
autodoc_default_options = {"members": True, "inherited-members": True}
autodoc_member_order = "alphabetical"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
OF_SCIKIT_LEARN = ("fit_transform", "get_params", "set_params")
"""What a page lists of the methods that scikit-learn documents. Its others are those of metadata routing."""


def is_left_out(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Whether a member is left out, since another package defines it and users of that package know it."""
    home = getattr(obj, "__module__", None) or getattr(getattr(obj, "fget", None), "__module__", None) or ""
    if name.startswith("_"):
        return True
    if what == "class" and callable(obj) and not home.startswith("skae") and name not in OF_SCIKIT_LEARN:
        return True
    if obj is Encoding.components_:  # the one that only says that there are none
        return True
    return None


def with_its_page(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """After the first sentence on an estimator, a link to the page that says when to use it."""
    page = getattr(obj, "__module__", "").rpartition(".")[2]
    if what == "class" and name.count(".") == 1 and (Path(__file__).parent / "models" / f"{page}.md").exists():
        at = next((i for i in range(1, len(lines)) if lines[i - 1] and not lines[i]), len(lines))
        lines[at:at] = ["", f"Read more on :doc:`when to use it, and what it is good for </models/{page}>`."]


def of_scikit_learn(app: Any, env: Any, node: Any, words: Any) -> Any:
    """A link to the reference of scikit-learn, for what the installed one has. The build needs no network for it."""
    target = node.get("reftarget", "")
    found = locate(target) if target.startswith("sklearn.") else None
    if found is None or isinstance(found, ModuleType):
        return None
    parts = target.split(".")
    page = target if not isinstance(locate(".".join(parts[:-1])), type) else ".".join(parts[:-1])
    address = f"https://scikit-learn.org/stable/modules/generated/{page}.html#{target}"
    return nodes.reference("", "", words, internal=False, refuri=address, reftitle="in scikit-learn")


def as_plain_text(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let mean_ and |x| in docstrings be what they are to readers of help(), and no links or substitutions."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "..", "[")):
            parts = re.split(r"(``.*?``|`.*?`)", line)
            parts[::2] = [re.sub(r"(?<=\w)_(?!\w)|(?<!\\)\|", r"\\\g<0>", part) for part in parts[::2]]
            lines[i] = "".join([as_link(part, name) for part in parts])


def as_link(part: str, name: str) -> str:
    """A name in double backquotes as a link, if it is one of this package or of scikit-learn and not the page's own."""
    found = re.fullmatch(r"``([A-Za-z][\w.]*)``", part)
    if found is None:
        return part
    full = f"skae.{found[1]}" if found[1] in skae.__all__ else found[1]
    is_known = full.startswith(("skae.", "sklearn.")) and locate(full) is not None
    return f":py:obj:`{found[1]} <{full}>`" if is_known and full not in name else part


# ------------------------------------------------------------------ the gallery

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"/\w+\.py$",
    "subsection_order": [f"gallery/{section}" for section in ORDER],
    "within_subsection_order": "lectures.Lectures",
    "doc_module": ("skae",),
    "backreferences_dir": "examples/backreferences",
    "reference_url": {"skae": None},
    "remove_config_comments": True,
    "show_memory": False,
    "parallel": 2,
    "matplotlib_animations": False,
    "plot_gallery": "True",
    "abort_on_example_error": False,  # all that fail are told at the end, and the build fails
}
warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive", UserWarning)  # plt.show() in the examples

TO_SCRIPT = re.compile(r"\]\((?P<up>(?:\.\./)*)(?:docs/)?gallery/(?P<path>\w+/\w+)\.py(?:#(?P<number>\d+))?\)")
FIGURE = re.compile(rf"(?<=\n\n)\[(?P<caption>[^\]]+){TO_SCRIPT.pattern}(?=\n\n|\n*\Z)")


def as_figure(link: re.Match[str]) -> str:
    """A paragraph that is a link to an example: the picture that the example draws, above the words of the link."""
    section, _, name = link["path"].partition("/")
    page = f"{link['up']}examples/{link['path']}"
    picture = f"{link['up']}examples/{section}/images/sphx_glr_{name}_{int(link['number'] or 1):03d}.png"
    caption = " ".join(link["caption"].split())
    return f":::{{figure}} {picture}\n:alt: {caption}\n\n[{caption}]({page}.rst)\n:::"


def with_the_gallery(app: Any, page: str, source: list[str]) -> None:
    """Turn links to the scripts of examples, which GitHub needs, into their pictures and pages."""
    text = FIGURE.sub(as_figure, source[0])
    text = TO_SCRIPT.sub(lambda link: f"]({link['up']}examples/{link['path']}.rst)", text)
    if page.startswith("models/"):
        text += examples_of(page.removeprefix("models/"))
    source[0] = text


def examples_of(module: str) -> str:
    """Thumbnails of the examples that use an estimator of a module."""
    classes = {name: cls for name, cls in vars(skae).items() if name in skae.__all__ and isinstance(cls, type)}
    names = [f"skae.{name}" for name, cls in classes.items() if cls.__module__.endswith(f".{module}")]
    reference = ", ".join(f"{{class}}`{name}`" for name in names)
    return f"\n\n## Reference and examples\n\n{reference}\n\n```{{eval-rst}}\n.. minigallery:: {' '.join(names)}\n```\n"


# ------------------------------------------------------------------ how it looks

html_theme = "pydata_sphinx_theme"
html_title = f"skae {version}"
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "secondary_sidebar_items": {  # but for examples, whose code needs the room
        pages: [] if pages.startswith("examples") else ["page-toc"]
        for pages in ("*", "api/*", "models/*", "measured/*", "examples/**")
    },
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "pygments_light_style": "default",
}
html_sidebars = {"index": [], "choosing": [], "glossary": [], "changelog": []}


def setup(app: Any) -> None:
    """Register what is ours."""
    app.connect("source-read", with_the_gallery)
    app.connect("autodoc-skip-member", is_left_out)
    app.connect("autodoc-process-docstring", as_plain_text, priority=900)  # after numpydoc
    app.connect("autodoc-process-docstring", with_its_page, priority=901)
    app.connect("missing-reference", of_scikit_learn)
