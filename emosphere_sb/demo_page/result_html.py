"""Render the results of a recording as HTML: warnings, values and tables."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from emosphere_sb.demo_page.analysis import Analysis
from emosphere_sb.demo_page.drawing import recording_length, sphere_scene, timeline_html
from emosphere_sb.html import render
from emosphere_sb.inference.output.files import csv_cell
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.warning_texts import WARNINGS
from emosphere_sb.release.model import ModelInfo
from emosphere_sb.results.number_format import MINUS, format_clock, format_decimal, format_signed
from emosphere_sb.scale import DIMENSIONS, Scale

MAX_CLASSES = 8
"""Number of most probable classes shown at once; the others are folded."""


def result_view(analysis: Analysis, about: ModelInfo) -> dict[str, Any]:
    """Render the results of a recording.

    Arguments
    ---------
    analysis : Analysis
        Analysis of the recording.
    about : ModelInfo
        Metadata of the model.

    Returns
    -------
    dict
        ``html``, and ``scene`` for the drawing (see
        :func:`emosphere_sb.demo_page.drawing.sphere_scene`).
    """
    overall = analysis.overall
    html = render(
        "demo_page/result.html.jinja",
        warnings=warnings_box(overall),
        source=overall.source,
        duration=recording_length(overall.duration),
        parts=f"{analysis.part_seconds:g}" if overall.windows > 1 else None,
        window=f"{analysis.window_seconds:g}",
        note=analysis.note,
        scale=None if about.scale.is_normalised else _scale_text(about.scale),
        dimensions=_dimensions(analysis, with_scale=not about.scale.is_normalised),
        region=overall.region_description.replace("-", MINUS),
        radius=f"{overall.radius:.2f}",
        head=overall.head,
        classes=_classes(overall)[:MAX_CLASSES],
        other_classes=_classes(overall)[MAX_CLASSES:],
        words=[(word, f"{distance:.2f}") for word, distance in overall.words],
        timeline=timeline_html(analysis),
        window_heads=("start (m:ss)", "end (m:ss)", *DIMENSIONS, "region", "audio"),
        windows=[_cells(one) for one in analysis.windows],
        csv=quote(windows_csv(analysis)),
    )
    return {"html": str(html), "scene": sphere_scene(analysis, about)}


def alert_view(message: str) -> dict[str, Any]:
    """Render an error message instead of a result."""
    return {"html": str(render("demo_page/alert.html.jinja", message=message)), "scene": None}


def empty_view() -> dict[str, Any]:
    """Render the placeholder shown before the first recording."""
    return {"html": str(render("demo_page/nothing.html.jinja")), "scene": None}


def warnings_box(one: Prediction) -> Markup:
    """Render the warnings about a recording, or nothing if it has none."""
    sentences = list(map(warning_sentence, one.warnings))
    return render("demo_page/warnings.html.jinja", sentences=sentences)


def warning_sentence(warning: str) -> str:
    """Turn a warning into a sentence.

    Example
    -------
    >>> warning_sentence("mixing 2 channels cancels the signal")
    'Mixing 2 channels cancels the signal.'
    """
    if warning in WARNINGS:
        return WARNINGS[warning].replace("(below -", f"(below {MINUS}")
    return warning[:1].upper() + warning[1:].rstrip(".") + "."


def _scale_text(scale: Scale) -> str:
    """Format the ends of a label scale.

    Example
    -------
    >>> _scale_text(Scale(-2, 2))
    'from −2 to 2'
    """
    return f"from {scale.low:g} to {scale.high:g}".replace("-", MINUS)


def _dimensions(analysis: Analysis, *, with_scale: bool) -> list[dict[str, Any]]:
    """Collect valence, arousal and dominance on both scales, and mean and range over windows.

    Values on a label scale of -1 to 1 would be the same, so ``with_scale`` omits them.
    """
    overall, rows = analysis.overall, []
    for index, name in enumerate(DIMENSIONS):
        value, scaled = float(overall.vad[index]), float(overall.on_scale[index])
        over = analysis.vad[:, index]
        rows.append(
            {
                "name": name,
                "numbers": [
                    (value, format_signed(value)),
                    *[(scaled, format_decimal(scaled))] * with_scale,
                ],
                "mean": format_signed(over.mean()),
                "lowest": format_signed(over.min()),
                "highest": format_signed(over.max()),
            }
        )
    return rows


def _classes(one: Prediction) -> list[dict[str, Any]]:
    """Collect class probabilities in descending order, or nothing without a class head."""
    ranked = sorted(one.probabilities.items(), key=lambda pair: -pair[1])
    return [
        {"name": name, "share": share, "width": f"{share:.1%}", "text": f"{share:.0%}"}
        for name, share in ranked
    ]


def _cells(one: Prediction) -> list[str]:
    """Format one row of the table of windows."""
    times = [format_clock(one.start, 1), format_clock(one.end, 1)]
    return [*times, *map(format_signed, one.vad), one.region, "; ".join(one.warnings)]


def windows_csv(analysis: Analysis) -> str:
    """Format the windows as CSV, with the columns of :meth:`Prediction.to_dict`."""
    file = io.StringIO()
    rows = [one.to_dict() for one in analysis.windows]
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
    return file.getvalue()
