"""Release of finished runs with different models, and rejected runs."""

import json
import os
import random
import re
import shutil
import stat

import numpy as np
import pytest
import torch

from emosphere_sb.lobes.tasks import EMOTIONS
from emosphere_sb.release.load import load_released
from emosphere_sb.release.release import release
from tests.helpers.models import reference, untrained_run
from tests.helpers.run_folders import change_metrics


@pytest.fixture(scope="module")
def signals():
    lengths = torch.tensor([16000, 7000])
    found = torch.randn(2, 16000, generator=torch.Generator().manual_seed(3)) * 0.1
    found[1, 7000:] = 0.0
    return found, lengths


def assert_same(built, folder, signals, *, head=True, tolerance=1e-6):
    """Check that the released model and the components of the recipe have the same output."""
    model, about = load_released(folder)
    with torch.inference_mode():
        found = model(*signals)
    vad, embedding, scores = reference(built, *signals, head=head)
    torch.testing.assert_close(found.vad, vad, atol=tolerance, rtol=0)
    torch.testing.assert_close(found.embedding, embedding, atol=tolerance, rtol=1e-5)
    assert (found.logits is not None) == head == (about.head != "none")
    if head:
        torch.testing.assert_close(found.logits, scores, atol=tolerance, rtol=1e-5)
    return about


