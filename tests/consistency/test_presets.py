"""Test that each preset can be trained, and the settings of published and of the paper's tables."""

import re
import shutil
from collections import Counter
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from emosphere_sb.data.dataset import Batch, CollateStep
from emosphere_sb.fileio.yaml_tree import scalars
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.build import make_datasets
from emosphere_sb.recipe.hparams import build_objects, differences, merge, read_presets
from emosphere_sb.recipe.run import run_recipe
from emosphere_sb.recipe.workspace import prepare_corpus
from emosphere_sb.scale import DIMENSIONS, Scale
from tests.helpers import brain as brains

FILE = HPARAMS / "emosphere.yaml"
PRESETS = list(read_presets(FILE))
FULL_SIZE = ("published", "demo", "learn", "frozen", "lora", "finetune_top")
"""Presets that set the sizes that smoke reduces."""
SMALL = [f"{name}+smoke" if name in FULL_SIZE else f"smoke+{name}" for name in PRESETS]
TINY = {"backbone": "wavlm_smoke.json", "precision": "fp32"}  # published with a tiny backbone


def merged(rows, **overrides):
    return merge(Arguments(FILE, rows.split("+"), {k: str(v) for k, v in overrides.items()}))


def make_brain(rows, **overrides):
    return brains.make_brain(rows.split("+"), **{"precision": "fp32", **overrides})


def make_step(task, sizes=(3, 2)):
    chance = torch.Generator().manual_seed(1)
    batches = []
    for size in sizes:
        lengths = torch.arange(size).flip(0) * 700 + 1500
        signals = torch.randn(size, int(lengths.max()), generator=chance)
        signals[torch.arange(signals.shape[1]) >= lengths.unsqueeze(1)] = 0.0
        vad = torch.rand(size, 3, generator=chance) * 2 - 1
        target = torch.tensor([task.target(point.double(), "happy") for point in vad])
        batches.append(Batch([f"{size}-{n}" for n in range(size)], signals, lengths, vad, target))
    return batches


def parameters(module):
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


# --- all presets -----------------------------------------------------------------------------


def test_expected_presets_exist():
    assert len(PRESETS) > 15
    assert {"published", "demo", "smoke", "challenge_baseline"} <= set(PRESETS)


@pytest.mark.parametrize("rows", SMALL)
def test_preset_can_be_built_and_trained_for_one_step(rows):
    brain = make_brain(rows)
    task, modules = brain.hparams.task, brain.modules
    step = make_step(task)
    task.set_targets(torch.cat([batch.target for batch in step]))
    brain.schedule = None  # the learning rate of the warm-up would be 0
    for group in brain.optimizer.param_groups:
        group["lr"] = 1e-3
    trained = ("encoder", "pooling", "vad_head") + (("auxiliary_head",) if task.size else ())
    trained = [name for name in trained if list(modules[name].parameters())]
    before = {name: parameters(modules[name]) for name in trained}
    assert torch.isfinite(brain.fit_batch(step))
    assert brain.optimizer_step == 1
    for name in trained:
        after = parameters(modules[name])
        assert after.isfinite().all()
        assert not torch.equal(after, before[name]), name
    assert ("auxiliary_head" in modules) is (task.size > 0)


@pytest.mark.parametrize("rows", SMALL)
def test_smoke_does_not_override_the_settings_of_a_preset(rows):
    row = (
        next(name for name in rows.split("+") if name != "smoke")
        if rows != "smoke+smoke"
        else "smoke"
    )
    settings, tree = read_presets(FILE)[row], merged(rows)
    reduced = set(read_presets(FILE)["smoke"]) if row in FULL_SIZE else set()
    assert not (set(settings) - reduced) & set(differences(tree, merged(row)))


SCHEDULE = ("number_of_epochs", "batch_size", "lr", "schedule_name")
"""Keys of the training schedule, for which a preset must decide about early stopping."""


