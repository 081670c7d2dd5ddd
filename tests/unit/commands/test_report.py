"""``emosphere report``: what it reads, writes and prints."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from emosphere_sb.commands import report
from emosphere_sb.report.ensemble import average_prediction_tables
from emosphere_sb.report.read.runs import read_run
from emosphere_sb.report.stats import calibration as calibration_metrics
from emosphere_sb.results.predictions import PREDICTED, read_predictions, write_predictions
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS
from tests.helpers.html import Reader
from tests.helpers.run_folders import SCALE_1_TO_7, random_predictions, write_run

FAST = ["--resamples=199", "--no_plots"]


def bare(*arguments, **options):
    """Predictions with speakers only, since each kind of subgroup adds a slow plot."""
    return random_predictions(*arguments, **options)[["ID", "speaker", *DIMENSIONS, *PREDICTED]]


@pytest.fixture
def folder(tmp_path):
    """Two seeds of a preset."""
    for seed in (1, 2):
        tables = {
            "valid": bare(40, seed=seed + 20), "test1": bare(seed=seed),
            "test3": bare(5, labelled=False),
        }  # fmt: skip
        write_run(tmp_path / "row" / str(seed), tables, seed=seed)
    return tmp_path / "row"


def report_in(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_report_is_written_to_run_folder_and_printed(folder, capsys):
    assert report.run([str(folder / "1"), *FAST]) == 0
    facts = report_in(folder / "1" / "report")
    expected = prediction_metrics(read_predictions(folder / "1" / "predictions" / "test1.csv"))
    assert facts["sets"]["test1"]["metrics"]["mean_ccc"] == expected["mean_ccc"]
    low, high = facts["sets"]["test1"]["intervals"]["mean_ccc"]
    assert low < expected["mean_ccc"] < high
    text = capsys.readouterr().out
    assert f"{expected['valence']['ccc']:.3f}"[1:] in text
    assert "test1: 60 utterances; 95% confidence intervals over 12 speakers" in text
    assert {path.name for path in (folder / "1" / "report").iterdir()} == {
        "report.json", "report.html",
    }  # fmt: skip
    page = (folder / "1" / "report" / "report.html").read_text(encoding="utf-8")
    assert f"{expected['mean_ccc']:.3f}"[1:] in page


def test_plots_are_written_as_png_and_pdf(folder):
    report.run([str(folder / "1"), "--set=test1", "--resamples=199"])
    plots = {path.name for path in (folder / "1" / "report" / "plots").iterdir()}
    assert {"test1_predicted_against_true.png", "test1_predicted_against_true.pdf"} <= plots
    assert not any(name.startswith("valid") for name in plots)
    assert len(plots) % 2 == 0


def test_folder_of_runs_gives_one_averaged_report(folder):
    report.run([str(folder), *FAST, "--set=test1"])
    facts = report_in(folder / "report")
    assert facts["sets"]["test1"]["runs"] == 2
    report.run([str(folder), *FAST, "--set=test1"])  # the report's folder is no run
    assert report_in(folder / "report") == facts


def test_several_sources_require_output_folder(folder, tmp_path):
    sources = [str(folder / "1"), str(folder / "2")]
    with pytest.raises(ValueError, match="several sources \\(2\\) requires"):
        report.run([*sources, *FAST])
    report.run([*sources, *FAST, "--set=test1", f"--out={tmp_path / 'here'}"])
    assert report_in(tmp_path / "here")["sets"]["test1"]["runs"] == 2


def test_set_option_selects_sets(folder, capsys):
    report.run([str(folder / "1"), *FAST, "--set=test1"])
    assert list(report_in(folder / "1" / "report")["sets"]) == ["test1"]
    assert "valid:" not in capsys.readouterr().out


def test_comparison_is_written_and_printed(folder, tmp_path, capsys):
    other = write_run(tmp_path / "other", {"test1": bare(seed=5, noise=0.9)})
    report.run([str(folder), *FAST, "--compare", str(other)])
    found = report_in(folder / "report")["comparison"]["test1"]
    assert found["seeds"] == [2, 1]
    assert found["mean_ccc"]["p"] == 1 / 200  # far apart: no resample comes near
    assert "difference in CCC" in capsys.readouterr().out


def test_correction_is_written_and_printed(folder, capsys):
    report.run([str(folder), *FAST, "--correct=affine"])
    maps = json.loads((folder / "report" / "correction.json").read_text())
    assert list(maps) == ["1", "2"]
    assert maps["1"]["valence"]["slope"] > 0
    assert "corrected" in report_in(folder / "report")["sets"]["test1"]["calibration"]
    text = capsys.readouterr().out
    assert "CCC, affine" in text


def test_correction_fitted_on_file(folder, tmp_path):
    write_predictions(random_predictions(50, seed=8), tmp_path / "dev.csv")
    words = [
        str(folder / "1"),
        *FAST,
        "--set=test1",
        "--correct=isotonic",
        f"--fit={tmp_path / 'dev.csv'}",
    ]
    report.run(words)
    maps = json.loads((folder / "1" / "report" / "correction.json").read_text())
    expected = calibration_metrics.Correction.fit(
        "isotonic", random_predictions(50, seed=8)
    ).to_dict()
    assert maps == {"1": expected}


def test_average_is_saved_as_run_with_report(folder, tmp_path):
    out = tmp_path / "mean"
    report.run([str(folder), *FAST, "--set=test1", "--average", f"--out={out}"])
    run = read_run(out)
    tables = [read_predictions(folder / seed / "predictions" / "test1.csv") for seed in "12"]
    expected = prediction_metrics(
        average_prediction_tables(tables, scale=SCALE_1_TO_7, regions=run.regions)
    )
    facts = report_in(out / "report")
    assert facts["sets"]["test1"]["metrics"]["mean_ccc"] == pytest.approx(expected["mean_ccc"])
    assert facts["title"] == "MSP-Podcast, 1.11, demo, average of 2 runs"
    assert facts["protocol"]["members"] == [str(folder / "1"), str(folder / "2")]
    report.run([str(out), *FAST, "--set=test1"])  # as any run
    assert report_in(out / "report") == facts


def test_average_rejects_output_among_members(folder):
    with pytest.raises(ValueError, match="--out=FOLDER"):
        report.run([str(folder), *FAST, "--average"])
    with pytest.raises(ValueError, match="must be outside the folder of the averaged runs"):
        report.run([str(folder), *FAST, "--average", f"--out={folder / 'mean'}"])
    assert not (folder / "mean").exists()


def test_external_csv_with_labels(tmp_path, capsys):
    ours = bare(60)
    labels = pd.DataFrame({"FileName": ours["ID"] + ".wav", "SpkrID": ours["speaker"]})
    theirs = pd.DataFrame({"clip": ours["ID"]})
    columns = {"EmoAct": "arousal", "EmoVal": "valence", "EmoDom": "dominance"}
    for theirs_name, name in columns.items():
        labels[theirs_name] = ours[name]
        theirs[f"out_{name}"] = (ours[f"{name}_predicted"] - 1) / 6  # 1 to 7 becomes 0 to 1
    labels.loc[len(labels)] = ["more.wav", "x", 1.0, 1.0, 1.0]
    labels.to_csv(tmp_path / "labels.csv", index=False)
    theirs.to_csv(tmp_path / "theirs.csv", index=False, sep=";")
    mapping = ", ".join(f"{n}_predicted=out_{n}" for n in columns.values())
    words = [
        str(tmp_path / "theirs.csv"), f"--labels={tmp_path / 'labels.csv'}", "--label_low=1",
        "--label_high=7", "--predicted_low=0", "--predicted_high=1", *FAST,
        f"--columns=ID=clip, {mapping}",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"1 \(more\.wav\) only in labels\.csv"):
        report.run(words)
    report.run([*words, "--only_common"])
    facts = report_in(tmp_path / "theirs_report")["sets"]["theirs"]
    assert facts["metrics"]["mean_ccc"] == pytest.approx(
        prediction_metrics(ours)["mean_ccc"], abs=1e-9
    )
    assert facts["intervals"]["unit"] == "speakers"
    assert "1 (more.wav) only in labels.csv" in capsys.readouterr().out


def test_seed_and_resamples_reach_the_bootstrap(folder):
    report.run([str(folder / "1"), "--no_plots", "--set=test1", "--resamples=299", "--seed=5"])
    found = report_in(folder / "1" / "report")["sets"]["test1"]["intervals"]
    assert (found["resamples"], found["seed"]) == (299, 5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label_low=1"], "--label_low and --label_high must be given together"),
        (["--predicted_high=1"], "--predicted_low and --predicted_high must be given together"),
        (["--columns=valence"], "'name=column, …'.*found 'valence'"),
        (["--columns=ID=a, ID=b"], "unique names.*found 'ID=b'"),
        (["--reversed_dimensions=arousal"], "requires --label_low"),
        (["--set=test3"], "all runs \\(valid, test1\\); found test3"),
        (["--average", "--out=x"], "at least two runs; found 1"),
    ],
)
def test_invalid_options_are_rejected(folder, words, message):
    with pytest.raises(ValueError, match=message):
        report.run([str(folder / "1"), *FAST, *words])


def test_unfinished_run_raises_with_advice(folder):
    (folder / "2" / "metrics.json").unlink()
    with pytest.raises(ValueError, match=r"is not finished.*Re-run the training command"):
        report.run([str(folder), *FAST])


def test_correction_kinds_match_library():
    assert report.KINDS == calibration_metrics.KINDS


def test_help_imports_neither_torch_nor_pandas():
    code = (
        "import sys; from emosphere_sb.commands.report import build_report_parser;"
        "build_report_parser().format_help();"
        "assert not {'torch', 'pandas', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_csv_files_of_two_seeds_are_averaged(folder, tmp_path):
    """Metrics are averaged although the file names differ."""
    for seed in (1, 2):
        write_predictions(bare(seed=seed), tmp_path / f"seed{seed}.csv")
    files = [str(tmp_path / f"seed{seed}.csv") for seed in (1, 2)]
    assert report.run([*files, f"--out={tmp_path / 'out'}", *FAST]) == 0
    (found,) = report_in(tmp_path / "out")["sets"].values()
    expected = [prediction_metrics(read_predictions(file))["mean_ccc"] for file in files]
    assert found["metrics"]["mean_ccc"] == pytest.approx(sum(expected) / 2, abs=1e-12)


def test_modified_set_does_not_affect_checks_of_others(folder):
    """A poor model may predict 0.2 for all utterances; a modified file may be on another scale."""
    poor = bare(40)
    poor[list(PREDICTED)] = 0.2
    run = write_run(folder.parent / "poor", {"valid": poor, "test1": bare()})
    write_predictions(bare(seed=3), run / "predictions" / "test1.csv")
    assert report.run([str(run), *FAST]) == 0
    write_predictions(poor.assign(valence_predicted=0.3), run / "predictions" / "valid.csv")
    with pytest.raises(ValueError, match="valid: valence_predicted must be on the label scale"):
        report.run([str(run), *FAST])


def test_negative_seed_raises(folder):
    with pytest.raises(ValueError, match="--seed must be an integer >= 0; found -1"):
        report.run([str(folder / "1"), "--seed=-1", *FAST])


# --- unfinished runs -------------------------------------------------------------------------

LINE = (
    "epoch: {0}, lr: 1.00e-03 - train loss: 5.00 - valid valence: 2.50e-01, valid arousal: "
    "5.00e-01, valid dominance: 0.00e+00, valid mean_ccc: {1:.2e}\n"
)


@pytest.fixture
def unfinished(tmp_path):
    """A run that was interrupted after two of 20 epochs."""
    folder = tmp_path / "unfinished"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text("preset: demo\nseed: 3\nnumber_of_epochs: 20\n")
    (folder / "train_log.txt").write_text(LINE.format(1, 0.25) + LINE.format(2, 0.125))
    return folder


def test_unfinished_run_is_marked_and_shows_its_training(unfinished, capsys):
    assert report.run([str(unfinished)]) == 0
    text = capsys.readouterr().out
    assert "Unfinished run: 2 of 20 epochs are trained." in text
    rows = [line.split() for line in text.splitlines() if " epoch  " in line]
    assert rows == [
        ["best", "epoch", "1", ".250", ".500", ".000", ".250"],
        ["last", "epoch", "2", ".250", ".500", ".000", ".125"],
    ]
    page = Reader((unfinished / "report" / "report.html").read_text(encoding="utf-8"))
    assert [attrs.get("class") for attrs in page.of("p")].count("unfinished") == 1
    title = "demo, seed 3 (unfinished)"
    assert page.text.index("Unfinished run: 2 of 20") < page.text.rindex(title)
    assert ["best epoch", "1", ".250", ".500", ".000", ".250"] in page.cells
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    assert ids == {"progress", "training", "protocol", "run"}
    assert {path.name for path in (unfinished / "report" / "plots").iterdir()} == {
        "training.png", "training.pdf",
    }  # fmt: skip
    facts = report_in(unfinished / "report")
    assert (facts["sets"], facts["unfinished"]["epochs"]) == ({}, 2)


def test_finished_predictions_of_an_unfinished_run_are_scored(unfinished, capsys):
    (unfinished / "predictions").mkdir()
    write_predictions(bare(40), unfinished / "predictions" / "valid.csv")
    report.run([str(unfinished), *FAST])
    expected = prediction_metrics(bare(40))
    facts = report_in(unfinished / "report")
    assert facts["sets"]["valid"]["metrics"]["mean_ccc"] == expected["mean_ccc"]
    text = capsys.readouterr().out
    assert text.index("Unfinished run") < text.index("valid: 40 utterances")


def test_unfinished_run_without_an_epoch_is_reported(unfinished, capsys):
    (unfinished / "train_log.txt").unlink()
    report.run([str(unfinished), *FAST])
    assert "Unfinished run: 0 of 20 epochs are trained." in capsys.readouterr().out
    page = Reader((unfinished / "report" / "report.html").read_text(encoding="utf-8"))
    assert "No epoch is complete." in page.text and not page.of("img")


def test_finished_run_is_not_marked(folder, capsys):
    report.run([str(folder / "1"), *FAST, "--set=test1"])
    assert "Unfinished" not in capsys.readouterr().out
    assert "unfinished" not in report_in(folder / "1" / "report")


@pytest.mark.parametrize("option", ["--compare", "--average", "--correct"])
def test_options_that_need_results_reject_an_unfinished_run(unfinished, folder, option):
    value = {"--compare": [str(folder / "1")], "--correct": ["affine"]}.get(option, [])
    with pytest.raises(ValueError, match=f"{option} requires finished runs.*Re-run the training"):
        report.run([str(unfinished), option, *value])


def test_reference_must_be_finished(unfinished, folder):
    with pytest.raises(ValueError, match="unfinished is not finished"):
        report.run([str(folder / "1"), *FAST, "--compare", str(unfinished)])


def test_one_of_several_runs_must_be_finished(unfinished, folder, tmp_path):
    with pytest.raises(ValueError, match=r"unfinished is not finished.*emosphere report .*alone"):
        report.run([str(folder / "1"), str(unfinished), f"--out={tmp_path / 'here'}"])
