"""Render HTML and SVG from Jinja2 templates that escape every value.

A package keeps its templates in a folder ``templates``: ``report/run.html.jinja`` is the file
``emosphere_sb/report/templates/run.html.jinja``.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

PACKAGES = ("demo_page", "report", "tables")
"""Packages that contain templates."""


@cache
def environment() -> Environment:
    """Return the Jinja2 environment, in which undefined variables raise an error."""
    loaders = {name: PackageLoader("emosphere_sb", f"{name}/templates") for name in PACKAGES}
    return Environment(
        loader=PrefixLoader(loaders), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def render(template: str, **view: object) -> Markup:
    """Render a template.

    Arguments
    ---------
    template : str
        Name of the template: package and file name.
    **view : object
        Variables of the template. Every value is escaped, except results of this function.

    Returns
    -------
    Markup
        String that is not escaped again when another template includes it.

    Raises
    ------
    jinja2.UndefinedError
        If the template uses a variable that is not in ``view``.

    Example
    -------
    >>> print(render("demo_page/alert.html.jinja", message="a < b"))
    <div class="em-alert" role="alert"><strong>No result.</strong> a &lt; b</div>
    """
    # The template escaped every value.
    return Markup(environment().get_template(template).render(view))
