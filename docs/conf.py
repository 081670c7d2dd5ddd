"""Sphinx configuration of the documentation site, built by ``make site``.

The source folder is the root of the repository, so that relative links between pages work on the
site in the same way as in the repository. The site loads nothing from other servers: the theme has
no remote fonts, and formulas are MathML, which needs no script.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from pygments.lexers.special import TextLexer  # noqa: E402
from sphinx.highlighting import lexers  # noqa: E402

from emosphere_sb import __version__  # noqa: E402

lexers["csv"] = TextLexer()  # Pygments has no lexer for CSV

project = "EmoSphere for SpeechBrain"
author = "the EmoSphere for SpeechBrain authors"
copyright = f"{author}; Apache-2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "site_extensions.api_links",
    "site_extensions.api_pages",
    "site_extensions.mathml",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**", "recipes/*/README.md", "benchmarks/RESULTS.md", "CONTRIBUTING.md", "CHANGELOG.md",
]  # fmt: skip
exclude_patterns = ["build", "dist", "results", "tests", "**/.*", ".*"]
suppress_warnings = ["config.cache"]

# ---- Pages ---------------------------------------------------------------------------------------
myst_enable_extensions = ["dollarmath", "attrs_inline"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
# The committed outputs are shown; make notebook executes the notebook again.
nb_execution_mode = "off"

# ---- API reference -------------------------------------------------------------------------------
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = False
napoleon_use_rtype = False

# Every reference to an object of this project must resolve. Types of other libraries are not links,
# because their inventories would have to be downloaded.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!emosphere_sb\.|data_prep\.).*"),
    (r"py:class", r".*\.Drawing"),
]

# ---- Appearance ----------------------------------------------------------------------------------
html_theme = "furo"
html_title = "EmoSphere for SpeechBrain"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_root"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
