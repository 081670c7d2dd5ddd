"""Model card: valid for the Hub, with the metrics of the run and warnings."""

import json

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_load

from emosphere_sb.release.card import model_card
from emosphere_sb.report.read.runs import read_run
from emosphere_sb.report.stats.intervals import confidence_intervals
from emosphere_sb.results.predictions import read_predictions
from emosphere_sb.scale import DIMENSIONS
from tests.helpers.models import tiny_about
from tests.helpers.run_folders import change_metrics, random_predictions, write_run


def made(tmp_path, *, tables=None, about=None, run=None, **protocol):
    """Return a model card and its run."""
    facts = {
        "release": "1.11", "synthetic": False, "preset": "published", "backbone": "someone/wavlm",
        "utterances": {"train": 84030}, "partition": "official", "best_epoch": 3,
        "classes_kept": {"train": ["angry", "no_agreement"]}, "drop": {"train": ["other"]},
        "normalisation": "corpus", "seed": 7, "precision": "fp16", **protocol,
    }  # fmt: skip
    folder = write_run(tmp_path / "run", tables, **facts)
    if run:
        change_metrics(folder, lambda metrics: metrics["run"].update(run))
    source = read_run(folder)
    synthetic = facts["synthetic"]
    return model_card(tiny_about(**{"synthetic": synthetic, **(about or {})}, max_seconds=12.0),
                      source, resamples=999), source  # fmt: skip


def header_of(card):
    return yaml.safe_load(card.split("---")[1])


def rows_of(card, heading):
    """Return the cells of the first table below a heading, by row."""
    lines = card.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines()
    body = [line for line in lines if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body]


def test_hub_reads_the_header(tmp_path):
    card, source = made(tmp_path)
    (tmp_path / "README.md").write_text(card)
    data = ModelCard.load(tmp_path / "README.md").data
    assert (data.license, data.library_name) == ("other", "speechbrain")
    assert data.pipeline_tag == "audio-classification"
    assert data.datasets == ["msp-podcast"] and data.base_model == "someone/wavlm"
    assert data.language == "en" and {"valence", "arousal", "dominance"} <= set(data.tags)
    found = {(r.dataset_split, r.metric_name): r.metric_value for r in data.eval_results}
    row = source.metrics["test1"]
    expected = {("test1", f"CCC, {d}"): round(row[d]["ccc"], 4) for d in DIMENSIONS}
    assert found == expected | {("test1", "CCC, mean"): round(row["mean_ccc"], 4)}


def test_metrics_are_those_of_the_run_with_intervals(tmp_path):
    card, _ = made(tmp_path)
    rows = rows_of(card, "Evaluation results")
    assert [row[0] for row in rows] == ["valid", "test1"]  # test3 has no labels
    for row in rows:
        table = read_predictions(tmp_path / "run" / "predictions" / f"{row[0]}.csv")
        found = confidence_intervals(table, resamples=999)
        assert row[5:] == [str(len(table)), f"{found['units']} {found['unit']}"]
        for cell, dimension in zip(row[1:4], DIMENSIONS, strict=True):
            x, y = table[dimension], table[f"{dimension}_predicted"]
            # Lin (1989), written out
            spread = ((x - x.mean()) * (y - y.mean())).mean() * 2
            ccc = spread / (x.var(ddof=0) + y.var(ddof=0) + (x.mean() - y.mean()) ** 2)
            low, high = found[dimension]["ccc"]
            assert cell == f"{ccc:.3f} \\[{low:.3f}, {high:.3f}\\]".replace("0.", ".")


def test_calibration_is_the_regression_on_the_truth(tmp_path):
    card, _ = made(tmp_path)
    rows = {(row[0], row[1]): row[2:] for row in rows_of(card, "Calibration")}
    assert len(rows) == 6
    table = read_predictions(tmp_path / "run" / "predictions" / "test1.csv")
    for dimension in DIMENSIONS:
        x, y = table[dimension].to_numpy(), table[f"{dimension}_predicted"].to_numpy()
        slope, _ = np.polyfit(x, y, 1)
        shift = (y.mean() - x.mean()) / np.sqrt(x.std() * y.std())
        expected = [slope, y.std() / x.std(), shift]
        found = [float(cell) for cell in rows["test1", dimension]]
        np.testing.assert_allclose(found, expected, atol=5.1e-4)


