"""HTML that escapes what it is not told to trust, read back by Python's own parser."""

import base64
import struct
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure

from emosphere_sb.report.html.markup import Markup, command, document, element, join, picture, table
from emosphere_sb.report.plots.all import png

EVIL = "<script>alert('1')</script> & \"more\""


class Reader(HTMLParser):
    """Elements with their attributes, and all text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_text_and_attributes_are_escaped():
    read = Reader(element("p", EVIL, title=EVIL))
    assert read.elements == [("p", {"title": EVIL})]
    assert read.text == EVIL


def test_markup_stands_as_it_is():
    assert element("p", element("b", "x"), Markup("<i>y</i>")) == "<p><b>x</b><i>y</i></p>"


def test_nothing_is_left_out_and_numbers_are_text():
    assert join([None, 3, "", element("br")]) == "3<br>"


def test_attributes():
    made = element("a", class_="b", aria_label="c", hidden=True, id=None, open=False)
    assert made == '<a class="b" aria-label="c" hidden></a>'


def test_a_void_element_holds_nothing():
    with pytest.raises(ValueError, match="img holds nothing; found"):
        element("img", "text")


def test_table_has_scopes():
    read = Reader(table(["set", "n"], [["test1", 3], [EVIL, 4]], caption="Sets"))
    scopes = [attrs["scope"] for tag, attrs in read.elements if tag == "th"]
    assert scopes == ["col", "col", "row", "row"]
    assert [tag for tag, _ in read.elements].count("td") == 2
    assert "caption" in dict(read.elements)
    assert read.elements[0][1]["aria-label"] == "Sets"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"Row 2 of a table must have 2 cells.*found 1"):
        table(["a", "b"], [[1, 2], [1]])


def test_picture_holds_the_file_at_its_size():
    file = png(Figure((3, 2)))
    image = next(attrs for tag, attrs in Reader(picture(file, "Alt", "c")).elements if tag == "img")
    assert base64.b64decode(image["src"].partition("base64,")[2]) == file
    assert struct.unpack(">II", file[16:24]) == (432, 288)  # 144 dots an inch
    assert (image["width"], image["height"]) == ("288", "192")  # 96 browser's pixels an inch
    assert image["alt"] == "Alt"


def test_picture_without_words_or_without_a_picture_is_refused():
    with pytest.raises(ValueError, match="needs a text"):
        picture(png(Figure((1, 1))), " ", "caption")
    with pytest.raises(ValueError, match="must be a PNG file; found b'GIF89a'"):
        picture(b"GIF89a", "alt", "caption")


def test_command_reads_as_it_was():
    line = 'python train.py  --a-b="c < d"'
    assert Reader(command(line)).text == line


def test_document():
    read = Reader(document("A & B", element("p", "x"), css="p { margin: 0 }"))
    assert read.elements[0] == ("html", {"lang": "en"})
    policy = next(a["content"] for _, a in read.elements if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "A & B" in read.text


def test_a_style_cannot_end_its_element():
    with pytest.raises(ValueError, match="must not hold '<'"):
        document("t", css="</style><script>")
