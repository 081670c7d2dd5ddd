"""The numbers of a recording as HTML: warnings, a sentence, tables. Everything is escaped."""

from __future__ import annotations

import csv
import io
from html import escape
from typing import Any
from urllib.parse import quote

from emosphere_sb.demo_page.analysis import Reading
from emosphere_sb.demo_page.drawing import scene, timeline_picture
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.release.model import About
from emosphere_sb.results.number_format import clock_text, decimal_text, signed_text
from emosphere_sb.scale import DIMENSIONS

WARNINGS = {
    "silent": "The recording is silent (below −80 dB of full scale): its figures mean nothing. "
    "Check the microphone.",
    "clipped": "The recording is clipped: it was taken too loud, and its figures suffer.",
}
"""What the audio's warnings mean; those that are not here are shown as they are."""


def result(reading: Reading, about: About) -> dict[str, Any]:
    """What the page shows of a recording.

    Arguments
    ---------
    reading : Reading
        Of the recording.
    about : About
        Of the model.

    Returns
    -------
    dict
        ``html``, and ``scene`` for the drawing (see :func:`emosphere_sb.demo_page.drawing.scene`).
    """
    several = len(reading.windows) > 1
    parts = [
        warnings_box(reading.whole),
        f"<h2>{escape(reading.whole.source)} <small>{clock_text(reading.whole.duration, 1)} min"
        f"</small></h2>",
        f'<div class="em-pair"><div>{_sphere(several)}</div><div>{numbers(reading, about)}'
        f"{_region(reading.whole)}{_scores(reading.whole)}{_words(reading.whole)}</div></div>",
        "<h3>Over time</h3>",
        timeline_picture(reading),
        _slider(len(reading.windows)) if several else "",
        _windows(reading),
    ]
    return {"html": "".join(parts), "scene": scene(reading, about)}


def alert(message: str) -> dict[str, Any]:
    """A message in place of a result."""
    text = f'<div class="em-alert" role="alert"><strong>No result.</strong> {escape(message)}</div>'
    return {"html": text, "scene": None}


def nothing() -> dict[str, Any]:
    """What stands there before a recording."""
    text = '<p class="em-soft">Record speech or drop a file: the result appears here.</p>'
    return {"html": text, "scene": None}


def warnings_box(one: Prediction) -> str:
    """The warnings about a recording's audio; empty where there are none."""
    items = "".join(f"<li>{escape(sentence(warning))}</li>" for warning in one.warnings)
    return f'<div class="em-warnings" role="status"><ul>{items}</ul></div>' if items else ""


def sentence(warning: str) -> str:
    """A warning as a sentence.

    Example
    -------
    >>> sentence("only the first 12 of 30.0 s were heard")[:40]
    'Only the first 12 of 30.0 s were heard. '
    """
    if warning in WARNINGS:
        return WARNINGS[warning]
    text = warning[:1].upper() + warning[1:].rstrip(".") + "."
    if warning.startswith("only the first"):
        text += (
            " That is as long as the model's evaluation was: the first columns and the region are "
            "of these seconds. The time line covers everything."
        )
    return text


def numbers(reading: Reading, about: About) -> str:
    """Valence, arousal and dominance on both scales, with mean and range over the windows."""
    scale, several = about.scale, len(reading.windows) > 1
    rows = []
    for index, name in enumerate(DIMENSIONS):
        value, scaled = float(reading.whole.vad[index]), float(reading.whole.on_scale[index])
        cells = (
            f'<th scope="row"><span class="em-key em-{name}"></span>{name}</th>'
            f'<td data-value="{value!r}">{signed_text(value)}</td>'
            f'<td data-value="{scaled!r}">{decimal_text(scaled)}</td>'
        )
        if several:
            over = reading.vad[:, index]
            cells += (
                f"<td>{signed_text(over.mean())} <small>({signed_text(over.min())} to "
                f"{signed_text(over.max())})</small></td>"
            )
        rows.append(f'<tr id="em-{name}">{cells}</tr>')
    last = '<th scope="col">mean of windows (range)</th>' if several else ""
    return (
        '<table class="em-numbers"><caption>Valence, arousal, dominance; neutral is 0</caption>'
        '<thead><tr><td></td><th scope="col">in [−1, 1]</th>'
        f'<th scope="col">from {scale.low:g} to {scale.high:g}</th>{last}'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _region(one: Prediction) -> str:
    about = one.region_description.replace("-", "−")
    return (
        f'<p class="em-region">The point lies in region <strong>{escape(about)}</strong>, '
        f"{one.radius:.2f} from neutral.</p>"
    )


def _scores(one: Prediction) -> str:
    """Probabilities of the class head, the highest first, where the model has one."""
    if not one.probabilities:
        return ""
    ranked = sorted(one.probabilities.items(), key=lambda pair: -pair[1])
    shown = ranked[:8]
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="em-bar"><span style="width:'
        f'{share:.1%}"></span></td><td data-value="{share!r}">{share:.0%}</td></tr>'
        for name, share in shown
    )
    rest = f" ({len(shown)} of {len(ranked)})" if len(shown) < len(ranked) else ""
    return (
        f'<table class="em-scores"><caption>The {escape(one.head)} head\'s probabilities{rest}'
        f"</caption><tbody>{rows}</tbody></table>"
    )


def _words(one: Prediction) -> str:
    if not one.words:
        return ""
    items = ", ".join(f"{escape(word)} <small>({far:.2f})</small>" for word, far in one.words)
    return (
        f'<p class="em-words">Nearest emotion words: {items}. <small>Distances from each word\'s '
        f"mean over the training set.</small></p>"
    )


def _sphere(several: bool) -> str:
    trail = "; dots are windows, the ring is the one that is chosen" if several else ""
    return (
        '<canvas class="em-sphere" tabindex="0" role="img"></canvas>'
        '<p class="em-soft em-hint">The diamond is the recording'
        f"{trail}. Drag, or use the arrow keys, to turn it; Home turns it back.</p>"
    )


def _slider(count: int) -> str:
    return (
        '<div class="em-slide"><button type="button" class="em-play">Play</button>'
        '<label>Window <input type="range" class="em-range" min="0" step="1" value="0" '
        f'max="{count - 1}"></label></div><output class="em-now"></output>'
    )


def _windows(reading: Reading) -> str:
    """The windows as a table, and as a CSV to keep."""
    rows = "".join(
        f"<tr><td>{clock_text(one.start, 1)}</td><td>{clock_text(one.end, 1)}</td>"
        + "".join(f"<td>{signed_text(value)}</td>" for value in one.vad)
        + f"<td>{escape(one.region)}</td><td>{escape('; '.join(one.warnings))}</td></tr>"
        for one in reading.windows
    )
    heads = "".join(
        f'<th scope="col">{name}</th>' for name in ("start", "end", *DIMENSIONS, "region", "audio")
    )
    link = f"data:text/csv;charset=utf-8,{quote(as_csv(reading))}"
    return (
        f"<details><summary>Table of the windows ({len(reading.windows)})</summary>"
        f'<div class="em-wide" tabindex="0" role="region" aria-label="Table of the windows">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>"
        f'<p><a class="em-download" href="{link}" download="windows.csv">Download the windows as '
        f"CSV</a></p>"
    )


def as_csv(reading: Reading) -> str:
    """The windows as CSV: columns as :meth:`Prediction.to_dict` has them."""
    file = io.StringIO()
    rows = [one.to_dict() for one in reading.windows]
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