def test_shrinkage_is_a_scale_ratio_below_1_and_the_slope_is_the_conditional_bias(tmp_path):
    card, _ = made(tmp_path)
    text = " ".join(card.split())
    for sentence in (
        "Scale ratio: SD of the predictions divided by the SD of the labels; values below 1 mean "
        "that predictions shrink towards their mean.",
        "Slope: regression of predictions on labels, the conditional bias; below 1, low values are "
        "on average overestimated and high values underestimated.",
        "It equals Pearson correlation times scale ratio.",
        "If the scale ratio in the table above is below 1, predictions vary less than the true "
        "ratings.",
    ):
        assert sentence in text, sentence
    assert text.count("shrink") == 1 and "compressed" not in text


def test_required_information_is_included(tmp_path):
    command = "python recipes/MSP-Podcast/train.py hparams/emosphere.yaml --data_folder=/my/corpus"
    card, _ = made(tmp_path, run={"command": command, "commit": "ab12", "machine": "A GPU"})
    for text in (
        "corpus: MSP-Podcast (English podcasts", "release: 1.11", "partition: official",
        "used part of each utterance: first 12 s", "waveform normalisation: corpus",
        "emotions in the training set: angry, no\\_agreement", "train other", "train 84,030",
        "best epoch: 3", "precision: fp16",
        "Do not use it for decisions about people, for example in medicine", "cho2025emosphere",
        "emosphere predict", "EmoSphere.from_pretrained", "`ab12`", "--data_folder=…", "torch ",
        "| happy | .500 | .250 | .000 |", "selected on valid",
    ):  # fmt: skip
        assert text in card, text
    assert "/my/corpus" not in card and "SYNTHETIC" not in card


def test_synthetic_speech_gives_a_warning_and_no_results_in_the_header(tmp_path):
    card, _ = made(tmp_path, synthetic=True, release="synthetic")
    body = card.split("---")[2].strip().splitlines()
    assert body[0] == "# tiny" and body[2].startswith("> **SYNTHETIC SPEECH.**")
    header = header_of(card)
    assert "synthetic" in header["tags"]
    assert not {"datasets", "model-index", "metrics"} & header.keys()
    assert "trained on synthetic speech." in card and "English podcasts" not in card


def test_shuffled_labels_give_a_warning(tmp_path):
    card, _ = made(tmp_path, shuffle_labels=True)
    assert "**SHUFFLED LABELS.**" in card


@pytest.mark.parametrize("corpus", ["MSP-Podcast", "IEMOCAP", "MSP-IMPROV", "OwnData"])
def test_each_corpus_is_described(tmp_path, corpus):
    from emosphere_sb.recipe.corpora import corpus_module

    card, _ = made(tmp_path, corpus=corpus)
    module = corpus_module(corpus)
    assert module.SPEECH in card and len(module.TERMS) > 60
    assert header_of(card).get("language", "") == module.LANGUAGE


def test_local_backbone_is_not_a_base_model(tmp_path):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    card, _ = made(tmp_path, backbone=str(tmp_path / "models" / "mine"))
    assert "base_model" not in header_of(card)
    assert "EmoSphere-SER model based on mine. It" in card and str(tmp_path) not in card


def test_run_without_labels_has_no_metrics(tmp_path):
    card, _ = made(tmp_path, tables={"test3": random_predictions(5, labelled=False)})
    assert card.count("Not available: no set has labels.") == 2
    assert header_of(card)["model-index"][0]["results"] == []


def test_special_characters_are_escaped(tmp_path):
    name = "a: b | c # <script> *d* 'e' \"f\" --- [g](h) Größe"
    card, _ = made(tmp_path, about={"name": name}, partition="x|y <b>")
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert metadata_load(tmp_path / "README.md")["model-index"][0]["name"] == name
    assert "<script>" not in card.split("\n---\n", 1)[1] and "<b>" not in card
    assert "x\\|y" in card


def test_card_is_deterministic(tmp_path):
    card, source = made(tmp_path)
    again = model_card(tiny_about(synthetic=False, max_seconds=12.0), source, resamples=999)
    assert card == again and json.dumps(header_of(card))