VARIANTS = {
    "style pooling": ([], True),
    "attentive statistics": (["attentive_statistics"], True),
    "mean pooling": (["mean_pooling"], True),
    "emotion classes": (["categorical"], True),
    "finer regions": (["regions_45"], True),
    "no task": (["no_regions"], False),
    "learned weights of losses": (["uncertainty"], True),
    "the first layer's input": (["--layers=0"], True),
    "concatenated layers": (["--layers=concat"], True),
    "list of layers in another order": (["--layers=[1, 0]"], True),
    "normalised frames": (["--layers=weighted", "--layer_normalisation=layer_norm"], True),
    "normalised by utterance": (["--normalisation=utterance"], True),
    "frozen convolutions": (["--freeze=feature_encoder"], True),
    "whole utterances": (["--max_seconds=null"], True),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_released_model_has_the_same_output_as_the_run(name, tmp_path, signals):
    words, head = VARIANTS[name]
    built = untrained_run(tmp_path / "run", *words)
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    about = assert_same(built, tmp_path / "out", signals, head=head)
    assert about.max_seconds == (None if "--max_seconds=null" in words else 12.0)
    assert about.region_step == (45 if "regions_45" in words else 90)
    if "categorical" in words:
        assert about.head == "emotion" and about.classes[:2] == ("angry", "sad")


def test_head_that_is_no_longer_trained_is_not_released(tmp_path, signals):
    def past_the_decay(built, epoch):
        built["weighting"].set_epoch(epoch)

    built = untrained_run(tmp_path / "run", epochs=(6,), change=past_the_decay)
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    about = assert_same(built, tmp_path / "out", signals, head=False)
    assert about.classes == ()
    assert "has no class head" in (tmp_path / "out" / "README.md").read_text()


LAST_TRAINED = {"auxiliary_head": {"epoch": 5, "accuracy": 0.5}}


def past_the_decay(built, epoch):
    built["weighting"].set_epoch(epoch)


def test_emotion_head_that_is_no_longer_trained_is_released_with_a_warning(
    tmp_path, signals, caplog
):
    built = untrained_run(
        tmp_path / "run", "categorical", epochs=(6,), change=past_the_decay, protocol=LAST_TRAINED
    )
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    about = assert_same(built, tmp_path / "out", signals)
    assert (about.head, about.classes) == ("emotion", EMOTIONS)
    assert "The emotion head was last trained in epoch 5" in caplog.text
    card = " ".join((tmp_path / "out" / "README.md").read_text().split())
    assert "last trained in epoch 5, before the last tested epoch 6, so its" in card


def test_emotion_head_that_was_never_trained_is_not_released(tmp_path, signals):
    built = untrained_run(
        tmp_path / "run", "categorical", epochs=(6,), change=past_the_decay,
        protocol={"auxiliary_head": {}},
    )  # fmt: skip
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    assert assert_same(built, tmp_path / "out", signals, head=False).classes == ()


def test_learned_sum_of_layers(tmp_path, signals):
    def learn(built, epoch):
        with torch.no_grad():
            built["encoder"].states.weights.copy_(torch.tensor([2.0, -1.0]))

    built = untrained_run(tmp_path / "run", "--layers=weighted", change=learn)
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    assert_same(built, tmp_path / "out", signals)


def test_statistics_of_layers_and_labels_are_released(tmp_path, signals):
    def learn(built, epoch):
        states = built["encoder"].states
        chance = torch.Generator().manual_seed(1)
        mean, sd = torch.rand(2, states.count, 16, generator=chance)
        states.normalisation.set_statistics(mean, sd + 0.5)
        built["vad_head"].set_label_statistics(
            torch.tensor([0.1, -0.2, 0.3]), torch.tensor([0.5, 0.25, 2.0])
        )

    words = ["--layers=[0, 1]", "--layer_normalisation=standardise", "--standardise_labels=True"]
    built = untrained_run(tmp_path / "run", *words, change=learn)
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    assert_same(built, tmp_path / "out", signals)
    parts = json.loads((tmp_path / "out" / "emosphere.json").read_text())["parts"]
    assert parts["encoder"] == {"layers": [0, 1], "layer_normalisation": "standardise"}
    assert parts["vad_head"]["arguments"]["standardise_labels"] is True


def test_adapters_are_merged(tmp_path, signals):
    pytest.importorskip("peft")

    def learn(built, epoch):
        with torch.no_grad():
            for name, value in built["encoder"].named_parameters():
                if "lora_B" in name:  # zero before training
                    value.copy_(
                        torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
                    )

    built = untrained_run(tmp_path / "run", "--lora_rank=2", change=learn)
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    assert_same(built, tmp_path / "out", signals, tolerance=1e-5)
    model, _ = load_released(tmp_path / "out")
    assert not [name for name in model.state_dict() if "lora" in name]


def test_mean_of_checkpoints_is_released(tmp_path, signals):
    kept = {}

    def move(built, epoch):
        with torch.no_grad():
            weight = built["vad_head"].layers[1].weight
            weight.fill_(float(epoch))
            kept[epoch] = weight.clone()

    built = untrained_run(
        tmp_path / "run", "--average_checkpoints=2", epochs=(1, 2, 4), change=move,
        protocol={"averaged_epochs": [2, 4]},
    )  # fmt: skip
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    with torch.no_grad():
        built["vad_head"].layers[1].weight.copy_((kept[2] + kept[4]) / 2)
    assert_same(built, tmp_path / "out", signals)


@pytest.mark.parametrize(
    ("words", "epochs", "released"),
    [(["--test_weights=best"], (2, 5), 2), (["--test_weights=last"], (2, 5), 5)],
)
def test_tested_weights_are_released(words, epochs, released, tmp_path, signals):
    def move(built, epoch):
        with torch.no_grad():
            built["vad_head"].layers[1].weight.fill_(float(epoch))

    key = {"best": "best_epoch", "last": "averaged_epochs"}[words[0].partition("=")[2]]
    protocol = {key: [released] if key == "averaged_epochs" else released}
    built = untrained_run(tmp_path / "run", *words, epochs=epochs, change=move, protocol=protocol)
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    move(built, released)
    assert_same(built, tmp_path / "out", signals)


@pytest.mark.parametrize("freeze", ["all", "feature_encoder"])
@pytest.mark.parametrize("family", ["wavlm", "hubert", "wav2vec2", "data2vec-audio"])
def test_released_model_includes_the_backbone(family, freeze, tmp_path, signals, save_any):
    """Frozen weights are not part of checkpoints, but of the released model."""
    backbone = shutil.copytree(save_any(family), tmp_path / "backbone")
    built = untrained_run(tmp_path / "run", f"--backbone={backbone}", f"--freeze={freeze}")
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    shutil.rmtree(backbone)
    about = assert_same(built, tmp_path / "out", signals, tolerance=1e-5)
    assert "derived from backbone, whose licence also applies" in about.licence
    for path in (tmp_path / "out").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("family", "setting", "value"),
    [("whisper", "n_fft", 512), ("wav2vec2-bert", "padding_value", 0.5)],
)
def test_log_mel_settings_are_included(family, setting, value, tmp_path, signals, save_any):
    backbone = shutil.copytree(save_any(family), tmp_path / "backbone")
    path = backbone / "preprocessor_config.json"
    facts = json.loads(path.read_text())
    assert facts[setting] != value
    path.write_text(json.dumps(facts | {setting: value}))
    words = [f"--backbone={backbone}", "--normalisation=none"]
    built = untrained_run(tmp_path / "run", *words)
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    shutil.rmtree(backbone)
    assert_same(built, tmp_path / "out", signals, tolerance=1e-5)
    kept = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())
    assert kept[setting] == value


