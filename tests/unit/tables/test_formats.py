"""Tables as Markdown, LaTeX and HTML: complete rows and escaped text."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from emosphere_sb.tables.formats import to_html, to_latex, to_markdown
from emosphere_sb.tables.page import Line, Page, Text

NASTY = r"a|b & 50% $x_1^2$ #3 {~} \end * <b> [x]"
LINES = (
    Line(("EmoSphere-SER", "✓"), (
        Text(".688", ".004", bold=True), Text("59.5", stars="**"), Text("–", note="a"), Text(".1"),
    )),
    Line(("published", ""), (Text(".6884 (−.001)"), Text(""), Text(""), Text("")), published=True),
    Line((NASTY, "[1]"), (Text("-.010", ".100", stars="*", note="ab"), *[Text(".2")] * 3)),
)  # fmt: skip
BLOCKS = (("MSP-Podcast test1", 2), ("IEMOCAP test, 5 folds pooled", 2))
PAGE = Page(
    ("model", "loss | style"), BLOCKS, ("mean", "F1 (%)", "mean", "F1 (%)"), LINES,
    ("Stars: * p < .05, ** p < .01, *** p < .001.", f"[a] seed 2: {NASTY}"),
)  # fmt: skip
SINGLE = Line(("8 (90°)",), (Text(".5"),))
ONE = Page(("N (angle)",), (("MSP-Podcast test", 1),), ("mean",), (SINGLE,), ())


# --- Markdown --------------------------------------------------------------------------------


def cells_of(line: str) -> list[str]:
    """Split a line at vertical bars that are not escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def table_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


def test_every_line_of_markdown_has_every_column():
    lines = table_lines(to_markdown(PAGE, "Title"))
    assert len(lines) == 2 + len(LINES)
    assert {len(cells_of(line)) for line in lines} == {6}
    assert cells_of(lines[1]) == ["---", "---", "---:", "---:", "---:", "---:"]


def test_markdown_headers_name_the_blocks_of_tables_with_several_blocks():
    head = cells_of(table_lines(to_markdown(PAGE, "Title"))[0])
    assert head[2:4] == ["MSP-Podcast test1: mean", "MSP-Podcast test1: F1 (%)"]
    assert head[4] == "IEMOCAP test, 5 folds pooled: mean"
    text = to_markdown(ONE, "Title")
    assert text.startswith("**Title** – MSP-Podcast test\n")
    assert cells_of(table_lines(text)[0]) == ["N (angle)", "mean"]


def test_cells_of_markdown():
    first, published, last = (cells_of(line) for line in table_lines(to_markdown(PAGE, "T"))[2:])
    assert first == ["EmoSphere-SER", "✓", "**.688** ± .004", r"59.5\*\*", "– [a]", ".1"]
    assert published == ["*published*", "", ".6884 (−.001)", "", "", ""]
    assert last[2] == r"-.010 ± .100\* [ab]"


def test_stars_and_bars_are_escaped_in_markdown():
    text = to_markdown(PAGE, "One * two | three")
    table = "".join(table_lines(text)).replace("**.688**", "").replace("*published*", "")
    notes = "".join(line for line in text.splitlines() if line.startswith("- "))
    assert r"\* p < .05, \*\* p < .01, \*\*\* p < .001" in notes
    for part in (table, notes):
        assert not re.search(r"(?<!\\)\*", part)
    assert not re.search(r"(?<!\\)\|", notes)
    assert r" \<b> " in table and r" \<b> " in notes
    assert text.startswith(r"**One \* two \| three**")


# --- LaTeX -----------------------------------------------------------------------------------


def columns_of(line: str) -> int:
    """Columns that a line of a tabular fills; \\multicolumn counts as many as it says."""
    line = line.removesuffix(r" \\")
    spans = [int(number) for number in re.findall(r"\\multicolumn\{(\d+)\}", line)]
    return len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) - len(spans)


def body_of(text: str) -> list[str]:
    inside = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    return [line for line in inside.splitlines() if line.endswith(r" \\")]


@pytest.mark.parametrize(("page", "columns", "lines"), [(PAGE, 6, 5), (ONE, 2, 3)])
def test_every_line_of_latex_has_every_column(page, columns, lines):
    text = to_latex(page, "Title", "name")
    spec = re.search(r"\\begin\{tabular\}\{(l+r+)\}", text)
    assert len(spec.group(1)) == columns
    assert [columns_of(line) for line in body_of(text)] == [columns] * lines


def test_latex_rules_are_below_their_blocks():
    text = to_latex(PAGE, "Title", "name")
    assert r"\cmidrule(lr){3-4} \cmidrule(lr){5-6}" in text
    assert r"\multicolumn{2}{c}{MSP-Podcast test1}" in text


def test_cells_of_latex():
    first, published, last = body_of(to_latex(PAGE, "Title", "name"))[2:]
    assert first == (
        r"EmoSphere-SER & \checkmark{} & \textbf{.688} $\pm$ .004 & 59.5$^{**}$ & --$^{a}$ & .1 \\"
    )
    assert published == r"\emph{published} &  & .6884 ($-$.001) &  &  &  \\"
    assert r"-.010 $\pm$ .100$^{*}$$^{ab}$" in last


def test_special_characters_are_escaped_in_latex():
    last = body_of(to_latex(PAGE, "Title", "name"))[-1]
    assert last.startswith(
        r"a|b \& 50\% \$x\_1\textasciicircum{}2\$ \#3 \{\textasciitilde{}\} "
        r"\textbackslash{}end {*} $<$b$>$ {[}x{]} & {[}1{]} & "
    )


def test_braces_and_environments_of_latex_are_closed():
    text = to_latex(PAGE, NASTY, "paper_table_1")
    depth = 0
    for letter in re.sub(r"\\[\\{}%&#$_]", "", text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0
    assert r"\label{tab:paper_table_1}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here")
def test_latex_compiles(tmp_path):
    lines = [r"\documentclass{article}", r"\usepackage{booktabs, amssymb}", r"\begin{document}"]
    whole = "\n".join([*lines, to_latex(PAGE, NASTY, "name"), r"\end{document}"])
    (tmp_path / "table.tex").write_text(whole, encoding="utf-8")
    words = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "table.tex"]
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:]


# --- HTML ------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Rows of a table as (tag, columns, text), and whether every tag was closed in order."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open, self.tags = [], [], set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append([tag, int(dict(attributes).get("colspan", 1)), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1][2] += data


def test_every_row_of_html_has_every_column():
    reader = Reader(to_html(PAGE))
    assert not reader.open
    assert len(reader.rows) == 2 + len(LINES)
    assert {sum(columns for _, columns, _ in row) for row in reader.rows} == {6}


def test_cells_of_html():
    reader = Reader(to_html(PAGE))
    assert [text for _, _, text in reader.rows[0]] == ["", *(title for title, _ in BLOCKS)]
    texts = [[text for _, _, text in row] for row in reader.rows[2:]]
    assert texts[0] == ["EmoSphere-SER", "✓", ".688 ± .004", "59.5**", "–[a]", ".1"]
    assert texts[1] == ["published", "", ".6884 (−.001)", "", "", ""]
    assert "<strong>.688</strong> ± .004" in to_html(PAGE)


def test_text_is_escaped_in_html():
    reader = Reader(to_html(PAGE))
    assert reader.rows[-1][0][2] == NASTY
    assert reader.tags == {"table", "thead", "tbody", "tr", "th", "td", "strong", "sup"}
