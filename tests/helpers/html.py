"""Parse HTML with Python's standard parser."""

from html.parser import HTMLParser

EVIL = "<script>alert('1')</script> & \"more\""


class Reader(HTMLParser):
    """Parser that collects the elements, the text of each table cell, and all text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.cells, self._cell = [], "", [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        self._cell = tag if tag in ("td", "th") else self._cell
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        self._cell = None if tag == self._cell else self._cell

    def handle_data(self, data):
        self.text += data
        if self._cell:
            self.cells[-1][-1] += data

    def of(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]