def test_files_have_default_permissions(tmp_path):
    untrained_run(tmp_path / "run")
    before = os.umask(0o027)
    try:
        release(tmp_path / "run", tmp_path / "out", resamples=999)
    finally:
        os.umask(before)
    rights = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
    assert rights == {0o640}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md", "backbone.json", "checksums.json", "emosphere.json", "model.safetensors",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]


POOLING = {
    "as the preset has it": None,
    "by position": " [!ref <encoder.output_size>, 16, 2, 5, 0.1, d_model]",
    "by name": "\n    heads: 2\n    width: 16\n    input_size: !ref <encoder.output_size>",
}


@pytest.mark.parametrize("form", POOLING)
def test_description_names_every_argument(form, tmp_path, signals):
    def rewrite(text):
        if POOLING[form] is None:
            return text
        part = re.compile(r"^pooling:.*\n(?:[ -].*\n)*", re.MULTILINE)
        assert len(part.findall(text)) == 1
        return part.sub(f"pooling: !new:emosphere_sb.lobes.StylePooling{POOLING[form]}\n", text)

    built = untrained_run(tmp_path / "run", yaml=rewrite)
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    assert_same(built, tmp_path / "out", signals)
    facts = json.loads((tmp_path / "out" / "emosphere.json").read_text())
    assert facts["format"] == 2 and facts["requires"] == "emosphere-sb>=0.2.0"
    pooling = {
        "input_size": 16, "width": 16, "heads": 2, "kernel_size": 5, "dropout": 0.1,
        "attention_scale": "d_model",
    }  # fmt: skip
    vad_head = {
        "input_size": 16, "hidden_size": 16, "dropout": 0.5, "standardise_labels": False,
    }  # fmt: skip
    class_head = {"input_size": 16, "output_size": 8, "hidden_size": 16, "dropout": 0.5}
    assert facts["parts"] == {
        "normaliser": {"mode": "corpus"},
        "encoder": {"layers": "last", "layer_normalisation": "none"},
        "pooling": {"class": "StylePooling", "arguments": pooling},
        "vad_head": {"class": "VADHead", "arguments": vad_head},
        "class_head": {"class": "EmotionHead", "arguments": class_head},
    }


def test_random_states_are_restored(tmp_path):
    untrained_run(tmp_path / "run")
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    release(tmp_path / "run", tmp_path / "out", resamples=999)
    load_released(tmp_path / "out")
    assert (torch.rand(1), np.random.rand(), random.random()) == expected


def test_default_name_consists_of_corpus_and_preset(tmp_path):
    untrained_run(tmp_path / "run", "mean_pooling")
    _, about = load_released(release(tmp_path / "run", tmp_path / "out", resamples=999))
    assert about.name == "MSP-Podcast synthetic smoke+mean_pooling"
    again = release(tmp_path / "run", tmp_path / "b", name="Mine *1*", resamples=999)
    assert load_released(again)[1].name == "Mine *1*"
    assert "# Mine \\*1\\*" in (again / "README.md").read_text()
    for name in ("", " ", "two\nlines"):
        with pytest.raises(ValueError, match="one line of text"):
            release(tmp_path / "run", tmp_path / "c", name=name)


def test_words_are_emotions_of_enough_utterances(tmp_path):
    emotions = {
        "angry": {"vad": [-0.25, 0.5, 0.25], "utterances": 10},
        "fear": {"vad": [-0.5, 0.5, -0.25], "utterances": 9},
        "other": {"vad": [0.0, 0.0, 0.0], "utterances": 900},
        "no_agreement": {"vad": [0.0, 0.0, 0.0], "utterances": 900},
    }
    untrained_run(tmp_path / "run", protocol={"emotions": emotions})
    _, about = load_released(release(tmp_path / "run", tmp_path / "out", resamples=999))
    assert about.words == {"angry": [-0.25, 0.5, 0.25]}


# --- rejected runs ------------------------------------------------------------------------------


def check_rejected(run, out, match):
    with pytest.raises(ValueError, match=match):
        release(run, out, resamples=999)
    assert not out.exists()
    assert not list(out.parent.glob(".*.partial"))


