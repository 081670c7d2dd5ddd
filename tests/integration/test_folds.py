"""Every fold, and the summary over them: on synthetic speech in the layout of IEMOCAP."""

import json

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.folds import over_folds
from emosphere_sb.scale import DIMENSIONS


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    pytest.importorskip("espeakng_loader", reason="the extra 'demo' is not installed")
    from data_prep import demo

    folder = tmp_path_factory.mktemp("demo") / "IEMOCAP"
    demo.write("IEMOCAP", folder, size="smoke")
    return folder


def start(root, corpus, results, *options):
    from emosphere_sb.recipe import run

    return run(
        [
            str(root / "hparams" / "emosphere.yaml"), "--row=smoke", "--noprogressbar",
            "--number_of_epochs=1", f"--data_folder={corpus}", f"--results_folder={results}",
            *options,
        ],
        corpus="IEMOCAP",
    )  # fmt: skip


def test_all_folds_are_run_once_and_summed_up(root, corpus, tmp_path):
    one = start(root, corpus, tmp_path, "--fold=2")
    stamp = (tmp_path / "IEMOCAP-synthetic/smoke/session-2/7/metrics.json").stat().st_mtime_ns
    summary = start(root, corpus, tmp_path, "--fold=all")
    assert (
        tmp_path / "IEMOCAP-synthetic/smoke/session-2/7/metrics.json"
    ).stat().st_mtime_ns == stamp
    facts = summary["by_fold"]["test"]
    assert list(facts["folds"]) == ["1", "2", "3", "4", "5"]
    assert facts["folds"]["2"]["mean_ccc"] == pytest.approx(one["test"]["mean_ccc"])
    means = [row["mean_ccc"] for row in facts["folds"].values()]
    assert facts["mean_over_folds"]["mean_ccc"] == pytest.approx(np.mean(means))
    assert facts["deviation_over_folds"]["mean_ccc"] == pytest.approx(np.std(means, ddof=1))
    kept = json.loads((tmp_path / "IEMOCAP-synthetic/smoke/session-all/7/summary.json").read_text())
    assert kept["by_fold"]["test"]["utterances"] == facts["utterances"]
    tables = [
        pd.read_csv(tmp_path / f"IEMOCAP-synthetic/smoke/session-{k}/7/predictions/test.csv")
        for k in range(1, 6)
    ]
    ids = pd.concat(tables)["ID"]
    assert ids.is_unique
    assert len(ids) == facts["utterances"]


def test_pooled_ccc_sees_what_the_mean_over_folds_cannot(tmp_path):
    """Off by one in each fold; over both the labels spread wider, so the same error counts less."""
    folds, folders = {}, []
    for number, offset in (("1", 1.0), ("2", 1.0)):
        truth = np.array([1.0, 2.0, 3.0]) + 2 * (number == "2")
        table = pd.DataFrame({"ID": [f"{number}{i}" for i in range(3)]})
        for name in DIMENSIONS:
            table[name], table[f"{name}_predicted"] = truth, truth + offset
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


def test_corpus_without_folds_says_so(root, smoke_corpus, tmp_path):
    from emosphere_sb.recipe import run

    options = [f"--data_folder={smoke_corpus}", f"--results_folder={tmp_path}", "--fold=all"]
    with pytest.raises(ValueError, match=r"--fold belongs to .* and does nothing for MSP-Pod"):
        run(
            [str(root / "hparams" / "emosphere.yaml"), "--row=smoke", *options],
            corpus="MSP-Podcast",
        )


def test_partition_without_folds_says_so(root, tmp_path):
    from data_prep import demo
    from emosphere_sb.recipe import run

    demo.write("OwnData", tmp_path / "own", size="smoke")
    options = ["--row=smoke", f"--data_folder={tmp_path}/own", f"--results_folder={tmp_path}"]
    options += ["--label_low=1", "--label_high=7", "--fold=all"]
    with pytest.raises(ValueError, match=r"'split' of OwnData has no folds; .* --partition=…"):
        run([str(root / "hparams" / "emosphere.yaml"), *options], corpus="OwnData")


def test_output_folder_is_refused_with_all_folds(root, corpus, tmp_path):
    with pytest.raises(ValueError, match="leave --output_folder out"):
        start(root, corpus, tmp_path, "--fold=all", f"--output_folder={tmp_path}/o")
