"""Whether one system is better than another on the same utterances, beyond chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from emosphere_sb.report.stats.bootstrap import (
    ROUNDING,
    Resampled,
    check_settings,
    critical,
    distances,
    observed,
    resample,
)
from emosphere_sb.report.stats.intervals import column_moments, full_note, undefined
from emosphere_sb.report.stats.units import resampling_units
from emosphere_sb.results.alignment import aligned, examples
from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS


def compare(
    ours: Sequence[pd.DataFrame],
    reference: Sequence[pd.DataFrame],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict:
    r"""The difference in CCC between two systems, its interval and its p-value.

    The mean CCC over our seeds minus that over the reference's, both on one common resample of
    speakers, so that what is hard for both cancels (a paired test). A studentised symmetric
    bootstrap (Hall, 1988): with :math:`\Delta` the difference and :math:`s` its standard error,
    resamples give :math:`t^* = |\Delta^* - \Delta| / s^*`, the interval is
    :math:`\Delta \pm q s` with :math:`q` their ``level`` quantile, and

    .. math:: p = \frac{1 + \#\{t^* \ge |\Delta| / s\}}{1 + \text{resamples}}

    so that p is at most ``1 - level`` where the interval leaves out 0, and never 0. Seeds are
    taken as given: the test speaks of other speakers, not of other seeds.

    Hall, P. (1988). On symmetric bootstrap confidence intervals. Journal of the Royal Statistical
    Society B 50, 35-45.

    Arguments
    ---------
    ours : sequence of pandas.DataFrame
        One table of predictions a seed, at least one.
    reference : sequence of pandas.DataFrame
        The other system's, at least one; it may have another number of seeds.
    resamples : int
        How many.
    seed : int
        Of the resampling.
    level : float
        Nominal coverage of the intervals, in (0, 1).

    Returns
    -------
    dict
        ``level``, ``resamples``, ``seed``; ``unit``, ``units``, ``note`` as for
        :func:`emosphere_sb.report.stats.intervals.intervals`; ``seeds``, the numbers of tables,
        ours first; ``undefined``, the number of resamples in which a difference is not defined; for
        each dimension and ``mean_ccc`` a dict of ``difference`` (ours minus reference), ``low``,
        ``high``, ``p``, all ``None`` where a CCC is not defined.

    Raises
    ------
    ValueError
        If a side has no table, a prediction is NaN, the tables do not hold the same utterances
        with the same truth, or there are too few resamples for the level.

    Example
    -------
    >>> table = pd.DataFrame({"ID": ["a", "b", "c", "d"]})
    >>> table[["valence", "arousal", "dominance"]] = [[1.0] * 3, [2.0] * 3, [3.0] * 3, [4.0] * 3]
    >>> for name in ("valence", "arousal", "dominance"):
    ...     table[f"{name}_predicted"] = table[name] ** 0.5
    >>> compare([table], [table], resamples=999)["mean_ccc"]
    {'difference': 0.0, 'low': 0.0, 'high': 0.0, 'p': 1.0}
    """
    check_settings(resamples, level)
    sides = [_listed(ours, "ours"), _listed(reference, "reference")]
    tables = aligned([*sides[0], *sides[1]])
    _predicted_everywhere(tables)
    labelled = tables[0][list(DIMENSIONS)].notna().any(axis=1).to_numpy()
    tables = [table[labelled] for table in tables]
    units = resampling_units(tables[0])
    columns = [column_moments(tables, name, units) for name in DIMENSIONS]
    weights = [1 / len(sides[0])] * len(sides[0]) + [-1 / len(sides[1])] * len(sides[1])
    terms = [list(zip(weights, column, strict=True)) for column in columns]
    facts: dict = {
        "unit": units.kind,
        "units": units.count,
        "note": full_note(units, columns),
        "seeds": [len(side) for side in sides],
        "resamples": resamples,
        "seed": seed,
        "level": level,
    }
    names = (*DIMENSIONS, "mean_ccc")
    if units.count < 2:
        return {**facts, "undefined": 0, **{name: _nothing() for name in names}}
    whole = observed(terms, units.count)
    drawn = resample(terms, units.count, resamples=resamples, seed=seed)
    facts["undefined"] = undefined(whole, drawn)
    return facts | {name: _test(whole, drawn, d, level) for d, name in enumerate(names)}


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction for several tests.

    The smallest of m p-values times m, the next times m - 1, and so on; none smaller than the one
    before it, none above 1. Comparing the results with a level keeps the chance of one false
    alarm among all tests below it, however they depend on one another.

    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal
    of Statistics 6, 65-70.

    Arguments
    ---------
    p_values : sequence of float or None
        In [0, 1]; ``None`` for a test that could not be made: it stays so and does not count.

    Returns
    -------
    list of float or None
        Adjusted, in the same order.

    Raises
    ------
    ValueError
        If one is not in [0, 1].

    Example
    -------
    >>> holm([0.5, 0.125, None])
    [0.5, 0.25, None]
    """
    wrong = [p for p in p_values if p is not None and not 0 <= p <= 1]
    if wrong:
        raise ValueError(
            f"Every p-value must lie in [0, 1]; found {examples(wrong)}. Use None for a test that "
            "was not made."
        )
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        adjusted[i] = largest
    return adjusted


def _listed(side: Sequence[pd.DataFrame], name: str) -> list[pd.DataFrame]:
    tables = [side] if isinstance(side, pd.DataFrame) else list(side)
    if not tables:
        raise ValueError(f"{name} must hold at least one table of predictions; found none.")
    return tables


def _predicted_everywhere(tables: Sequence[pd.DataFrame]) -> None:
    for number, table in enumerate(tables):
        missing = table[list(PREDICTED)].isna().any(axis=1)
        if missing.any():
            raise ValueError(
                "Both systems must have predicted every utterance; table "
                f"{number + 1} has NaN for {missing.sum()} of {len(table)} "
                f"({examples(list(table['ID'][missing]))}). Predict these or leave them out of all "
                "tables."
            )


def _test(whole: Resampled, drawn: Resampled, d: int, level: float) -> dict:
    value, error = float(whole.value[0, d]), float(whole.error[0, d])
    if math.isnan(value) or math.isnan(error):
        return _nothing()
    if error <= ROUNDING and abs(value) <= ROUNDING:  # the same predictions on both sides
        return {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    distance = distances(drawn.value[:, d], drawn.error[:, d], value, fisher=False)
    half = critical(distance, level) * error
    far = abs(value) / error if error > 0 else math.inf
    beyond = int((distance >= far).sum())
    return {
        "difference": value,
        "low": float(max(value - half, -2.0)),  # both CCCs lie in [-1, 1]
        "high": float(min(value + half, 2.0)),
        "p": (1 + beyond) / (1 + len(distance)),
    }


def _nothing() -> dict:
    return dict.fromkeys(("difference", "low", "high", "p"))
