"""Paired significance test of two systems on the same utterances."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from emosphere_sb.report.stats.bootstrap import (
    ROUNDING,
    ResampledStatistic,
    bootstrap_statistics,
    check_bootstrap_settings,
    critical_distance,
    observed_statistic,
    studentised_distances,
)
from emosphere_sb.report.stats.intervals import column_moments, count_undefined, interval_note
from emosphere_sb.report.stats.units import resampling_units
from emosphere_sb.results.alignment import align_tables, first_examples
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS


def compare_systems(
    tables: Sequence[pd.DataFrame],
    reference: Sequence[pd.DataFrame],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict:
    r"""Compute the difference in CCC between two systems, with confidence intervals and p-values.

    The statistic is the mean CCC over the seeds of the first system minus that of the reference,
    both on the same resample of speakers (a paired test). The method is a studentised symmetric
    bootstrap (Hall, 1988): with difference :math:`\Delta` and standard error :math:`s`, resamples
    give :math:`t^* = |\Delta^* - \Delta| / s^*`. The interval is :math:`\Delta \pm q s`, where
    :math:`q` is the ``level`` quantile of :math:`t^*`, and

    .. math:: p = \frac{1 + \#\{t^* \ge |\Delta| / s\}}{1 + \text{resamples}}

    Therefore, p is at most ``1 - level`` if the interval excludes 0, and p is never 0. Seeds are
    treated as fixed: the result generalises to other speakers, not to other seeds.

    Hall, P. (1988). On symmetric bootstrap confidence intervals. Journal of the Royal Statistical
    Society B 50, 35-45.

    Arguments
    ---------
    tables : sequence of pandas.DataFrame
        Predictions of the first system, one table per seed.
    reference : sequence of pandas.DataFrame
        Predictions of the reference system; the number of seeds may differ.
    resamples : int
        Number of resamples.
    seed : int
        Random seed of the resampling.
    level : float
        Nominal coverage of the confidence intervals, in (0, 1).

    Returns
    -------
    dict
        ``level``, ``resamples``, ``seed``; ``unit``, ``units``, ``note`` as for
        :func:`emosphere_sb.report.stats.intervals.confidence_intervals`; ``seeds``, the number of
        tables of each system; ``undefined``, the number of resamples with an undefined difference;
        and, for each dimension and ``mean_ccc``, a dict with ``difference`` (first system minus
        reference), ``low``, ``high`` and ``p``, all ``None`` if a CCC is undefined.

    Raises
    ------
    ValueError
        If a system has no table, a prediction is NaN, utterances or truth differ between the
        tables, or there are too few resamples for the level.

    Example
    -------
    >>> table = pd.DataFrame({"ID": ["a", "b", "c", "d"]})
    >>> table[["valence", "arousal", "dominance"]] = [[1.0] * 3, [2.0] * 3, [3.0] * 3, [4.0] * 3]
    >>> for name in ("valence", "arousal", "dominance"):
    ...     table[f"{name}_predicted"] = table[name] ** 0.5
    >>> compare_systems([table], [table], resamples=999)["mean_ccc"]
    {'difference': 0.0, 'low': 0.0, 'high': 0.0, 'p': 1.0}
    """
    check_bootstrap_settings(resamples, level)
    sides = [_as_list(tables, "tables"), _as_list(reference, "reference")]
    every = align_tables([*sides[0], *sides[1]])
    _check_complete(every)
    labelled = every[0][list(DIMENSIONS)].notna().any(axis=1).to_numpy()
    every = [table[labelled] for table in every]
    units = resampling_units(every[0])
    columns = [column_moments(every, name, units) for name in DIMENSIONS]
    weights = [1 / len(sides[0])] * len(sides[0]) + [-1 / len(sides[1])] * len(sides[1])
    terms = [list(zip(weights, column, strict=True)) for column in columns]
    result: dict = {
        "unit": units.kind,
        "units": units.count,
        "note": interval_note(units, columns),
        "seeds": [len(side) for side in sides],
        "resamples": resamples,
        "seed": seed,
        "level": level,
    }
    names = (*DIMENSIONS, "mean_ccc")
    if units.count < 2:
        return {**result, "undefined": 0, **{name: _undefined_test() for name in names}}
    observed = observed_statistic(terms, units.count)
    drawn = bootstrap_statistics(terms, units.count, resamples=resamples, seed=seed)
    result["undefined"] = count_undefined(observed, drawn)
    return result | {name: _test(observed, drawn, d, level) for d, name in enumerate(names)}


def holm_correction(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for multiple tests with Holm's step-down method.

    The smallest of m p-values is multiplied by m, the next one by m - 1, and so on; the results are
    made non-decreasing and at most 1. This controls the family-wise error rate under any dependence
    between the tests.

    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal
    of Statistics 6, 65-70.

    Arguments
    ---------
    p_values : sequence of float or None
        p-values in [0, 1]. ``None`` for a test that could not be performed: it is ignored.

    Returns
    -------
    list of float or None
        Adjusted p-values in the same order.

    Raises
    ------
    ValueError
        If a p-value is not in [0, 1].

    Example
    -------
    >>> holm_correction([0.5, 0.125, None])
    [0.5, 0.25, None]
    """
    wrong = [p for p in p_values if p is not None and not 0 <= p <= 1]
    if wrong:
        raise ValueError(
            f"p-values must be in [0, 1]; found {first_examples(wrong)}. Use None for a test that "
            "was not performed."
        )
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        adjusted[i] = largest
    return adjusted


def _as_list(side: Sequence[pd.DataFrame], name: str) -> list[pd.DataFrame]:
    tables = [side] if isinstance(side, pd.DataFrame) else list(side)
    if not tables:
        raise ValueError(f"{name} must contain at least one prediction table; found none.")
    return tables


def _check_complete(tables: Sequence[pd.DataFrame]) -> None:
    for number, table in enumerate(tables):
        missing = table[list(PREDICTED)].isna().any(axis=1)
        if missing.any():
            raise ValueError(
                "Both systems must predict all utterances; table "
                f"{number + 1} has NaN for {missing.sum()} of {len(table)} "
                f"({first_examples(list(table['ID'][missing]))}). Predict these utterances or "
                "remove them from all tables."
            )


def _test(observed: ResampledStatistic, drawn: ResampledStatistic, d: int, level: float) -> dict:
    value, error = float(observed.value[0, d]), float(observed.error[0, d])
    if math.isnan(value) or math.isnan(error):
        return _undefined_test()
    if error <= ROUNDING and abs(value) <= ROUNDING:  # identical predictions
        return {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    distance = studentised_distances(drawn.value[:, d], drawn.error[:, d], value, fisher=False)
    half = critical_distance(distance, level) * error
    statistic = abs(value) / error if error > 0 else math.inf
    exceeding = int((distance >= statistic).sum())
    return {
        "difference": value,
        "low": float(max(value - half, -2.0)),  # both CCCs are in [-1, 1]
        "high": float(min(value + half, 2.0)),
        "p": (1 + exceeding) / (1 + len(distance)),
    }


def _undefined_test() -> dict:
    return dict.fromkeys(("difference", "low", "high", "p"))
