"""Confidence intervals of metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emosphere_sb.report.stats.bootstrap import (
    ROUNDING,
    SECONDARY_METRICS,
    ResampledStatistic,
    bootstrap_statistics,
    check_bootstrap_settings,
    critical_distance,
    fisher_z,
    observed_statistic,
    studentised_distances,
)
from emosphere_sb.report.stats.moments import Moments, unit_moments
from emosphere_sb.report.stats.units import MIN_SPEAKERS, Units, resampling_units
from emosphere_sb.results.alignment import align_tables
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS


def confidence_intervals(
    tables: pd.DataFrame | Sequence[pd.DataFrame],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict:
    r"""Compute confidence intervals of all metrics, for generalisation to new speakers.

    The intervals for the CCCs and their mean come from a studentised symmetric bootstrap (Hall,
    1988) of speakers on Fisher's scale :math:`z = \operatorname{artanh} \rho_c`: :math:`z \pm q s`,
    where :math:`s` is the standard error and :math:`q` the ``level`` quantile of
    :math:`|z^* - z| / s^*` over the resamples. The intervals for Pearson correlation, scale ratio,
    shift and MAE are percentiles of the resamples; their coverage is not guaranteed. See
    docs/statistics.md for the empirical coverage.

    Hall, P. (1988). On symmetric bootstrap confidence intervals. Journal of the Royal Statistical
    Society B 50, 35-45.

    Arguments
    ---------
    tables : pandas.DataFrame or sequence of pandas.DataFrame
        Predictions as returned by ``read_predictions``. Several tables are seeds of one system on
        the same utterances: metrics are means over seeds, on the same resamples.
    resamples : int
        Number of resamples.
    seed : int
        Random seed of the resampling.
    level : float
        Nominal coverage, in (0, 1).

    Returns
    -------
    dict
        ``level``, ``resamples``, ``seed``; ``unit`` (``speakers`` or ``utterances``), ``units``
        (their number) and ``note`` (limitations, or ``None``); ``undefined``, the number of
        resamples in which a metric is undefined although it is defined for the full sample; for
        each dimension ``ccc``, ``pearson``, ``scale_ratio``, ``shift``, ``mae``; and
        ``mean_ccc``. Each interval is a list of two floats, or ``None`` if there are no labels,
        fewer than two units, or a constant column (except for MAE).

    Raises
    ------
    ValueError
        If utterances or truth differ between the tables, or there are too few resamples for the
        level.

    Example
    -------
    >>> table = pd.DataFrame({"ID": ["a", "b", "c", "d"]})
    >>> table[["valence", "arousal", "dominance"]] = [[1.0] * 3, [2.0] * 3, [3.0] * 3, [4.0] * 3]
    >>> for name in ("valence", "arousal", "dominance"):
    ...     table[f"{name}_predicted"] = table[name] + 1
    >>> found = confidence_intervals(table, resamples=999)
    >>> found["valence"]["mae"], found["unit"]
    ([1.0, 1.0], 'utterances')
    """
    check_bootstrap_settings(resamples, level)
    tables = align_tables([tables] if isinstance(tables, pd.DataFrame) else list(tables))
    # Utterances without labels do not contribute, so their speakers are not counted.
    labelled = tables[0][list(DIMENSIONS)].notna().any(axis=1).to_numpy()
    tables = [table[labelled] for table in tables]
    result: dict = {"level": level, "resamples": resamples, "seed": seed}
    units = resampling_units(tables[0])
    columns = [column_moments(tables, name, units) for name in DIMENSIONS]
    result |= {"unit": units.kind, "units": units.count, "note": interval_note(units, columns)}
    if units.count < 2:
        nothing = {name: dict.fromkeys(("ccc", *SECONDARY_METRICS)) for name in DIMENSIONS}
        return {**result, "undefined": 0, **nothing, "mean_ccc": None}
    terms = [[(1 / len(tables), column) for column in seeds] for seeds in columns]
    observed = observed_statistic(terms, units.count, secondary=True)
    drawn = bootstrap_statistics(terms, units.count, resamples=resamples, seed=seed, secondary=True)
    result["undefined"] = count_undefined(observed, drawn)
    ccc = [_studentised_interval(observed, drawn, d, level) for d in range(len(DIMENSIONS) + 1)]
    for d, name in enumerate(DIMENSIONS):
        varies = all(column.varies for column in columns[d])
        result[name] = {"ccc": ccc[d] if varies else None}
        for m, metric in enumerate(SECONDARY_METRICS):
            defined = varies or metric == "mae"
            values = drawn.secondary[:, d, m]
            result[name][metric] = _percentile(values, level) if defined else None
    any_varies = any(column.varies for seeds in columns for column in seeds)
    return {**result, "mean_ccc": ccc[-1] if any_varies else None}


def column_moments(tables: Sequence[pd.DataFrame], name: str, units: Units) -> list[Moments]:
    """Compute the moments of one dimension by unit, for each table."""
    predicted = PREDICTED[DIMENSIONS.index(name)]
    return [
        unit_moments(
            table[name].to_numpy(np.float64),
            table[predicted].to_numpy(np.float64),
            units.codes,
            units.count,
        )
        for table in tables
    ]


def interval_note(units: Units, columns: Sequence[Sequence[Moments]]) -> str | None:
    """Combine the note of the units with notes about dimensions with too few speakers."""
    notes = [units.note] if units.note else []
    for name, seeds in zip(DIMENSIONS, columns, strict=True):
        least = min(column.units for column in seeds)
        if units.kind == "speakers" and 0 < least < MIN_SPEAKERS:
            notes.append(
                f"Only {least} speakers have labels for {name}: its interval is too narrow."
            )
    return " ".join(notes) or None


def count_undefined(observed: ResampledStatistic, drawn: ResampledStatistic) -> int:
    """Count resamples that lack a metric that is defined on the original table."""
    lost = (np.isnan(drawn.value) & ~np.isnan(observed.value)).any(axis=1)
    if observed.secondary is not None:
        lost |= (np.isnan(drawn.secondary) & ~np.isnan(observed.secondary)).any(axis=(1, 2))
    return int(lost.sum())


def _studentised_interval(
    observed: ResampledStatistic, drawn: ResampledStatistic, d: int, level: float
) -> list | None:
    value, error = float(observed.value[0, d]), float(observed.error[0, d])
    if np.isnan(value) or np.isnan(error):
        return None
    if error <= ROUNDING:  # a perfect prediction
        return [value, value]
    distance = studentised_distances(drawn.value[:, d], drawn.error[:, d], value, fisher=True)
    half = critical_distance(distance, level) * error / (1 - value**2)
    return [float(np.tanh(fisher_z(value) - half)), float(np.tanh(fisher_z(value) + half))]


def _percentile(values: np.ndarray, level: float) -> list | None:
    defined = values[~np.isnan(values)]
    if not defined.size:
        return None
    tail = (1 - level) / 2
    return [float(limit) for limit in np.quantile(defined, [tail, 1 - tail])]
