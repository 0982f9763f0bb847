"""The documentation site: README, tutorials, pages and docstrings as they stand in the project.

    python -m sphinx -W -c docs -b html . site      # then open site/index.html

The source folder is the project's root, so that the links between its pages hold on the site too.
Tutorials are run, with their solutions in.
"""

import os
import shutil
import sys
from pathlib import Path

from docutils import nodes

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
nb_execution_timeout = 1800  # seconds a cell, for a busy machine
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"  # notes of compilers and runtimes, not the tutorial's
nb_code_prompt_show = "Show a solution"  # what the tutorials fold is nothing else
os.environ["MINICNN_SOLUTIONS"] = "all"
os.environ["TQDM_DISABLE"] = "1"  # progress bars are for who waits
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_html_meta = {
    "description": "A convolutional-network framework to read: hand-written layers and Numba "
    "kernels, from training on a CPU to int8 TFLite files for the Edge TPU."
}
highlight_language = "none"  # most blocks are commands and what they print
smartquotes = False  # quotes are mostly around code

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "fully-qualified"
# each name where it is written, not once more in the package that passes it on
autodoc_default_options = {"members": True, "ignore-module-all": True}
add_module_names = False

html_math_renderer = "drawn"  # by formulas.py
html_theme = "furo"
html_title = "minicnn"
html_copy_source = False
html_favicon = "favicon.svg"
html_static_path = ["site.css"]
html_css_files = ["site.css"]

CONTENTS = """
```{toctree}
:hidden:
:caption: Tutorials
:glob:
tutorials/README
tutorials/[0-9]*
```
```{toctree}
:hidden:
:caption: Guides
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


def _name_pictures(app, doctree):
    """What a tutorial draws has no words of its own for who cannot see it: its section's title."""
    for image in doctree.findall(nodes.image):
        section = image.parent
        while section is not None and not isinstance(section, nodes.section):
            section = section.parent
        if "alt" not in image and section is not None:
            image["alt"] = f"Picture: {section[0].astext()}"


def _front_page(app, exception):
    if exception is None and app.builder.format == "html":
        shutil.copy(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))


def setup(app):
    app.connect("source-read", _with_contents)
    app.connect("autodoc-process-docstring", _as_rest, priority=400)  # before napoleon
    app.connect("doctree-read", _name_pictures)
    app.connect("build-finished", _front_page)
