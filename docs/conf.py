"""The documentation site: README, tutorials, pages and docstrings as they stand in the project.

    python -m sphinx -W -c docs -b html . site      # then open site/index.html

The source folder is the project's root, so that the links between its pages hold on the site too.
Tutorials are run, with their solutions in.
"""

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from docstrings import as_rest  # noqa: E402

import minicnn  # noqa: E402

project, author, copyright = "minicnn", "the minicnn authors", "the minicnn authors"
version = release = minicnn.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "formulas",
]

root_doc = "README"
include_patterns = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/api/*.md",
    "tutorials/*.md",
    "tutorials/[0-9][0-9]_*.py",
    "models/weights/README.md",
]
exclude_patterns = ["**/.*"]

nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
os.environ["MINICNN_SOLUTIONS"] = "all"
os.environ["TQDM_DISABLE"] = "1"  # progress bars are for who waits
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
add_module_names = False

html_math_renderer = "drawn"  # by formulas.py
html_theme = "furo"
html_title = "minicnn"
html_copy_source = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]

CONTENTS = """
```{toctree}
:hidden:
:caption: minicnn
docs/training
docs/int8
docs/coral
docs/speed
docs/reproduction
models/weights/README
ARCHITECTURE
CONTRIBUTING
```
```{toctree}
:hidden:
:caption: Tutorials
:glob:
tutorials/README
tutorials/[0-9]*
```
```{toctree}
:hidden:
:caption: Reference
docs/api/index
```
"""


def _with_contents(app, docname, source):
    """The table of contents, which means nothing where the README is read elsewhere."""
    if docname == root_doc:
        source[0] += CONTENTS


def _as_rest(app, what, name, obj, options, lines):
    lines[:] = as_rest(lines)


def _front_page(app, exception):
    if exception is None and app.builder.format == "html":
        shutil.copy(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))


def setup(app):
    app.connect("source-read", _with_contents)
    app.connect("autodoc-process-docstring", _as_rest, priority=400)  # before napoleon
    app.connect("build-finished", _front_page)
