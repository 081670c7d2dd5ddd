"""The numbers of a recording as HTML: warnings, a sentence, tables."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from emosphere_sb.demo_page.analysis import Reading
from emosphere_sb.demo_page.drawing import scene, timeline_picture
from emosphere_sb.html import render
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.release.model import About
from emosphere_sb.results.number_format import MINUS, clock_text, decimal_text, signed_text
from emosphere_sb.scale import DIMENSIONS

WARNINGS = {
    "silent": "The recording is silent (below −80 dB of full scale): its figures mean nothing. "
    "Check the microphone.",
    "clipped": "The recording is clipped: it was taken too loud, and its figures suffer.",
}
"""What the audio's warnings mean; those that are not here are shown as they are."""

MOST_CLASSES = 8
"""Classes that are shown."""


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
    whole = reading.whole
    html = render(
        "demo_page/result.html.jinja",
        warnings=warnings_box(whole),
        source=whole.source,
        duration=clock_text(whole.duration, 1),
        low=f"{about.scale.low:g}",
        high=f"{about.scale.high:g}",
        dimensions=_dimensions(reading),
        region=whole.region_description.replace("-", MINUS),
        radius=f"{whole.radius:.2f}",
        head=whole.head,
        classes=_classes(whole),
        count=len(whole.probabilities),
        words=[(word, f"{distance:.2f}") for word, distance in whole.words],
        timeline=timeline_picture(reading),
        window_heads=("start", "end", *DIMENSIONS, "region", "audio"),
        windows=[_cells(one) for one in reading.windows],
        csv=quote(as_csv(reading)),
    )
    return {"html": str(html), "scene": scene(reading, about)}


def alert(message: str) -> dict[str, Any]:
    """A message in place of a result."""
    return {"html": str(render("demo_page/alert.html.jinja", message=message)), "scene": None}


def nothing() -> dict[str, Any]:
    """What stands there before a recording."""
    return {"html": str(render("demo_page/nothing.html.jinja")), "scene": None}


def warnings_box(one: Prediction) -> Markup:
    """The warnings about a recording's audio; empty where there are none."""
    return render("demo_page/warnings.html.jinja", sentences=list(map(sentence, one.warnings)))


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


def _dimensions(reading: Reading) -> list[dict[str, Any]]:
    """Valence, arousal and dominance on both scales, with mean and range over the windows."""
    whole, rows = reading.whole, []
    for index, name in enumerate(DIMENSIONS):
        value, scaled = float(whole.vad[index]), float(whole.on_scale[index])
        over = reading.vad[:, index]
        rows.append(
            {
                "name": name,
                "figures": [(value, signed_text(value)), (scaled, decimal_text(scaled))],
                "mean": signed_text(over.mean()),
                "lowest": signed_text(over.min()),
                "highest": signed_text(over.max()),
            }
        )
    return rows


def _classes(one: Prediction) -> list[dict[str, Any]]:
    """Probabilities of the class head, the highest first; empty where the model has none."""
    ranked = sorted(one.probabilities.items(), key=lambda pair: -pair[1])
    return [
        {"name": name, "share": share, "width": f"{share:.1%}", "text": f"{share:.0%}"}
        for name, share in ranked[:MOST_CLASSES]
    ]


def _cells(one: Prediction) -> list[str]:
    """A line of the table of windows."""
    times = [clock_text(one.start, 1), clock_text(one.end, 1)]
    return [*times, *map(signed_text, one.vad), one.region, "; ".join(one.warnings)]


def as_csv(reading: Reading) -> str:
    """The windows as CSV: columns as :meth:`Prediction.to_dict` has them."""
    file = io.StringIO()
    rows = [one.to_dict() for one in reading.windows]
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