def text_of_presets() -> dict[str, str]:
    """Return the text of each preset, without what YAML merges into it."""
    text = (HPARAMS / "presets.yaml").read_text(encoding="utf-8")
    parts = re.split(r"^(\w+):", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_that_set_the_schedule_set_early_stopping_and_ablations_do_not(preset):
    text = text_of_presets()[preset]
    keys = {key for key in (*SCHEDULE, "patience") if re.search(rf"^    {key}: ", text, re.M)}
    assert ("patience" in keys) is bool(keys - {"patience"})


def test_an_ablation_keeps_the_early_stopping_of_the_preset_before_it(tmp_path):
    own = tmp_path / "emosphere.yaml"
    shutil.copy(FILE, own)
    text = (HPARAMS / "presets.yaml").read_text(encoding="utf-8")
    (tmp_path / "presets.yaml").write_text(f"{text}\nown:\n    patience: 5\n", encoding="utf-8")
    assert merge(Arguments(own, ["own", "mean_pooling"]))["patience"] == 5
    assert merge(Arguments(own, ["own", "frozen"]))["patience"] == 0


# --- published -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published():
    return merged("published")


@pytest.fixture(scope="module")
def published_brain():
    return make_brain("published", **TINY)


def test_default_pooling_is_the_published_one(published):
    assert "pooling" not in differences(published, merge(Arguments(FILE)))


def test_published_settings(published):
    facts = scalars(published)
    expected = {
        "backbone": "microsoft/wavlm-large", "freeze": "feature_encoder", "spec_augment": True,
        "layerdrop": None, "normalisation": "corpus", "max_seconds": 12.0, "crop": "start",
        "head_width": 1024, "head_dropout": 0.5, "batch_size": 64, "micro_batch": 16,
        "ccc_window": "micro", "bucket_batches": 0, "number_of_epochs": 20, "lr": 1e-5, "seed": 7,
        "patience": 0, "warmup_steps": 0, "schedule_name": "constant", "precision": "fp16",
        "max_grad_norm": float("inf"), "partition": "paper", "partition_per_class": 300,
    }  # fmt: skip
    assert {key: facts[key] for key in expected} == expected


def test_published_pooling(published_brain):
    pooling = published_brain.modules.pooling
    assert pooling.output_size == 1024
    assert pooling.attention.heads == 2
    assert pooling.attention.scale == 1 / 32
    assert [block.convolution.kernel_size for block in pooling.temporal] == [(5,), (5,)]
    dropouts = [m.p for m in pooling.modules() if isinstance(m, torch.nn.Dropout)]
    assert set(dropouts) == {0.1}


def test_published_heads(published_brain):
    for head, size in (("vad_head", 3), ("auxiliary_head", 8)):
        module = published_brain.modules[head]
        linear = [m for m in module.modules() if isinstance(m, torch.nn.Linear)]
        assert [(m.in_features, m.out_features) for m in linear] == [(1024, 1024), (1024, size)]
        assert [m.p for m in module.modules() if isinstance(m, torch.nn.Dropout)] == [0.5, 0.5]


def test_published_optimiser(published_brain):
    optimizer = published_brain.optimizer
    assert type(optimizer) is torch.optim.AdamW
    defaults = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]).defaults
    for group in optimizer.param_groups:
        assert group["lr"] == 1e-5
        assert (group["weight_decay"], group["betas"]) == (
            defaults["weight_decay"],
            defaults["betas"],
        )


def test_published_backbone_is_trained_except_convolutions(published_brain):
    model = published_brain.modules.encoder.model
    assert not any(p.requires_grad for p in model.feature_extractor.parameters())
    assert all(p.requires_grad for p in model.encoder.parameters())


def test_published_dynamic_weight_per_epoch():
    weighting = make_brain("published+smoke").hparams.weighting
    weights = []
    for epoch in range(1, 21):
        weighting.set_epoch(epoch)
        weights.append(weighting.weight if weighting.active else None)
    assert weights[:5] == pytest.approx([1, 0.802, 0.604, 0.406, 0.208], abs=1e-12)
    assert weights[5:] == [None] * 15


# Labels (V, A, D) on a scale from 1 to 7; octants follow from the signs (neutral counts as +).
LABELS = [
    *[(5.0, 5.0, 5.0)] * 3, (4.0, 4.0, 4.0), (4.0, 6.0, 4.5),  # octant I: five
    (3.0, 2.0, 1.0), (3.9, 3.9, 3.9),  # octant VII: two
    (2.0, 5.0, 4.0),  # octant IV: one
]  # fmt: skip


