"""Confidence intervals of the figures of a set of predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emosphere_sb.report.stats.bootstrap import (
    FIGURES,
    ROUNDING,
    Resampled,
    check_settings,
    critical,
    distances,
    observed,
    resample,
    to_z,
)
from emosphere_sb.report.stats.moments import Moments, moments
from emosphere_sb.report.stats.units import MIN_SPEAKERS, Units, resampling_units
from emosphere_sb.results.alignment import aligned
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS


def intervals(
    tables: pd.DataFrame | Sequence[pd.DataFrame],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict:
    r"""Intervals of every figure: how far another set of speakers could move it.

    For the CCCs and their mean, a studentised symmetric bootstrap (Hall, 1988) of whole speakers
    on Fisher's scale :math:`z = \operatorname{artanh} \rho_c`: :math:`z \pm q s`, with :math:`s`
    the standard error and :math:`q` the ``level`` quantile over resamples of
    :math:`|z^* - z| / s^*`. For Pearson, scale ratio, shift and MAE, percentiles of the resamples,
    without a claim about their coverage. docs/statistics.md says what was measured.

    Hall, P. (1988). On symmetric bootstrap confidence intervals. Journal of the Royal Statistical
    Society B 50, 35-45.

    Arguments
    ---------
    tables : pandas.DataFrame or sequence of pandas.DataFrame
        As ``read_predictions`` gives them. Several are those of several seeds on the same
        utterances: the figures are means over seeds, all on one common resample.
    resamples : int
        How many.
    seed : int
        Of the resampling.
    level : float
        Nominal coverage, in (0, 1).

    Returns
    -------
    dict
        ``level``, ``resamples``, ``seed``; ``unit`` (``speakers`` or ``utterances``), ``units``
        (their number) and ``note`` (what to know about them, or ``None``); ``undefined``, the
        number of resamples in which some figure that is defined on the whole table is not; for
        each dimension ``ccc``, ``pearson``, ``scale_ratio``, ``shift``, ``mae``; and
        ``mean_ccc``. Each interval is a list of two floats, or ``None`` where there is none: no
        truth, fewer than two units, or a constant column, which has nothing to resample (its MAE
        has).

    Raises
    ------
    ValueError
        If the tables do not hold the same utterances with the same truth, or there are too few
        resamples for the level.

    Example
    -------
    >>> table = pd.DataFrame({"ID": ["a", "b", "c", "d"]})
    >>> table[["valence", "arousal", "dominance"]] = [[1.0] * 3, [2.0] * 3, [3.0] * 3, [4.0] * 3]
    >>> for name in ("valence", "arousal", "dominance"):
    ...     table[f"{name}_predicted"] = table[name] + 1
    >>> found = intervals(table, resamples=999)
    >>> found["valence"]["mae"], found["unit"]
    ([1.0, 1.0], 'utterances')
    """
    check_settings(resamples, level)
    tables = aligned([tables] if isinstance(tables, pd.DataFrame) else list(tables))
    # Utterances without any truth have no part in a figure: their speakers do not count.
    labelled = tables[0][list(DIMENSIONS)].notna().any(axis=1).to_numpy()
    tables = [table[labelled] for table in tables]
    facts: dict = {"level": level, "resamples": resamples, "seed": seed}
    units = resampling_units(tables[0])
    columns = [column_moments(tables, name, units) for name in DIMENSIONS]
    facts |= {"unit": units.kind, "units": units.count, "note": full_note(units, columns)}
    if units.count < 2:
        nothing = {name: dict.fromkeys(("ccc", *FIGURES)) for name in DIMENSIONS}
        return {**facts, "undefined": 0, **nothing, "mean_ccc": None}
    terms = [[(1 / len(tables), column) for column in seeds] for seeds in columns]
    whole = observed(terms, units.count, figures=True)
    drawn = resample(terms, units.count, resamples=resamples, seed=seed, figures=True)
    facts["undefined"] = undefined(whole, drawn)
    ccc = [_studentised(whole, drawn, d, level) for d in range(len(DIMENSIONS) + 1)]
    for d, name in enumerate(DIMENSIONS):
        varies = all(column.varies for column in columns[d])
        facts[name] = {"ccc": ccc[d] if varies else None}
        for f, figure in enumerate(FIGURES):
            some = varies or figure == "mae"
            facts[name][figure] = _percentile(drawn.figures[:, d, f], level) if some else None
    some = any(column.varies for seeds in columns for column in seeds)
    return {**facts, "mean_ccc": ccc[-1] if some else None}


def column_moments(tables: Sequence[pd.DataFrame], name: str, units: Units) -> list[Moments]:
    """One dimension's sums over units, for each table."""
    predicted = PREDICTED[DIMENSIONS.index(name)]
    return [
        moments(
            table[name].to_numpy(np.float64),
            table[predicted].to_numpy(np.float64),
            units.codes,
            units.count,
        )
        for table in tables
    ]


def full_note(units: Units, columns: Sequence[Sequence[Moments]]) -> str | None:
    """The units' note, and which dimension is known for too few speakers."""
    notes = [units.note] if units.note else []
    for name, seeds in zip(DIMENSIONS, columns, strict=True):
        least = min(column.units for column in seeds)
        if units.kind == "speakers" and 0 < least < MIN_SPEAKERS:
            notes.append(
                f"The true {name} is known for {least} speakers only: its interval is too narrow."
            )
    return " ".join(notes) or None


def undefined(whole: Resampled, drawn: Resampled) -> int:
    """Resamples in which something is not defined that is defined on the whole table."""
    lost = (np.isnan(drawn.value) & ~np.isnan(whole.value)).any(axis=1)
    if whole.figures is not None:
        lost |= (np.isnan(drawn.figures) & ~np.isnan(whole.figures)).any(axis=(1, 2))
    return int(lost.sum())


def _studentised(whole: Resampled, drawn: Resampled, d: int, level: float) -> list | None:
    value, error = float(whole.value[0, d]), float(whole.error[0, d])
    if np.isnan(value) or np.isnan(error):
        return None
    if error <= ROUNDING:  # a perfect prediction
        return [value, value]
    distance = distances(drawn.value[:, d], drawn.error[:, d], value, fisher=True)
    half = critical(distance, level) * error / (1 - value**2)
    return [float(np.tanh(to_z(value) - half)), float(np.tanh(to_z(value) + half))]


def _percentile(values: np.ndarray, level: float) -> list | None:
    defined = values[~np.isnan(values)]
    if not defined.size:
        return None
    tail = (1 - level) / 2
    return [float(limit) for limit in np.quantile(defined, [tail, 1 - tail])]
