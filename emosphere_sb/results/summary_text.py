"""What a run says at its end, from its metrics."""

from __future__ import annotations

from collections.abc import Mapping

from emosphere_sb.scale import DIMENSIONS

SYNTHETIC = "SYNTHETIC SPEECH: no figure below says anything about human speech."
RIDGE = "Beside it, ridge regression on duration, level, mean F0, F0 range, spectral tilt:"
CAP = "The simulated raters' noise caps the CCC of a perfect model at (V, A, D):"
APART = ("protocol", "run", "beside")
"""Keys of metrics.json that are not sets."""


def closing_text(metrics: Mapping) -> str:
    """The final table, and where there is any what it has to be held against.

    Arguments
    ---------
    metrics : mapping
        As ``metrics.json`` holds it.
    """
    if "by_fold" in metrics:
        return folds_text(metrics)
    results = {name: row for name, row in metrics.items() if name not in APART}
    beside, parts = metrics["beside"], []
    if metrics["protocol"]["synthetic"]:
        parts.append(SYNTHETIC)
    parts.append(screen_table(results))
    if "acoustic_baseline" in beside:
        parts.append(f"{RIDGE}\n{screen_table(beside['acoustic_baseline'])}")
    if "cap" in beside:
        caps = {name: row for name, row in beside["cap"].items() if name in results}
        lines = (
            f"{n:<7}" + "".join(f"{row[d]:10.4f}" for d in DIMENSIONS) for n, row in caps.items()
        )
        parts.append("\n".join([CAP, *lines]))
    parts.append(f"Predictions, metrics and checkpoints: {metrics['run']['folder']}")
    return "\n\n".join(parts)


def screen_table(results: Mapping[str, Mapping]) -> str:
    """The table that a run prints at its end: one line a set, CCC by dimension and their mean.

    Example
    -------
    >>> row = {"valence": {"ccc": 0.5}, "arousal": {"ccc": 0.75}, "dominance": {"ccc": 0.25}}
    >>> print(screen_table({"test1": {**row, "mean_ccc": 0.5, "utterances": 2}}))
    CCC      valence   arousal  dominance      mean  utterances
    test1     0.5000    0.7500     0.2500    0.5000           2
    """
    width = max([len("CCC"), *(len(name) for name in results)])
    heads = f"{'valence':>9} {'arousal':>9} {'dominance':>10} {'mean':>9} {'utterances':>11}"
    lines = [f"{'CCC':<{width}}  {heads}"]
    for name, row in results.items():
        v, a, d = (row[dimension]["ccc"] for dimension in DIMENSIONS)
        lines.append(
            f"{name:<{width}}  {v:9.4f} {a:9.4f} {d:10.4f} {row['mean_ccc']:9.4f} "
            f"{row['utterances']:11d}"
        )
    return "\n".join(lines)


def folds_text(summary: Mapping) -> str:
    """The table over folds for the screen."""
    lines = [SYNTHETIC, ""] if summary["protocol"]["synthetic"] else []
    for name, facts in summary["by_fold"].items():
        lines.append(f"{f'CCC, {name}':<16}   valence   arousal dominance      mean")
        rows = {f"fold {number}": row for number, row in facts["folds"].items()}
        rows |= {"mean over folds": facts["mean_over_folds"]}
        rows |= {"± over folds": facts["deviation_over_folds"]}
        note = f"{facts['utterances']} utterances"
        if facts["pooled"] is not None:
            rows |= {"pooled": facts["pooled"]}
            note += "; pooled: CCC over all folds' predictions"
        for label, row in rows.items():
            values = (row[key] for key in (*DIMENSIONS, "mean_ccc"))
            cells = ("–" if value is None else f"{value:.4f}" for value in values)
            lines.append(f"{label:<16}" + "".join(f"{cell:>10}" for cell in cells))
        if any(count < len(facts["folds"]) for count in facts["defined"].values()):
            note += "; –: not defined, left out of the mean"
        lines.append(f"({note})")
    return "\n".join([*lines, f"Summary: {summary['folder']}/summary.json"])