def manifest_rows(labels, **facts):
    known = {"wav": "", "duration": 30.0, "emotion": "happy", **facts}
    return {
        f"u{n}": {**known, **dict(zip(DIMENSIONS, map(str, vad), strict=True))}
        for n, vad in enumerate(labels)
    }


def test_published_class_weights():
    """Weights are N / (K n_k) with N = 8, K = 8: 1/5, 1/2 and 1; empty classes have weight 0."""
    hparams = build_objects(merged("published+smoke"))
    rows = {"train": manifest_rows(LABELS)}
    sets = make_datasets(rows, SimpleNamespace(scale=Scale(1, 7)), hparams)
    hparams["task"].set_targets(sets["train"].targets())
    expected = [1 / 5, 0, 0, 1, 0, 0, 1 / 2, 0]
    assert hparams["task"].weights.tolist() == pytest.approx(expected, abs=1e-7)


def test_published_maximum_duration_applies_to_all_sets():
    hparams = build_objects(merged("published+smoke"))
    rows = {name: manifest_rows(LABELS[:1]) for name in ("train", "valid", "test")}
    sets = make_datasets(rows, SimpleNamespace(scale=Scale(1, 7)), hparams)
    assert [(part.durations, part.crop) for part in sets.values()] == [([12.0], "start")] * 3


def test_published_batch_has_four_micro_batches(published):
    item = {"id": "a", "signal": torch.zeros(8), "vad": torch.zeros(3), "target": 0}
    batches = CollateStep(published["micro_batch"])([item] * published["batch_size"])
    assert [len(batch.ids) for batch in batches] == [16, 16, 16, 16]


@pytest.fixture
def all_classes(smoke_corpus, tmp_path):
    """The smoke corpus with all classes in its Development set, and the labels of this set."""
    path = smoke_corpus / "Labels" / "labels_consensus.csv"
    labels = pd.read_csv(path, dtype=str)
    rows = labels.index[labels["Split_Set"] == "Development"]
    labels.loc[rows, "EmoClass"] = [LETTERS[n % len(LETTERS)] for n in range(len(rows))]
    (tmp_path / "Labels").mkdir()
    (tmp_path / "Audios").symlink_to(smoke_corpus / "Audios")
    labels.to_csv(tmp_path / "Labels" / path.name, index=False)
    return tmp_path, labels.loc[rows]


LETTERS = "ASHUFDCNOX"  # O and X: other, no agreement


def test_published_split_and_classes(all_classes, tmp_path):
    folder, development = all_classes
    facts = {"data_folder": folder, "results_folder": tmp_path / "r", "release": "synthetic"}
    summary = prepare_corpus(scalars(merged("published+smoke", **facts)), "MSP-Podcast")
    sets = {name: pd.read_csv(path, dtype=str) for name, path in summary.sets.items()}
    for name in ("train", "valid", "test"):
        assert len(sets[name])
        assert not {"other", "no_agreement"} & set(sets[name]["emotion"]), name
    counts = Counter(sets["valid"]["emotion"])
    assert len(counts) == 8
    assert set(counts.values()) == {1}  # smoke uses 1 utterance per class instead of 300
    remaining = development[~development["EmoClass"].isin(["O", "X"])]["FileName"]
    split = [*sets["valid"]["ID"], *sets["test"]["ID"]]
    assert sorted(split) == sorted(remaining.str.removesuffix(".wav"))


