"""Draw the figure of the README: predictions on the sphere, and a timeline (SYNTHETIC speech).

First run ``make demo``, then ``make figure``. Use ``--run=`` and ``--corpus=`` for another run and
the corpus on which it was trained. The script writes docs/figure.png and the line below the figure.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from matplotlib.figure import Figure
from predict_example import build_parser, emosphere
from runs import ROOT, origin, replace_between_markers

from emosphere_sb.report.plots.sphere import draw_directions, draw_globe, region_colours
from emosphere_sb.report.plots.style import COLOURS, GREY, TITLES, with_plot_style
from emosphere_sb.results.predictions import PREDICTED, read_predictions
from emosphere_sb.scale import DIMENSIONS, Scale

OUTPUT = ROOT / "docs" / "figure.png"
VIEW = (20, 40)
"""Elevation and azimuth of the view on the sphere, in degrees."""
SECONDS = 40.0
"""Approximate length of the recording in the timeline."""
PAUSE = 0.3
"""Silence between two utterances, in seconds."""
WINDOW, HOP = 2.0, 0.5
"""Window length and hop of the timeline, in seconds."""
SEED = 3
"""Seed for the choice of utterances."""


def main(words: Sequence[str] | None = None) -> None:
    """Release the model, compute the timeline of a recording, and draw both panels."""
    options = build_parser(__doc__).parse_args(words)
    metrics = json.loads((options.run / "metrics.json").read_text(encoding="utf-8"))
    table = read_predictions(options.run / "predictions" / "test1.csv")
    chosen = choose(table)
    with tempfile.TemporaryDirectory() as folder:
        edges = concatenate(options.corpus, chosen["ID"], Path(folder) / "recording.wav")
        emosphere("release", str(options.run), f"{folder}/model")
        emosphere(
            "timeline", f"{folder}/model", f"{folder}/recording.wav", f"--window={WINDOW}",
            f"--hop={HOP}", f"--out={folder}/timeline.csv",
        )  # fmt: skip
        windows = pd.read_csv(f"{folder}/timeline.csv")
    scale = Scale(**metrics["protocol"]["scale"])
    draw(table, chosen, edges, windows, scale).savefig(OUTPUT, dpi=160)
    caption = (
        f"Left: predicted directions from neutral for {len(table)} test utterances, coloured by "
        f"the true region. Right: predictions for windows of {WINDOW:g} s of a recording, and true "
        "values of its utterances. Synthetic speech and a small model that was trained in minutes."
    )
    line = origin("make demo; make figure", [metrics["protocol"]["seed"]], metrics)
    replace_between_markers(ROOT / "docs" / "index.md", "figure", f"{caption}\n\n{line}")
    print(caption, line, sep="\n")


def choose(table: pd.DataFrame) -> pd.DataFrame:
    """Draw utterances until they are as long as the recording."""
    order = np.random.default_rng(SEED).permutation(len(table))
    shuffled = table.iloc[order]
    return shuffled[(shuffled["duration"] + PAUSE).cumsum() <= SECONDS]


def concatenate(corpus: Path, names: Sequence[str], path: Path) -> list[tuple[float, float]]:
    """Write the utterances to one file, with pauses; return the start and end of each."""
    parts, edges, length = [], [], 0
    for name in names:
        samples, rate = soundfile.read(next(corpus.rglob(f"{name}.wav")), dtype="float32")
        edges.append((length / rate, (length + len(samples)) / rate))
        parts += [samples, np.zeros(round(PAUSE * rate), dtype=np.float32)]
        length += len(parts[-2]) + len(parts[-1])
    soundfile.write(path, np.concatenate(parts), rate)
    return edges


@with_plot_style
def draw(
    table: pd.DataFrame,
    chosen: pd.DataFrame,
    edges: Sequence[tuple[float, float]],
    windows: pd.DataFrame,
    scale: Scale,
) -> Figure:
    """Draw the sphere and the timeline side by side."""
    figure = Figure(figsize=(9.2, 4.0))
    sphere = figure.add_axes((-0.01, 0.04, 0.42, 0.88), projection="3d")
    draw_globe(sphere, VIEW)
    vad = scale.normalise(table[list(PREDICTED)].to_numpy(dtype=float))
    colours, _ = region_colours(table["region"])
    shades = np.array([colours[name] for name in table["region"]], dtype=object)
    draw_directions(sphere, vad / np.linalg.norm(vad, axis=1, keepdims=True), shades, VIEW)
    figure.text(0.02, 0.93, "Predictions on the sphere", fontweight="bold", fontsize=11)
    figure.text(0.2, 0.02, "colour: true octant", ha="center", fontsize=10, color="#222222")
    truth = scale.normalise(chosen[list(DIMENSIONS)].to_numpy(dtype=float))
    reach = 1.05 * max(1.0, np.abs(windows[list(DIMENSIONS)].to_numpy()).max())
    times = (windows["start"] + windows["end"]) / 2
    for row, name in enumerate(DIMENSIONS):
        axes = figure.add_axes((0.5, 0.70 - 0.285 * row, 0.48, 0.2))
        axes.axhline(0, color=GREY, linewidth=0.6)
        for (start, end), values in zip(edges, truth, strict=True):
            axes.plot([start, end], [values[row]] * 2, color="#222222", linewidth=1.6)
        axes.plot(times, windows[name], color=COLOURS[name], linewidth=2.0)
        axes.set(xlim=(0, edges[-1][1]), ylim=(-reach, reach), yticks=(-1, 0, 1))
        axes.set_title(TITLES[name], color=COLOURS[name], fontsize=11, pad=3)
        axes.tick_params(labelsize=9.5, labelbottom=row == 2)
    axes.set_xlabel("time (s)", fontsize=10)
    figure.text(0.98, 0.945, "black: true values", ha="right", fontsize=10, color="#222222")
    return figure


if __name__ == "__main__":
    main()
