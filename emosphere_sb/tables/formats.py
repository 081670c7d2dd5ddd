"""Conversion of a table to Markdown, LaTeX (booktabs) and HTML."""

from __future__ import annotations

import re

from markupsafe import Markup

from emosphere_sb.html import render
from emosphere_sb.tables.page import Line, Page, Text

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "−": "$-$", "–": "--", "°": r"$^\circ$", "✓": r"\checkmark{}", "<": "$<$",
    ">": "$>$", "×": r"$\times$", "“": "``", "”": "''",
    "[": "{[}", "]": "{]}", "*": "{*}",  # LaTeX would read these as arguments after a line break
}  # fmt: skip


def to_markdown(page: Page, title: str) -> str:
    """Convert a table to GitHub Markdown, with the titles of the blocks in the column headers."""
    several = len(page.blocks) > 1
    titles = [block for block, count in page.blocks for _ in range(count)]
    headers = [
        f"{block}: {head}" if several else head
        for block, head in zip(titles, page.headers, strict=True)
    ]
    lines = [
        f"**{_md(title)}**" + ("" if several else f" – {_md(page.blocks[0][0])}"),
        "",
        _bars([_md(text) for text in (*page.labels, *headers)]),
        _bars(["---"] * len(page.labels) + ["---:"] * len(headers)),
    ]
    for line in page.lines:
        labels = [f"*{t}*" if line.published and t else t for t in map(_md, line.labels)]
        lines.append(_bars([*labels, *(_markdown_cell(cell) for cell in line.cells)]))
    notes = [f"- {_md(note)}" for note in page.notes]
    return "\n".join([*lines, "", *notes]) + "\n"


def _bars(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _md(text: str) -> str:
    """Escape stars, vertical bars and tags."""
    return re.sub(r"[|*]|<(?=[A-Za-z/!])", r"\\\g<0>", text)


def _markdown_cell(cell: Text) -> str:
    value = f"**{cell.value}**" if cell.bold else cell.value
    spread = f" ± {cell.deviation}" if cell.deviation else ""
    stars = cell.stars.replace("*", r"\*")
    note = f" [{cell.note}]" if cell.note else ""
    return f"{value}{spread}{stars}{note}"


def to_latex(page: Page, title: str, name: str) -> str:
    """Convert a table to LaTeX; requires the packages booktabs and amssymb."""
    columns = "l" * len(page.labels) + "r" * len(page.headers)
    blocks, rules, at = [], [], len(page.labels) + 1
    for block, count in page.blocks:
        blocks.append(rf"\multicolumn{{{count}}}{{c}}{{{_tex(block)}}}")
        rules.append(rf"\cmidrule(lr){{{at}-{at + count - 1}}}")
        at += count
    lines = [
        "% requires: \\usepackage{booktabs, amssymb}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(title)}}}",
        rf"\label{{tab:{name}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join([""] * (len(page.labels) - 1) + [""] + blocks).strip() + r" \\",
        " ".join(rules),
        " & ".join([*map(_tex, page.labels), *map(_tex, page.headers)]) + r" \\",
        r"\midrule",
    ]
    lines += [_latex_line(line) for line in page.lines]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {_tex(note)}" for note in page.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _latex_line(line: Line) -> str:
    labels = [rf"\emph{{{_tex(t)}}}" if line.published and t else _tex(t) for t in line.labels]
    return " & ".join([*labels, *map(_latex_cell, line.cells)]) + r" \\"


def _latex_cell(cell: Text) -> str:
    value = rf"\textbf{{{_tex(cell.value)}}}" if cell.bold else _tex(cell.value)
    spread = rf" $\pm$ {cell.deviation}" if cell.deviation else ""
    stars = f"$^{{{cell.stars}}}$" if cell.stars else ""
    note = f"$^{{{cell.note}}}$" if cell.note else ""
    return f"{value}{spread}{stars}{note}"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def to_html(page: Page) -> Markup:
    """Convert a table to an HTML ``<table>`` element."""
    return render("tables/table.html.jinja", page=page)
