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
HEADER = (
    "file", "duration (s)", *(f"{name} (-1 to 1)" for name in DIMENSIONS),
    *(f"{name} (label scale)" for name in DIMENSIONS), "region", "warnings",
)  # fmt: skip


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
    return list_text(value) if isinstance(value, list) else value


def predictions_html(predictions: Sequence[Prediction]) -> str:
    """Render predictions as an HTML table with at most :data:`MAX_ROWS` rows."""
    rows = [_cells(one) for one in predictions[:MAX_ROWS]]
    notes = []
    if len(predictions) > MAX_ROWS:
        notes.append(f"{len(predictions) - MAX_ROWS:,} more rows")
    if any(one.synthetic for one in predictions):
        notes.append(SYNTHETIC_MODEL_NOTE)
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADER)
    body = "".join(f"<tr>{_row(cells)}</tr>" for cells in rows)
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def _row(cells: Iterable[str]) -> str:
    return "".join(f"<td>{escape(text)}</td>" for text in cells)


def _cells(one: Prediction) -> list[str]:
    values = [*(f"{value:+.2f}" for value in one.vad), *(f"{value:.2f}" for value in one.on_scale)]
    return [
        one.source, f"{one.duration:.2f}", *values, one.region_description,
        list_text(one.warnings),
    ]  # fmt: skip
