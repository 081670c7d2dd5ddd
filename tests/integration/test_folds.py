"""Test runs of all folds and their summary on synthetic speech in the layout of IEMOCAP."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from data_prep.iemocap.reader import EMOTIONS
from emosphere_sb.console import run_summary
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.cross_corpus import metrics_file, prepare_other_corpus
from emosphere_sb.recipe.folds import over_folds, run_folds
from emosphere_sb.recipe.workspace import initialise_run_folder, prepare_corpus
from emosphere_sb.results.metrics_json import metrics_digest, prediction_digests
from emosphere_sb.scale import DIMENSIONS


def run_request_folds(words, run):
    """Parse a command line and run its folds with ``run`` instead of training."""
    request = read_command(words, corpus="IEMOCAP")
    return run_folds(request.tree, request.run_options, corpus="IEMOCAP", run=run)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    pytest.importorskip("espeakng_loader", reason="the 'demo' extra is not installed")
    from data_prep.synthetic import write as synthetic

    folder = tmp_path_factory.mktemp("demo") / "IEMOCAP"
    synthetic.write("IEMOCAP", folder, size="smoke")
    return folder


def start(root, corpus, results, *options):
    from emosphere_sb.recipe.run import run_recipe

    return run_recipe(
        [
            str(root / "hparams" / "emosphere.yaml"), "--preset=smoke", "--noprogressbar",
            "--number_of_epochs=1", f"--data_folder={corpus}", f"--results_folder={results}",
            *options,
        ],
        corpus="IEMOCAP",
    )  # fmt: skip


def test_all_folds_run_once_and_are_summarised(root, corpus, tmp_path):
    one = start(root, corpus, tmp_path, "--fold=2")
    stamp = (tmp_path / "IEMOCAP-synthetic/smoke/session-2/7/metrics.json").stat().st_mtime_ns
    summary = start(root, corpus, tmp_path, "--fold=all")
    assert (
        tmp_path / "IEMOCAP-synthetic/smoke/session-2/7/metrics.json"
    ).stat().st_mtime_ns == stamp
    facts = summary["by_fold"]["test"]
    assert list(facts["folds"]) == ["1", "2", "3", "4", "5"]
    assert facts["folds"]["2"]["mean_ccc"] == pytest.approx(one["test"]["mean_ccc"])
    check_that_a_damaged_fold_is_tested_again(root, corpus, tmp_path, summary)
    means = [row["mean_ccc"] for row in facts["folds"].values()]
    assert facts["mean_over_folds"]["mean_ccc"] == pytest.approx(np.mean(means))
    assert facts["deviation_over_folds"]["mean_ccc"] == pytest.approx(np.std(means, ddof=1))
    saved = json.loads(
        (tmp_path / "IEMOCAP-synthetic/smoke/session-all/7/summary.json").read_text()
    )
    assert saved["by_fold"]["test"]["utterances"] == facts["utterances"]
    tables = [
        pd.read_csv(tmp_path / f"IEMOCAP-synthetic/smoke/session-{k}/7/predictions/test.csv")
        for k in range(1, 6)
    ]
    ids = pd.concat(tables)["ID"]
    assert ids.is_unique
    assert len(ids) == facts["utterances"]


def check_that_a_damaged_fold_is_tested_again(root, corpus, results, summary):
    """Without training it again: the checkpoints stay as they are."""
    folders = [results / f"IEMOCAP-synthetic/smoke/session-{k}/7" for k in range(1, 6)]
    times = [(folder / "metrics.json").stat().st_mtime_ns for folder in folders]
    log = (folders[3] / "train_log.txt").read_bytes()
    path = folders[3] / "predictions" / "test.csv"
    before = path.read_bytes()
    cut(path)
    assert start(root, corpus, results, "--fold=all")["by_fold"] == summary["by_fold"]
    assert path.read_bytes() == before
    assert (folders[3] / "train_log.txt").read_bytes() == log
    later = [(folder / "metrics.json").stat().st_mtime_ns for folder in folders]
    assert [a != b for a, b in zip(times, later, strict=True)] == [False, False, False, True, False]


def test_pooled_ccc_differs_from_mean_over_folds(tmp_path):
    """The error is 1 in each fold; the pooled labels have a larger variance and a higher CCC."""
    folds, folders = {}, []
    for number, offset in (("1", 1.0), ("2", 1.0)):
        truth = np.array([1.0, 2.0, 3.0]) + 2 * (number == "2")
        table = pd.DataFrame({"ID": [f"{number}{i}" for i in range(3)]})
        for name in DIMENSIONS:
            table[name], table[f"{name}_predicted"] = truth, truth + offset
        table["region"] = table["region_point"] = "I"
        if number == "1":  # only this fold's best epoch used the auxiliary task
            table["region_head"], table["p_I"] = "I", 1.0
        folder = tmp_path / number
        (folder / "predictions").mkdir(parents=True)
        table.to_csv(folder / "predictions" / "test.csv", index=False)
        ccc = 2 * (2 / 3) / (2 / 3 + 2 / 3 + 1)
        folds[number] = {"test": {**{n: {"ccc": ccc} for n in DIMENSIONS}, "mean_ccc": ccc}}
        folders.append(folder)
    facts = over_folds("test", folds, folders)
    truth = np.array([1, 2, 3, 3, 4, 5.0])
    predicted = truth + 1
    covariance = np.mean((truth - truth.mean()) * (predicted - predicted.mean()))
    expected = (
        2 * covariance / (truth.var() + predicted.var() + (truth.mean() - predicted.mean()) ** 2)
    )
    assert facts["mean_over_folds"]["valence"] == pytest.approx(4 / 7)
    assert facts["deviation_over_folds"]["valence"] == 0
    assert facts["pooled"]["valence"] == pytest.approx(expected)
    assert facts["pooled"]["valence"] != pytest.approx(4 / 7)
    folds["2"]["test"]["valence"] = {"ccc": None}  # undefined values are null in metrics.json
    facts = over_folds("test", folds, folders)
    assert facts["defined"] == {"valence": 1, "arousal": 2, "dominance": 2, "mean_ccc": 2}
    assert facts["mean_over_folds"]["valence"] == pytest.approx(4 / 7)
    facts = over_folds(
        "test", folds, [folders[0], folders[0]]
    )  # both folds tested on the same utterances of another corpus
    assert (facts["pooled"], facts["utterances"]) == (None, 3)


def test_fold_option_for_corpus_without_folds_raises(root, smoke_corpus, tmp_path):
    from emosphere_sb.recipe.run import run_recipe

    options = [f"--data_folder={smoke_corpus}", f"--results_folder={tmp_path}", "--fold=all"]
    with pytest.raises(
        ValueError, match=r"--fold is a setting of .* and has no effect for MSP-Pod"
    ):
        run_recipe(
            [str(root / "hparams" / "emosphere.yaml"), "--preset=smoke", *options],
            corpus="MSP-Podcast",
        )


def test_fold_option_for_partition_without_folds_raises(root, tmp_path):
    from data_prep.synthetic import write as synthetic
    from emosphere_sb.recipe.run import run_recipe

    synthetic.write("OwnData", tmp_path / "own", size="smoke")
    options = ["--preset=smoke", f"--data_folder={tmp_path}/own", f"--results_folder={tmp_path}"]
    options += ["--label_low=1", "--label_high=7", "--fold=all"]
    with pytest.raises(ValueError, match=r"'split' of OwnData has no folds\. .*--partition=…"):
        run_recipe([str(root / "hparams" / "emosphere.yaml"), *options], corpus="OwnData")


def test_output_folder_with_all_folds_raises(root, corpus, tmp_path):
    with pytest.raises(ValueError, match="--output_folder cannot be combined with --fold=all"):
        start(root, corpus, tmp_path, "--fold=all", f"--output_folder={tmp_path}/o")


class FakeRun:
    """Write the files of a run without training, and record the requested folds."""

    def __init__(self):
        self.folds = []

    def __call__(self, tree, options, *, corpus):
        from emosphere_sb.fileio.yaml_tree import scalars

        settings = scalars(tree)
        summary = prepare_corpus(settings, corpus)
        folder = initialise_run_folder(tree, settings, summary)
        (folder / "save" / "CKPT").mkdir(parents=True, exist_ok=True)
        self.folds.append(settings["fold"])
        rows = pd.read_csv(summary.sets["test"])
        table = rows[["ID", *DIMENSIONS]]
        for name in DIMENSIONS:
            table = table.assign(**{f"{name}_predicted": rows[name] + 0.5})
        (folder / "predictions").mkdir(exist_ok=True)
        table.to_csv(folder / "predictions" / "test.csv", index=False)
        scores = {name: {"ccc": 0.5 + settings["fold"] / 100} for name in DIMENSIONS}
        if settings["fold"] == 2:
            scores["dominance"] = {"ccc": None}
        facts = {"synthetic": True, **summary.protocol}
        metrics = {"test": {**scores, "mean_ccc": 0.5}, "protocol": facts}
        metrics["run"] = {"predictions": prediction_digests(folder, ["test"])}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        if other := prepare_other_corpus(settings, summary):
            table.to_csv(folder / "predictions" / f"{other.name}-all.csv", index=False)
            metrics = {f"{other.name}-all": {**scores, "mean_ccc": 0.5}}
            metrics["protocol"] = {"tested_on": other.metadata()}
            metrics["run"] = {"predictions": prediction_digests(folder, [f"{other.name}-all"])}
            metrics_file(folder, other.name).write_text(json.dumps(metrics))


def folds_of(root, corpus, results, *options):
    words = [str(root / "hparams" / "emosphere.yaml"), "--fold=all", f"--data_folder={corpus}"]
    has_preset = any(option.startswith("--preset=") for option in options)
    presets = [] if has_preset else ["--preset=smoke"]
    words += [f"--results_folder={results}", *presets, *options]
    fake = FakeRun()
    return run_request_folds(words, fake), fake.folds


def change_valence(corpus, sessions, begin):
    """Replace the first digit of the valence in all label files of some sessions."""
    for path in corpus.glob(f"{sessions}/dialog/EmoEvaluation/Ses*.txt"):
        text = path.read_text(encoding="latin-1")
        path.write_text(re.sub(r"\t\[\d\.", f"\t[{begin}", text), encoding="latin-1")


def test_finished_folds_are_reused_only_with_same_settings_and_data(root, corpus, tmp_path):
    summary, ran = folds_of(root, corpus, tmp_path / "r")
    assert ran == [1, 2, 3, 4, 5]
    assert folds_of(root, corpus, tmp_path / "r") == (summary, [])
    with pytest.raises(
        ValueError, match=r"different values of lr\. .*--fold=all: --results_folder"
    ):
        folds_of(root, corpus, tmp_path / "r", "--lr=0.5")
    other = tmp_path / "other"
    shutil.copytree(corpus, other)
    change_valence(other, "Session*", "1.")
    with pytest.raises(ValueError, match="contains a run on other data"):
        folds_of(root, other, tmp_path / "r")
    one = tmp_path / "r/IEMOCAP-synthetic/smoke/session-3/7/metrics.json"
    one.unlink()  # as if interrupted
    assert folds_of(root, corpus, tmp_path / "r") == (summary, [3])


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit(path):
    """Overwrite the predictions with the truth."""
    table = pd.read_csv(path)
    for name in DIMENSIONS:
        table[f"{name}_predicted"] = table[name]
    table.to_csv(path, index=False)


def delete(path):
    path.unlink()


def empty(path):
    path.write_text("")


@pytest.mark.parametrize("damage", [cut, edit, delete, empty])
@pytest.mark.parametrize("name", ["predictions/test.csv", "metrics.json", "data.json"])
def test_fold_with_damaged_results_alone_is_tested_again(root, corpus, tmp_path, damage, name):
    summary, _ = folds_of(root, corpus, tmp_path / "r")
    path = tmp_path / "r/IEMOCAP-synthetic/smoke/session-3/7" / name
    if damage is edit and name != "predictions/test.csv":
        pytest.skip("is no table")
    before = path.read_bytes()
    damage(path)
    if name == "data.json" and damage is not delete:
        with pytest.raises(ValueError, match=r"session-3/7/data\.json .*Restore it, or delete it"):
            folds_of(root, corpus, tmp_path / "r")
        return
    assert folds_of(root, corpus, tmp_path / "r") == (summary, [3])
    assert path.read_bytes() == before
    assert folds_of(root, corpus, tmp_path / "r") == (summary, [])


def test_folds_with_swapped_predictions_are_tested_again(root, corpus, tmp_path, caplog):
    summary, _ = folds_of(root, corpus, tmp_path / "r")
    runs = tmp_path / "r/IEMOCAP-synthetic/smoke"
    one, two = (runs / f"session-{n}/7/predictions/test.csv" for n in (2, 5))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert folds_of(root, corpus, tmp_path / "r") == (summary, [2, 5])
    assert (one.read_bytes(), two.read_bytes()) == (first, second)
    assert caplog.text.count("predictions/test.csv was modified after the run") == 2


def test_fold_with_edited_scores_is_tested_again(root, corpus, tmp_path):
    summary, _ = folds_of(root, corpus, tmp_path / "r")
    path = tmp_path / "r/IEMOCAP-synthetic/smoke/session-4/7/metrics.json"
    metrics = json.loads(path.read_text())
    metrics["run"]["checksum"] = metrics_digest(metrics)
    path.write_text(json.dumps(metrics))
    assert folds_of(root, corpus, tmp_path / "r") == (summary, [])
    metrics["test"]["mean_ccc"] = 0.9
    path.write_text(json.dumps(metrics))
    assert folds_of(root, corpus, tmp_path / "r") == (summary, [4])
    metrics["run"]["checksum"] = ""
    path.write_text(json.dumps(metrics))
    assert folds_of(root, corpus, tmp_path / "r") == (summary, [4])


def test_results_copied_from_another_fold_are_replaced(root, corpus, tmp_path, caplog):
    summary, _ = folds_of(root, corpus, tmp_path / "r")
    first, second = (tmp_path / f"r/IEMOCAP-synthetic/smoke/session-{n}/7" for n in (1, 2))
    shutil.copytree(second / "predictions", first / "predictions", dirs_exist_ok=True)
    shutil.copy(second / "metrics.json", first)
    caplog.clear()
    assert folds_of(root, corpus, tmp_path / "r") == (summary, [1])
    assert "metrics.json belongs to another fold (fold is 2 instead of 1)" in caplog.text


def test_scores_on_another_corpus_are_updated_with_its_settings_and_data(root, corpus, tmp_path):
    from data_prep.synthetic import write as synthetic

    own = tmp_path / "own"
    synthetic.write("OwnData", own, size="smoke")
    words = ["--test_corpus=OwnData", f"--test_data_folder={own}"]
    first = [*words, "--test_options={label_low: 1, label_high: 7}"]
    other = [*words, "--test_options={label_low: 0, label_high: 8}"]
    results = tmp_path / "r"
    folds_of(root, corpus, results)
    summary, ran = folds_of(root, corpus, results, *first)
    assert ran == [1, 2, 3, 4, 5]
    assert summary["protocol"]["tested_on"]["scale"]["high"] == 7
    assert folds_of(root, corpus, results, *first) == (summary, [])
    summary, ran = folds_of(root, corpus, results, *other)
    assert ran == [1, 2, 3, 4, 5]
    assert summary["protocol"]["tested_on"]["scale"]["high"] == 8
    labels = own / "labels.csv"
    labels.write_text("\n".join(labels.read_text().splitlines()[:-1]))
    summary, ran = folds_of(root, corpus, results, *other)
    assert ran == [1, 2, 3, 4, 5]
    assert summary["protocol"]["tested_on"]["utterances"] == {"OwnData-all": 59}


def test_fold_without_test_set_raises_before_training(root, corpus, tmp_path):
    everything = f"--drop_test=[{', '.join(EMOTIONS.values())}]"
    with pytest.raises(ValueError, match=r"fold 1 of IEMOCAP has none.*--drop_test"):
        folds_of(root, corpus, tmp_path, everything)


def test_undefined_ccc_of_a_fold_is_excluded_from_mean_and_shown(root, corpus, tmp_path):
    summary, _ = folds_of(root, corpus, tmp_path)
    facts = summary["by_fold"]["test"]
    assert facts["defined"]["dominance"] == 4
    assert facts["mean_over_folds"]["dominance"] == pytest.approx(0.5 + (1 + 3 + 4 + 5) / 400)
    text = run_summary(summary)
    assert [line.split()[-2] for line in text.splitlines() if line.startswith("fold")][1] == "–"
    assert "undefined, excluded from the mean" in text
    assert summary["protocol"]["folds"] == 5
    assert (
        "fold" not in summary["protocol"]
    )  # values that differ between folds are not in the summary


def test_partition_with_one_fold_has_its_name_in_the_folder(root, corpus, tmp_path):
    summary, ran = folds_of(root, corpus, tmp_path, "--partition=fixed")
    assert ran == [1]
    assert summary["folder"] == str(tmp_path / "IEMOCAP-synthetic/smoke/fixed-all/7")


@pytest.mark.parametrize("row", ["no_regions", "uncertainty", "challenge_baseline"])
def test_presets_with_empty_lists_preserve_classes(row, root, corpus, tmp_path):
    from emosphere_sb.fileio.yaml_tree import read_tree

    folds_of(root, corpus, tmp_path, f"--preset=smoke+{row}")
    saved = tmp_path / f"IEMOCAP-synthetic/smoke+{row}/session-4/7/hyperparams.yaml"
    key = "weighting" if row == "uncertainty" else "task"
    assert read_tree(saved)[key].tag.value.startswith("!new:emosphere_sb.lobes.")


def test_fold_that_cannot_be_prepared_raises_before_training(root, corpus, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(corpus, other)
    change_valence(other, "Session4", "9.")
    words = [str(root / "hparams" / "emosphere.yaml"), "--preset=smoke", "--fold=all"]
    words += [f"--data_folder={other}", f"--results_folder={tmp_path}/r"]
    fake = FakeRun()
    with pytest.raises(ValueError, match="The 'valid' set of IEMOCAP must contain"):
        run_request_folds(words, fake)
    assert fake.folds == []


def test_debug_runs_use_a_separate_folder(root, corpus, tmp_path):
    summary = start(root, corpus, tmp_path, "--fold=all", "--partition=fixed", "--debug")
    assert summary["folder"] == str(tmp_path / "IEMOCAP-synthetic/smoke+debug/fixed-all/7")