def test_published_setup_runs_on_the_unmodified_smoke_corpus(smoke_corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(HPARAMS.parent)
    found = run_recipe(
        [
            str(FILE), "--preset=published+smoke", "--release=synthetic", "--noprogressbar",
            "--device=cpu", f"--data_folder={smoke_corpus}", f"--results_folder={tmp_path}",
        ],
        corpus="MSP-Podcast",
    )  # fmt: skip
    # The Development set has 13 utterances with annotator agreement, of 5 of the 8 classes.
    assert found["protocol"]["utterances"]["valid"] == 5
    assert found["test"]["utterances"] == 8
    assert found["test"]["auxiliary_head"]["last_trained"]["n"] == 8
    (summary,) = tmp_path.glob("MSP-Podcast/manifests/*/summary.json")
    assert "no utterances of surprise, disgust, contempt" in summary.read_text(encoding="utf-8")


# --- the paper's tables ----------------------------------------------------------------------

CHANGES = {
    "keep_no_agreement": {"drop_train"},
    "attentive_statistics": {"pooling"},
    "no_regions": {"task", "auxiliary_head"},
    "constant_weight": {"weighting"},
    "categorical": {"task"},
    "unweighted": {"region_class_weights"},
    "regions_45": {"region_angle"},
    "regions_60": {"region_angle"},
    "regions_90": set(),
}


@pytest.mark.parametrize("row", CHANGES)
def test_preset_of_a_table_changes_only_the_listed_keys(published, row):
    assert set(differences(merged(f"published+{row}"), published)) == {"preset"} | CHANGES[row]


def built(row, **overrides):
    return build_objects(merged(f"smoke+{row}", **overrides))


def test_table_1_includes_no_agreement_only_in_training():
    tree = merged("published+keep_no_agreement")
    assert list(tree["drop_train"]) == ["other"]
    assert list(tree["drop_valid"]) == list(tree["drop_test"]) == ["no_agreement", "other"]


def test_table_1_attentive_statistics_pooling():
    hparams = built("attentive_statistics")
    assert type(hparams["pooling"]).__name__ == "AttentiveStatsPooling"
    assert hparams["pooling"].output_size == 2 * hparams["encoder"].output_size


def test_table_1_no_auxiliary_loss():
    hparams = built("no_regions")
    assert hparams["task"].size == 0
    assert hparams["auxiliary_head"] is None


def test_table_2_constant_weight_in_last_epoch():
    weighting = built("constant_weight")["weighting"]
    weighting.set_epoch(20)
    assert (weighting.active, weighting.weight) == (True, 1.0)


def test_table_2_categorical_emotion_has_eight_classes():
    task = built("categorical")["task"]
    assert (task.kind, task.size) == ("emotion", 8)
    assert task.target(torch.zeros(3), "neutral") == task.names.index("neutral")
    assert task.target(torch.zeros(3), "no_agreement") == -1


def test_table_2_unweighted_classes():
    task = built("unweighted")["task"]
    task.set_targets(torch.tensor([0, 0, 0, 1]))
    assert task.weights.tolist() == [1.0] * 8


@pytest.mark.parametrize(
    ("row", "size"), [("regions_45", 32), ("regions_60", 18), ("regions_90", 8)]
)
def test_table_3_number_of_regions(row, size):
    hparams = built(row)
    assert hparams["task"].size == len(hparams["task"].regions.names) == size
    assert list(hparams["auxiliary_head"].parameters())[-1].shape == (size,)
    assert hparams["task"].concentration is None


# --- additional presets ----------------------------------------------------------------------


@pytest.mark.parametrize(("row", "size"), [("regions_30", 72), ("regions_180", 2)])
def test_additional_numbers_of_regions(row, size):
    assert built(row)["task"].size == size


def test_soft_regions_are_octants_with_a_concentration():
    task = built("soft_regions")["task"]
    assert (task.size, task.concentration) == (8, 4.0)


def test_keep_floor_weight_after_decay():
    weighting = built("keep_floor")["weighting"]
    weighting.set_epoch(6)
    assert (weighting.active, weighting.weight) == (True, 0.01)


def test_uncertainty_has_separate_learning_rate_and_no_weight_decay():
    brain = make_brain("smoke+uncertainty")
    group = next(g for g in brain.optimizer.param_groups if len(g["params"]) == 1)
    assert group["params"][0] is brain.modules.weighting.log_variances
    assert (group["lr"], group["weight_decay"]) == (brain.hparams.lr_loss_weights, 0.0)


def test_challenge_baseline_settings():
    tree, hparams = merged("challenge_baseline"), built("challenge_baseline")
    assert (tree["batch_size"], tree["micro_batch"], tree["ccc_window"]) == (32, 8, "micro")
    assert hparams["task"].size == 0
    assert type(hparams["pooling"]).__name__ == "AttentiveStatsPooling"
