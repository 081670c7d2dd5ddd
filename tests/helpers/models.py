"""Write finished runs and released models with random weights, without training."""

from pathlib import Path

import torch
from torch import nn

from emosphere_sb.fileio.yaml_tree import dump
from emosphere_sb.lobes import EmotionHead, SSLEncoder, StylePooling, VADHead, WaveformNormaliser
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.hparams import build_objects
from emosphere_sb.release.model import ModelInfo, ReleasedModel, evaluation_mode
from emosphere_sb.release.parts import describe_call
from emosphere_sb.release.write import write_released
from emosphere_sb.scale import Scale
from emosphere_sb.sphere.regions import SphericalRegions
from emosphere_sb.training.checkpoints import Checkpointer
from emosphere_sb.training.trained_weights import TrainedWeights
from tests.helpers.run_folders import random_predictions, write_run

ROOT = Path(__file__).resolve().parents[2]
SET_SIZES = {"train": 60, "valid": 40, "test1": 60, "test3": 5}
WORDS = {"happy": [0.5, 0.25, 0.0], "sad": [-0.5, -0.5, -0.25], "angry": [-0.5, 0.75, 0.5]}


class CustomPooling(StylePooling):
    """A pooling class that is not part of the package."""


class CustomHead(VADHead):
    """A head class that is not part of the package."""


class CustomNormaliser(WaveformNormaliser):
    """A normaliser class that is not part of the package."""


class CustomEncoder(SSLEncoder):
    """An encoder class that is not part of the package."""


def tiny_model(seed=0, *, head=True, **options):
    """Build a model on a small WavLM with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = SSLEncoder("hparams/backbones/wavlm_smoke.json", freeze="all", **options)
        model = ReleasedModel(
            WaveformNormaliser("corpus"), encoder, StylePooling(16, 8), VADHead(8, 8, 0.1),
            EmotionHead(8, 8, 8, 0.1) if head else None,
        )  # fmt: skip
    model.normaliser.set_statistics(0.01, 0.2)
    return evaluation_mode(model)


def tiny_about(*, head=True, **changes):
    """Return metadata of :func:`tiny_model`; ``changes`` are fields of :class:`ModelInfo`."""
    names = SphericalRegions(90).names
    facts = {
        "name": "tiny", "scale": Scale(1, 7), "max_seconds": 2.0, "words": WORDS,
        "head": "region" if head else "none", "classes": tuple(names) if head else (),
        "licence": "None.", "synthetic": True,
    }  # fmt: skip
    return ModelInfo(**(facts | changes))


def write_tiny_model(folder, seed=0, *, head=True, layers="last", **about):
    """Write :func:`tiny_model` as a released folder, and return it."""
    folder.mkdir(parents=True)
    model = tiny_model(seed, head=head, layers=layers)
    described = {
        "normaliser": {"mode": "corpus"},
        "encoder": {"layers": layers},
        "pooling": describe_call("StylePooling", 16, 8),
        "vad_head": describe_call("VADHead", 8, 8, 0.1),
        "class_head": describe_call("EmotionHead", 8, 8, 8, 0.1) if head else None,
    }
    write_released(folder, model, tiny_about(head=head, **about), described, "# tiny\n")
    return model


def untrained_run(folder, *words, change=None, epochs=(1,), protocol=None, yaml=None):
    """Write the folder of a finished run with random weights, without training.

    Arguments
    ---------
    folder : Path
        Folder to write. It must not exist yet.
    *words : str
        Presets and options of the recipe, in addition to the smoke preset.
    change : callable, optional
        Function that is called with the built hyperparameters and the epoch before each
        checkpoint.
    epochs : sequence of int
        Epochs of the checkpoints; the first one has the best score.
    protocol : mapping, optional
        Overrides of the protocol in metrics.json.
    yaml : callable, optional
        Function that modifies the text of hyperparams.yaml.

    Returns
    -------
    dict
        The built hyperparameters, with the weights of the last epoch.
    """
    rows = "+".join(["smoke", *(word for word in words if not word.startswith("--"))])
    options = [word for word in words if word.startswith("--")]
    command = [str(ROOT / "hparams/emosphere.yaml"), f"--preset={rows}", *options]
    tree = read_command(command, corpus="MSP-Podcast").tree
    text = dump(tree) if yaml is None else yaml(dump(tree))
    facts = {
        "synthetic": True, "release": "synthetic", "preset": rows, "utterances": SET_SIZES,
        "backbone": tree["backbone"], "best_epoch": epochs[0], "emotions": {},
        "partition": "official", "seed": 7, "normalisation": "corpus", **(protocol or {}),
    }  # fmt: skip
    write_run(
        folder, {"valid": random_predictions(40), "test1": random_predictions()}, yaml=text, **facts
    )
    built = build_objects(tree)
    modules = {name: part for name, part in built["modules"].items() if part is not None}
    weights = TrainedWeights(nn.ModuleDict(modules), built["backbone"])
    saver = Checkpointer(str(folder / "save"), recoverables={"model": weights})
    built["normaliser"].set_statistics(0.01, 0.1)
    for number, epoch in enumerate(epochs):
        if change is not None:
            change(built, epoch)
        saver.save_checkpoint({"epoch": epoch, "mean_ccc": 0.5 - 0.1 * number, "head": {}})
    return built


@torch.inference_mode()
def reference(built, signals, lengths, *, head=True):
    """Compute VAD, embedding and class scores component by component."""
    for part in built["modules"].values():
        if part is not None:
            part.eval()
    frames, valid = built["encoder"](built["normaliser"](signals, lengths), lengths)
    embedding = built["pooling"](frames, valid)
    scores = built["auxiliary_head"](embedding) if head else None
    return built["vad_head"](embedding), embedding, scores
