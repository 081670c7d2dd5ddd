"""Templates escape every value, refuse what is not defined, and can be read one by one."""

import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from emosphere_sb.html import environment, render
from tests.helpers.html import EVIL, Reader

FOLDERS = {"demo_page", "report", "tables"}


def templates():
    return environment().list_templates()


def test_all_templates_compile():
    assert {name.split("/")[0] for name in templates()} == FOLDERS
    for name in templates():
        environment().get_template(name)


@pytest.mark.parametrize("name", [name for name in templates() if name.endswith(".jinja")])
def test_templates_do_not_disable_escaping(name):
    source, *_ = environment().loader.get_source(environment(), name)
    assert not re.search(r"\|\s*safe|autoescape|Markup", source)


def test_text_and_attributes_are_escaped():
    made = environment().from_string('<p title="{{ text }}">{{ text }}</p>').render(text=EVIL)
    read = Reader(made)
    assert read.elements == [("p", {"title": EVIL})]
    assert read.text == EVIL


def test_rendered_fragment_is_not_escaped_twice():
    fragment = render("demo_page/alert.html.jinja", message=EVIL)
    assert isinstance(fragment, Markup)
    made = environment().from_string("<div>{{ fragment }}</div>").render(fragment=fragment)
    assert made == f"<div>{fragment}</div>"


def test_undefined_variable_raises():
    with pytest.raises(UndefinedError, match="'message' is undefined"):
        render("demo_page/alert.html.jinja")


def test_style_sheet_has_no_template_syntax_or_end_tag():
    sheets = [name for name in templates() if name.endswith(".css")]
    assert sheets == ["report/page.css"]
    source, *_ = environment().loader.get_source(environment(), sheets[0])
    assert not re.search(r"<|\{\{|\{%|\{#", source)
