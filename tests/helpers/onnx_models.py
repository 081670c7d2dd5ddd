"""Small released models of several families that are fast to export."""

import json

import torch

from emosphere_sb import lobes
from emosphere_sb.release.model import ReleasedModel, evaluation_mode
from emosphere_sb.release.parts import describe_call
from emosphere_sb.release.write import write_released
from tests.helpers.models import tiny_about

# Only three convolutions, because each makes the expression for the number of frames longer and the
# export slower.
SHORT = {"conv_dim": [16] * 3, "conv_kernel": [10, 8, 4], "conv_stride": [5, 4, 4]}
FIELD = 10 + 7 * 5 + 3 * 20
"""Receptive field of their first frame, in samples."""


def short_settings(waveform_settings, family, norm="layer", **changes):
    """Return the configuration of a model with three convolutions and layer or group norm."""
    stable = {"feat_extract_norm": norm, "do_stable_layer_norm": norm == "layer"}
    return waveform_settings(family, **SHORT, **stable, **changes)


def random_model(
    settings, path, *, pooling="StylePooling", layers="last", mode="corpus", head=True, seed=0,
    layer_normalisation="none", standardise_labels=False,
):  # fmt: skip
    """Build a model with random weights, and the description of its parts for a released folder."""
    path.write_text(json.dumps(settings))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = lobes.SSLEncoder(
            str(path), freeze="all", spec_augment=False, layers=layers,
            layer_normalisation=layer_normalisation,
        )  # fmt: skip
        arguments = [encoder.output_size, *([16] if pooling == "StylePooling" else [])]
        pooled = getattr(lobes, pooling)(*arguments)
        size = pooled.output_size
        model = ReleasedModel(
            lobes.WaveformNormaliser(mode), encoder, pooled,
            lobes.VADHead(size, 24, standardise_labels=standardise_labels),
            lobes.EmotionHead(size, 8, 24) if head else None,
        )  # fmt: skip
        for parameter in model.parameters():  # norms and biases are not 1 and 0 in trained models
            parameter.data.add_(0.05 * torch.randn_like(parameter))
    if mode == "corpus":
        model.normaliser.set_statistics(0.01, 0.2)
    if layer_normalisation == "standardise":
        shape = (encoder.states.count, 32)
        mean, sd = torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed))
        encoder.states.normalisation.set_statistics(mean, sd + 0.5)
    if standardise_labels:
        model.vad_head.set_label_statistics(
            torch.tensor([0.1, -0.2, 0.3]), torch.tensor([0.5, 0.25, 2.0])
        )
    described = {
        "normaliser": {"mode": mode},
        "encoder": {"layers": layers, "layer_normalisation": layer_normalisation},
        "pooling": describe_call(pooling, *arguments),
        "vad_head": describe_call("VADHead", size, 24, standardise_labels=standardise_labels),
        "class_head": describe_call("EmotionHead", size, 8, 24) if head else None,
    }
    return evaluation_mode(model), described


def write_model(folder, settings, *, head=True, **options):
    """Write :func:`random_model` as a released folder, and return the model."""
    folder.mkdir(parents=True)
    path = folder.with_suffix(".json")
    model, described = random_model(settings, path, head=head, **options)
    write_released(folder, model, tiny_about(head=head), described, "# A card\n")
    return model
