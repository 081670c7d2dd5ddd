"""emosphere timeline: the table, the aggregation for the plot, and the plot."""

import csv
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from matplotlib.backends.backend_agg import FigureCanvasAgg

from emosphere_sb import cli
from emosphere_sb.audio import check
from emosphere_sb.audio.check import check_audio
from emosphere_sb.commands.timeline import timeline_summary_lines
from emosphere_sb.inference import windows
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.inference.output import traces as kept
from emosphere_sb.inference.output.table_file import locked_output
from emosphere_sb.inference.output.timeline_plot import tick_text, timeline_plot
from emosphere_sb.inference.output.traces import Traces
from emosphere_sb.inference.timeline import TimelineSummary
from emosphere_sb.scale import Scale
from emosphere_sb.sphere.grid import RegionPartition
from tests.helpers.figures import assert_no_overlap, tick_labels, titles
from tests.helpers.models import write_tiny_model

RATE = 16000
ABOUT = SimpleNamespace(name="tiny", scale=Scale(1, 7), region_step=90, centre_radius=0.0)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny_model(folder)
    return folder


@pytest.fixture
def recording(tmp_path):
    """Three seconds of noise, three of silence, 1.5 of noise."""
    path = tmp_path / "lange Aufnahme.wav"
    noise = 0.1 * np.random.default_rng(0).standard_normal(round(4.5 * RATE))
    parts = [noise[: 3 * RATE], np.zeros(3 * RATE), noise[3 * RATE :]]
    soundfile.write(path, np.concatenate(parts), RATE)
    return path


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def window(start, end, vad, region="I", warnings=()):
    return SimpleNamespace(
        start=start, end=end, vad=np.array(vad, dtype=float), region=region, warnings=warnings
    )


# --- the table ----------------------------------------------------------------------------------


def test_a_table_over_time(released, recording, tmp_path, capsys):
    out = tmp_path / "out.csv"
    command = ["timeline", str(released), str(recording), f"--out={out}", "--window=1.5"]
    assert cli.main([*command, "--hop=1.5", "--skip_silence=25"]) == 0
    rows = read_csv(out)
    assert list(rows[0]) == [
        "start", "end", "valence", "arousal", "dominance", "valence_on_scale",
        "arousal_on_scale", "dominance_on_scale", "region", "kind", "warnings", "model", "engine",
    ]  # fmt: skip
    assert [float(row["start"]) for row in rows] == [0, 1.5, 3, 4.5, 6]
    assert [row["kind"] for row in rows] == ["speech", "speech", "silence", "silence", "speech"]
    assert rows[2]["valence"] == rows[2]["region"] == rows[2]["arousal_on_scale"] == ""
    model = EmoSphere.from_pretrained(released, device="cpu")
    signal, _ = soundfile.read(recording, dtype="float32")
    expected = [
        model.predict(signal[round(start * RATE) : round((start + 1.5) * RATE)], RATE)
        for start in (0, 1.5, 6)
    ]
    for row, one in zip([rows[0], rows[1], rows[4]], expected, strict=True):
        assert float(row["valence"]) == pytest.approx(one.valence, abs=2e-5)
        assert float(row["dominance_on_scale"]) == pytest.approx(one.on_scale[2], abs=6e-5)
        assert row["region"] == one.region
    said = capsys.readouterr().out
    assert "5 windows, 0:08 (2 silent, skipped)" in said
    mean = np.mean([one.arousal for one in expected])
    assert f"arousal    {mean:+.2f} " in said
    assert "V A D, 1 to 7: the same values on the label scale" in said
    assert all(one.region_description in said.splitlines()[-2] for one in expected)
    assert said.splitlines()[-1].startswith("SYNTHETIC: the model was trained on synthetic speech")


def test_kind_is_empty_without_skip_silence(released, recording, tmp_path):
    out = tmp_path / "out.jsonl"
    assert cli.main(["timeline", str(released), str(recording), f"--out={out}", "--hop=2"]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(row["start"], row["end"]) for row in rows] == [(0, 4), (2, 6), (4, 7.5)]
    assert {row["kind"] for row in rows} == {""}
    assert {row["model"] for row in rows} == {"tiny (SYNTHETIC)"}
    assert all(isinstance(row["warnings"], list) for row in rows)
    assert all(math.isfinite(row["valence"]) for row in rows)


