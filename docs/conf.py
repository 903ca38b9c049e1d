"""The site: `python -m sphinx -W -b html docs docs/_build`."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The notebooks find the library as it is here, and run on the processor, quietly.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")])
)
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import cnnjax

project = "cnnjax"
author = "The cnnjax authors"
release = cnnjax.__version__
html_title = "cnnjax"
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "reference",
]
exclude_patterns = ["_build", "jupyter_execute", "examples", "_extensions"]

# Names are imported from packages, so that they are described where a reader imports them from.
add_module_names = False
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_default_options = {"no-value": True}
python_maximum_signature_line_length = 88
smartquotes = False
default_role = "code"
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# Notebooks run at every build, and a cell that fails fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "home_page_in_toc": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
}
copybutton_exclude = ".linenos, .gp, .go"
