"""Render formulas as MathML, which browsers display without a script or a font from the network."""

from __future__ import annotations

import html
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect(
        "config-inited", lambda app, config: setattr(config, "html_math_renderer", "mathml")
    )
    return {"parallel_read_safe": True}


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    translator.body.append(mathml(node.astext(), display="inline"))
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    translator.body.append(f'<div class="math">{mathml(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def mathml(latex: str, *, display: str) -> str:
    """Convert LaTeX to a ``<math>`` element.

    Example
    -------
    >>> mathml("x^2", display="inline").count("<msup>")
    1
    """
    element = convert(latex, display=display).replace(r"\%", "%")  # left as it is in \text
    return element.replace("<math ", f'<math aria-label="{html.escape(latex)}" ', 1)