def test_console_table(released, recording, capsys):
    command = ["timeline", str(released), str(recording), "--window=1.5", "--hop=1.5"]
    assert cli.main([*command, "--skip_silence=25"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["start", "(s)", "end", "(s)"]
    assert lines[3].split() == ["3.00", "4.50", "(silence)"]


def test_a_plot_is_written(released, recording, tmp_path):
    plot = tmp_path / "plot.png"
    assert cli.main(["timeline", str(released), str(recording), f"--plot={plot}"]) == 0
    assert plot.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    plot = tmp_path / "plot.pdf"
    assert cli.main(["timeline", str(released), str(recording), f"--plot={plot}"]) == 0
    assert plot.read_bytes()[:5] == b"%PDF-"


def test_damaged_recording_is_rejected_before_anything_is_written(released, tmp_path, capsys):
    path, out = tmp_path / "cut.flac", tmp_path / "out.csv"
    noise = 0.1 * np.random.default_rng(1).standard_normal(30 * RATE)
    soundfile.write(path, noise, RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert cli.main(["timeline", str(released), str(path), f"--out={out}", "--window=1"]) == 2
    assert "cut.flac: damaged audio: " in capsys.readouterr().err
    assert not out.exists()


def test_rows_before_an_error_are_preserved(released, tmp_path, monkeypatch, capsys):
    """The recording is damaged after it was checked."""
    path, out = tmp_path / "cut.flac", tmp_path / "out.csv"
    noise = 0.1 * np.random.default_rng(1).standard_normal(30 * RATE)
    soundfile.write(path, noise, RATE)
    info = check_audio(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for module in (check, windows):
        monkeypatch.setattr(module, "check_audio", lambda file, **_: info)
    assert cli.main(["timeline", str(released), str(path), f"--out={out}", "--window=1"]) == 2
    assert "cut.flac: " in capsys.readouterr().err
    assert len(read_csv(out)) >= 5
    out.write_text("old\n")
    assert cli.main(["timeline", str(released), str(path), f"--out={out}", "--window=1"]) == 2
    assert out.read_text() == "old\n"
    assert len(read_csv(f"{out}.partial")) >= 5


def test_second_timeline_with_the_same_output_fails(released, recording, tmp_path, capsys):
    out = tmp_path / "out.csv"
    with locked_output(out):
        assert cli.main(["timeline", str(released), str(recording), f"--out={out}"]) == 2
    assert "Another command is writing" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    "options, reason",
    [
        (["--out=x.txt"], "--out must end with .csv or .jsonl"),
        (["--plot=x.gif"], "--plot must end with .png or .pdf; found x.gif"),
        (["--plot=no/such/x.png"], "Output folder no/such does not exist"),
        (["--hop=0"], "hop must be at least one sample"),
        (["--window=0"], "window must be at least"),
        (["--skip_silence=-3"], "skip_silence must be a positive number of dB"),
        (["--batch_size=0"], "batch_size must be at least 1"),
        (["--onnx", "--device=cpu"], "--device cannot be combined with --onnx"),
    ],
)
def test_invalid_options(released, recording, capsys, options, reason):
    assert cli.main(["timeline", str(released), str(recording), *options]) == 2
    assert reason in capsys.readouterr().err


def test_missing_file_is_reported_before_the_model_is_loaded(tmp_path, capsys):
    assert cli.main(["timeline", str(tmp_path / "no model"), str(tmp_path / "no.wav")]) == 2
    assert "missing audio file" in capsys.readouterr().err


def test_summary_without_speech():
    lines = timeline_summary_lines(TimelineSummary(windows=3, silent=3, end=12.0), Scale(1, 7))
    assert lines[0] == "3 windows, 0:12 (3 silent, skipped)"
    assert lines[1].startswith("No predictions")


def test_summary_on_a_scale_of_minus_1_to_1_has_each_mean_once():
    summary = TimelineSummary()
    vad = np.array([0.25, -0.5, 0.125])
    one = SimpleNamespace(
        start=0.0, end=4.0, vad=vad, on_scale=vad, region="II", region_description="II", warnings=()
    )
    summary.add(one)
    lines = [line.split() for line in timeline_summary_lines(summary, Scale(-1, 1))]
    assert lines[1:4] == [
        ["mean", "SD"],
        ["valence", "+0.25", "0.00"],
        ["arousal", "-0.50", "0.00"],
    ]
    summary = TimelineSummary()
    summary.add(SimpleNamespace(**{**vars(one), "on_scale": 4 + 3 * vad}))
    lines = [line.split() for line in timeline_summary_lines(summary, Scale(1, 7))]
    assert lines[2] == ["valence", "+0.25", "0.00", "4.75"]


# --- aggregation for plots ----------------------------------------------------------------------


def test_windows_are_placed_at_their_centre():
    traces = Traces(1.0)
    for start in range(3):
        traces.add(window(start, start + 4, [0.1 * start, 0, 0]))
    assert traces.times.tolist() == [2.0, 3.0, 4.0]
    assert traces.means[:, 0].tolist() == pytest.approx([0.0, 0.1, 0.2])
    assert traces.duration == 6.0


def test_merging_steps_preserves_means(monkeypatch):
    monkeypatch.setattr(kept, "MAX_STEPS", 8)
    traces = Traces(1.0)
    values = np.random.default_rng(0).uniform(-1, 1, 100)
    for start, value in enumerate(values):
        traces.add(window(start, start + 4, [value, -value, 0], "I" if start % 16 else "II"))
    assert len(traces.steps) == 7 and traces.width == 16.0  # 100 windows in steps of 16
    groups = [values[first : first + 16] for first in range(0, 100, 16)]
    assert traces.means[:, 0].tolist() == pytest.approx([group.mean() for group in groups])
    low, high = traces.ranges
    assert low[:, 0].tolist() == [group.min() for group in groups]
    assert high[:, 1].tolist() == [-group.min() for group in groups]
    assert traces.regions == ["I"] * 7
    # The middle of 16 windows' middles: 2 + 7.5 for the first of them
    assert traces.times.tolist() == pytest.approx([9.5 + 16 * k for k in range(7)])


def test_step_is_silent_if_half_of_it_is():
    traces = Traces(1.0)
    unknown = [math.nan] * 3
    for start, vad in enumerate(([0.5] * 3, unknown, [0.25] * 3)):
        traces.add(window(start, start + 1, vad))
    assert traces.silence.tolist() == [False, True, False]
    assert np.isnan(traces.means[1]).all()
    # The mean over three windows leaves the silent one out, where it is not shown itself
    assert traces.smoothed(2.0)[:, 0].tolist() == pytest.approx([0.5, math.nan, 0.25], nan_ok=True)
    assert traces.smoothed(4.0)[[0, 2], 0].tolist() == pytest.approx([0.375, 0.375])


def test_step_has_the_silence_warning_if_half_of_its_predicted_windows_have_it(monkeypatch):
    monkeypatch.setattr(kept, "MAX_STEPS", 3)
    traces = Traces(1.0)
    unknown = [math.nan] * 3
    windows = [
        ([0.1] * 3, ("silent",)), ([0.2] * 3, ()), ([0.1] * 3, ()), ([0.2] * 3, ("clipped",)),
        (unknown, ("silence",)), ([0.3] * 3, ("silent",)),
    ]  # fmt: skip
    for start, (vad, warnings) in enumerate(windows):
        traces.add(window(start, start + 1, vad, warnings=warnings))
    # Pairs are merged: 1 of 2 silent, 0 of 2, 1 of 1 predicted
    assert traces.width == 2.0
    assert traces.silence_warnings.tolist() == [True, False, True]
    assert traces.silence.tolist() == [False, False, True]


# --- the plot -----------------------------------------------------------------------------------


def drawn(traces):
    return timeline_plot(traces, about=ABOUT, title="a $talk$", window=4.0)


def test_the_plot_shows_the_three_dimensions_over_time():
    traces = Traces(1.0)
    for start in range(60):
        vad = [0.5, -0.25, start / 60] if not 20 <= start < 30 else [math.nan] * 3
        traces.add(window(start, start + 4, vad, "V" if start < 40 else "I"))
    figure = drawn(traces)
    panels = figure.axes[:4]
    assert [axes.get_title(loc="left") for axes in panels[:3]] == [
        "Valence", "Arousal", "Dominance",
    ]  # fmt: skip
    thick = max(panels[1].lines, key=lambda line: line.get_linewidth())
    values = np.asarray(thick.get_ydata(), dtype=float)
    assert np.nanmax(np.abs(values + 0.25)) < 1e-9
    assert np.isnan(values[20:30]).all() and np.isfinite(values[:20]).all()
    assert legend(figure) == ["V (+V +A −D)", "I (+V +A +D)"]
    assert panels[3].get_xlim() == (0.0, 63.0)
    assert any("grey: skipped silence" in text.get_text() for text in figure.texts)


def legend(figure):
    return [text.get_text() for text in figure.axes[3].get_legend().get_texts()]


def line_of(axes):
    """Values of the thickest line of a panel."""
    thick = max(axes.lines, key=lambda line: line.get_linewidth())
    return np.asarray(thick.get_ydata(), dtype=float)


@pytest.mark.parametrize(("count", "smoothed"), [(2, False), (60, False), (61, True), (300, True)])
def test_few_windows_are_points_and_many_have_a_moving_average(count, smoothed):
    traces = Traces(1.0)
    for start in range(count):
        traces.add(window(start, start + 4, [0.5 * (-1) ** start, 0, 0]))
    figure = drawn(traces)
    values = line_of(figure.axes[0])
    assert len(values) == count
    # A moving average over 8 s (9 windows), of which 5 have one sign and 4 the other, is ±0.5 / 9.
    middle = slice(4, -4) if smoothed else slice(None)
    assert np.abs(values[middle]) == pytest.approx(0.5 / 9 if smoothed else 0.5)
    (note,) = [text.get_text() for text in figure.texts if "windows of 4 s" in text.get_text()]
    assert ("moving average over 0:08" in note) is smoothed


def test_band_of_many_windows_shows_the_region_of_the_moving_average():
    traces = Traces(1.0)
    for start in range(100):  # every fourth window is in another region, the mean never is
        valence = -0.5 if start % 4 == 0 else 0.5
        traces.add(window(start, start + 4, [valence, 0.1, 0.1], "IV" if valence < 0 else "I"))
    assert legend(drawn(traces)) == ["I (+V +A +D)"]


def test_regions_that_are_not_octants_have_short_names_in_the_legend():
    traces = Traces(1.0)
    for start in range(3):
        traces.add(window(start, start + 4, [0.5, 0.1, 0.1], "p030a030"))
    about = SimpleNamespace(**{**vars(ABOUT), "region_step": 30})
    figure = timeline_plot(traces, about=about, title="talk", window=4.0)
    assert legend(figure) == ["p030a030"]


@pytest.mark.parametrize("count", [1, 3, 400])
def test_titles_legend_and_labels_do_not_overlap(count):
    traces = Traces(1.0)
    chance = np.random.default_rng(0)
    for start in range(count):
        vad = chance.uniform(-1, 1, 3)
        region = RegionPartition(90).names[int(RegionPartition(90).assign(vad))]
        traces.add(window(start, start + 4, vad, region))
    figure = drawn(traces)
    FigureCanvasAgg(figure).draw()  # creates the tick labels
    labels = [*titles(figure), *tick_labels(figure), figure.axes[3].get_legend()]
    assert len(labels) > 20
    assert_no_overlap(figure, labels)


@pytest.mark.parametrize(
    ("scale", "label"),
    [(Scale(1, 7), "1 to 7"), (Scale(-2, 2), "\u22122 to 2"), (Scale(-1, 1), None)],
)
def test_right_axis_has_the_label_scale_unless_it_is_minus_1_to_1(scale, label):
    traces = Traces(1.0)
    traces.add(window(0, 4, [0.5, 0.1, 0.1]))
    about = SimpleNamespace(**{**vars(ABOUT), "scale": scale})
    figure = timeline_plot(traces, about=about, title="talk", window=4.0)
    for axes in figure.axes[:3]:
        assert [right.get_ylabel() for right in axes.child_axes] == ([label] if label else [])


def footnote(figure):
    (found,) = [text.get_text() for text in figure.texts if text.get_text().startswith("tiny")]
    return found


def grey(axes):
    """Start and end of the grey areas of a panel."""
    found = [patch for patch in axes.patches if patch.get_zorder() == 0]
    return [(one.get_x(), one.get_x() + one.get_width()) for one in found]


def test_silent_windows_are_grey():
    traces = Traces(1.0)
    for start in range(6):
        warnings = ("silent", "clipped") if start in (2, 3) else ()
        traces.add(window(start, start + 4, [0.1, 0.2, 0.3], warnings=warnings))
    figure = drawn(traces)
    # centres at 4 and 5 s
    assert [grey(axes) for axes in figure.axes[:3]] == [[(3.5, 5.5)]] * 3
    assert footnote(figure).endswith("grey: silent, values are meaningless")
    traces = Traces(1.0)
    traces.add(window(0, 4, [0.1, 0.2, 0.3]))
    figure = drawn(traces)
    assert grey(figure.axes[0]) == [] and "grey" not in footnote(figure)


@pytest.mark.parametrize(
    ("end", "text"), [(2.0, "window of 2 s"), (1.234, "window of 1.23 s"), (4.0, "window of 4 s")]
)
def test_footnote_has_the_length_of_a_single_window(end, text):
    traces = Traces(1.0)
    traces.add(window(0, end, [0.1, 0.2, 0.3]))
    assert footnote(drawn(traces)) == f"tiny  ·  point: {text}"


def test_time_axis_of_long_recordings_uses_hours():
    traces = Traces(600.0)
    for start in range(0, 9 * 3600, 600):
        traces.add(window(start, start + 4, [0, 0, 0]))
    axes = drawn(traces).axes[3]
    assert axes.get_xlabel() == "time (h:mm)"
    assert axes.xaxis.get_major_formatter()(5400, 0) == "1:30"
    assert tick_text(9 * 3600, hours=True) == "9:00"
    assert tick_text(75, hours=False) == "1:15"


@pytest.mark.parametrize("vad", [[0.1, 0.2, 0.3], [math.nan] * 3])
def test_plot_of_one_window_and_of_silence(vad):
    traces = Traces(1.0)
    traces.add(window(0, 0.3, vad))
    figure = drawn(traces)
    figure.savefig("/dev/null", format="png")
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == (["+0.10"] if math.isfinite(vad[0]) else ["no predictions"])
    drawn_lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 1]
    assert [list(line.get_ydata()) for line in drawn_lines] == [[0, 0]]  # only that at neutral
