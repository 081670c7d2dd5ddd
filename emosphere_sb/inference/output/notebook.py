"""Show predictions in notebooks: as data frames and as HTML tables.

Neither pandas nor a template engine is required by predictions without PyTorch, so pandas is
imported on use, and the HTML is written with the standard library.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from emosphere_sb.fileio.csv_cells import list_text
from emosphere_sb.results.constants import SYNTHETIC_MODEL_NOTE
from emosphere_sb.scale import DIMENSIONS

if TYPE_CHECKING:
    import pandas as pd

    from emosphere_sb.inference.prediction import Prediction

MAX_ROWS = 20
"""Maximum number of rows of an HTML table."""
SAME = 1e-6
"""Largest difference between a value in [-1, 1] and the same value on a label scale of -1 to 1."""


def predictions_frame(
    predictions: Sequence[Prediction], *, embedding: bool = False
) -> pd.DataFrame:
    """Convert predictions to a data frame with one row each.

    Arguments
    ---------
    predictions : sequence of Prediction
        Predictions in the order of the rows.
    embedding : bool
        Whether to include the embedding, as the columns ``embedding_0``, ``embedding_1``, …

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "to_frame requires pandas. Install it with: pip install pandas. to_dict does not "
            "require it."
        ) from error
    rows = []
    for one in predictions:
        row = {key: _frame_cell(value) for key, value in one.to_dict().items()}
        if embedding:
            row |= {f"embedding_{k}": float(value) for k, value in enumerate(one.embedding)}
        rows.append(row)
    return pd.DataFrame(rows)


def _frame_cell(value: Any) -> Any:
    if value is None:
        return float("nan")
    return list_text(value) if isinstance(value, list) else value


def predictions_html(predictions: Sequence[Prediction]) -> str:
    """Render predictions as an HTML table with at most :data:`MAX_ROWS` rows.

    Values on a label scale of -1 to 1 are not repeated. The number of windows is shown if it is
    above 1 for any prediction.
    """
    known = [one for one in predictions if one.has_values]
    with_scale = not known or not all(_equals_scale(one) for one in known)
    with_windows = any(one.windows > 1 for one in predictions)
    rows = [_cells(one, with_scale, with_windows) for one in predictions[:MAX_ROWS]]
    header = ["file", "duration (s)", *["windows"] * with_windows]
    header += [f"{name} (-1 to 1)" for name in DIMENSIONS]
    header += [f"{name} (label scale)" for name in DIMENSIONS] * with_scale
    header += ["region", "warnings"]
    notes = []
    if len(predictions) > MAX_ROWS:
        notes.append(f"{len(predictions) - MAX_ROWS:,} more rows")
    if any(one.synthetic for one in predictions):
        notes.append(SYNTHETIC_MODEL_NOTE)
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{_row(cells)}</tr>" for cells in rows)
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def _row(cells: Iterable[str]) -> str:
    return "".join(f"<td>{escape(text)}</td>" for text in cells)


def _equals_scale(one: Prediction) -> bool:
    return max(abs(one.vad - one.on_scale)) < SAME


def _cells(one: Prediction, with_scale: bool, with_windows: bool) -> list[str]:
    values = [f"{value:+.2f}" for value in one.vad]
    values += [f"{value:.2f}" for value in one.on_scale] * with_scale
    values = values if one.has_values else [""] * len(values)
    return [
        one.source, f"{one.duration:.2f}", *[f"{one.windows:,}"] * with_windows, *values,
        one.region_description, list_text(one.warnings),
    ]  # fmt: skip