@pytest.mark.parametrize("name", ["metrics.json", "hyperparams.yaml", "save"])
def test_unfinished_run(name, tmp_path):
    untrained_run(tmp_path / "run")
    path = tmp_path / "run" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    check_rejected(tmp_path / "run", tmp_path / "out", f"finished run, .*; {name} is missing")
    assert not path.exists()


def test_run_of_version_0_1_names_the_version_that_can_release_it(tmp_path):
    untrained_run(tmp_path / "run", protocol={"row": "smoke"})
    check_rejected(
        tmp_path / "run", tmp_path / "out", r"run created by version 0\.1\.0\. Release it with that"
    )


@pytest.mark.parametrize("found", ["nothing", "a file", "other files"])
def test_folder_without_a_run(found, tmp_path):
    folder = tmp_path / "folder"
    if found == "a file":
        folder.write_text("hello")
    elif found == "other files":
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    check_rejected(folder, tmp_path / "out", "must be the folder of a finished run")


def test_metrics_of_another_run(tmp_path):
    untrained_run(tmp_path / "run")
    (tmp_path / "run" / "metrics.json").write_text('{"a": 1}')
    check_rejected(tmp_path / "run", tmp_path / "out", "must have the keys protocol, run, beside")
    (tmp_path / "run" / "metrics.json").write_text("{")
    check_rejected(tmp_path / "run", tmp_path / "out", "is not valid JSON")


def test_predictions_that_were_edited(tmp_path):
    untrained_run(tmp_path / "run")
    path = tmp_path / "run" / "predictions" / "test1.csv"
    path.write_text(path.read_text().replace("u001", "u901"))
    check_rejected(tmp_path / "run", tmp_path / "out", "test1.csv was modified after the run")


def test_older_run(tmp_path):
    untrained_run(tmp_path / "run")
    change_metrics(tmp_path / "run", lambda metrics: metrics["protocol"].pop("scale"))
    check_rejected(
        tmp_path / "run",
        tmp_path / "out",
        "has no scale, because it was written by an older version",
    )


def test_debug_run(tmp_path):
    untrained_run(tmp_path / "run", protocol={"preset": "smoke+debug"})
    check_rejected(tmp_path / "run", tmp_path / "out", "--debug")


def test_run_that_was_continued_after_its_tests(tmp_path):
    untrained_run(tmp_path / "run", epochs=(3,), protocol={"best_epoch": 2})
    check_rejected(tmp_path / "run", tmp_path / "out", "reports epoch 2, .* from epoch 3")


def test_damaged_checkpoint(tmp_path):
    untrained_run(tmp_path / "run")
    (path,) = (tmp_path / "run" / "save").glob("CKPT*/model.ckpt")
    path.write_bytes(path.read_bytes()[:-1])
    check_rejected(tmp_path / "run", tmp_path / "out", "No valid checkpoint")


def test_missing_backbone(tmp_path, save_any):
    backbone = shutil.copytree(save_any("wavlm"), tmp_path / "backbone")
    untrained_run(tmp_path / "run", f"--backbone={backbone}")
    shutil.rmtree(backbone)
    check_rejected(tmp_path / "run", tmp_path / "out", "could not be loaded")


CUSTOM = {
    "pooling": ("!new:emosphere_sb.lobes.StylePooling", "!new:tests.helpers.models.CustomPooling"),
    "vad_head": ("!new:emosphere_sb.lobes.VADHead", "!new:tests.helpers.models.CustomHead"),
    "normaliser": (
        "!new:emosphere_sb.lobes.WaveformNormaliser", "!new:tests.helpers.models.CustomNormaliser",
    ),
    "encoder": ("!new:emosphere_sb.lobes.SSLEncoder", "!new:tests.helpers.models.CustomEncoder"),
}  # fmt: skip


@pytest.mark.parametrize("part", CUSTOM)
def test_custom_part(part, tmp_path):
    untrained_run(tmp_path / "run", yaml=lambda text: text.replace(*CUSTOM[part]))
    assert CUSTOM[part][1] in (tmp_path / "run" / "hyperparams.yaml").read_text()
    check_rejected(tmp_path / "run", tmp_path / "out", f"{part} .*must be .*[Ss]hare ")


def test_output_folder_that_is_not_empty(tmp_path):
    untrained_run(tmp_path / "run")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="must be a new or empty folder"):
        release(tmp_path / "run", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
