"""The prediction for an utterance depends neither on padding nor on the rest of its batch.

Weights, lengths and signals come from a seed: fixed ones in ``make test``, new ones in
``make test-slow``. A failure names its seed; add it to ``SEEDS`` to repeat it.
"""

import secrets

import pytest
import torch
from transformers import AutoConfig, AutoModel

from emosphere_sb.lobes import (
    AttentiveStatsPooling,
    MeanPooling,
    SSLEncoder,
    StylePooling,
    VADHead,
    WaveformNormaliser,
)

TOLERANCE = 1e-5
SEEDS = (1, 2)
NEW_SEEDS = 5
POOLINGS = {
    "style": lambda size: StylePooling(size, 64),
    "style_d_head": lambda size: StylePooling(size, 32, 4, 7, 0.1, "d_head"),
    "mean": MeanPooling,
    "attentive": AttentiveStatsPooling,
}
GROUP = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
LAYER_NORM = ("wavlm", "wav2vec2", "hubert", "unispeech", "unispeech-sat")
# Without masks, padding would have an effect through group norm and stacked convolutions.
MASKED = [
    *((family, {}) for family in (*LAYER_NORM, "data2vec-audio", "wav2vec2-conformer")),
    *((family, GROUP) for family in LAYER_NORM),
    ("wav2vec2-conformer", {"position_embeddings_type": "rotary"}),
]
# Families that run equal lengths together, because masks do not fully exclude padding.
EQUAL_LENGTHS = {"sew": {}, "sew-d": {}, "hubert": {"conv_pos_batch_norm": True}}


@pytest.fixture(params=[
    *SEEDS, *(pytest.param(f"new{n}", marks=pytest.mark.slow) for n in range(NEW_SEEDS))
])  # fmt: skip
def seed(request):
    """Fixed seed, or a random one in slow tests."""
    return request.param if request.param in SEEDS else secrets.randbelow(2**32)


class Chain(torch.nn.Module):
    """Map from waveforms to VAD, composed as in the Brain."""

    def __init__(self, backbone, pooling, mode="corpus", **options):
        super().__init__()
        self.normaliser = WaveformNormaliser(mode)
        self.normaliser.set_statistics(0.003, 0.08)
        self.encoder = SSLEncoder(backbone, **options)
        if self.encoder.states.normalisation.needs_statistics:
            shape = (self.encoder.states.count, self.encoder.backbone.output_size)
            mean, sd = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1))
            self.encoder.states.normalisation.set_statistics(mean, sd + 0.5)
        self.pooling = POOLINGS[pooling](self.encoder.output_size)
        self.head = VADHead(self.pooling.output_size, 64)

    @torch.no_grad()
    def forward(self, signals, lengths):
        signals = self.normaliser(signals, lengths)
        return self.head(self.pooling(*self.encoder(signals, lengths)))


def draw_utterances(chance, count, shortest):
    """Draw coloured noise of various levels and lengths, including the minimum length."""
    lengths = torch.randint(shortest, 14000, (count - 1,), generator=chance).tolist()
    signals = []
    for length in [*lengths, shortest]:
        noise = torch.randn(length, generator=chance)
        loudness = 10 ** (-2.5 * torch.rand(1, generator=chance))
        signals.append(loudness * (noise + 0.8 * noise.roll(1)) / 2)
    return signals


def pad(signals, extra=0, filler=0.0):
    """Pad signals with ``filler``, ``extra`` samples longer than the longest."""
    lengths = [len(signal) for signal in signals]
    batch = torch.full((len(signals), max(lengths) + extra), filler)
    for row, signal in enumerate(signals):
        batch[row, : len(signal)] = signal
    return batch, torch.tensor(lengths)


def check(model, shortest, seed):
    """Compare each utterance alone with a padded one and with batches in two orders."""
    chance = torch.Generator().manual_seed(seed)
    signals = draw_utterances(chance, 5, shortest)
    order = torch.randperm(len(signals), generator=chance).tolist()[:4]
    batches = {
        "all": (range(len(signals)), pad(signals)),
        "others": (order, pad([signals[i] for i in order], extra=int(1 + seed % 5000))),
        "garbage": (range(len(signals)), pad(signals, 700, filler=float("nan"))),
    }
    alone = [model(*pad([signal])) for signal in signals]
    for row, signal in enumerate(signals):
        padded = model(*pad([signal], extra=int(1 + seed % 4000)))
        compare(alone[row][0], padded[0], f"utterance {row}, padded", seed)
    for name, (rows, batch) in batches.items():
        found = model(*batch)
        for place, row in enumerate(rows):
            compare(alone[row][0], found[place], f"utterance {row}, batch {name!r}", seed)


def compare(alone, found, where, seed):
    size = min(len(alone), len(found))
    assert len(found) >= len(alone)
    difference = float((alone - found[:size]).abs().max())
    # "not below" rather than "above": NaN must fail.
    assert difference < TOLERANCE, f"{where}: differs by {difference:.2e} (seed {seed})"


def make_chain(seed, *arguments, **options):
    torch.manual_seed(seed)
    return Chain(*arguments, **options).eval()


@pytest.mark.parametrize("mode", ["corpus", "utterance", "none"])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("backbone", ["wavlm_smoke.json", "standard"])
def test_wavlm_prediction_does_not_depend_on_batch(configuration, backbone, pooling, mode, seed):
    backbone = configuration(num_hidden_layers=3) if backbone == "standard" else backbone
    chain = make_chain(seed, backbone, pooling, mode)
    check(chain, chain.encoder.receptive_field, seed)


@pytest.mark.parametrize("normalisation", ["standardise", "layer_norm"])
@pytest.mark.parametrize("pooling", ["style", "mean", "attentive"])
@pytest.mark.parametrize("layers", ["last", "1", "weighted", "concat", [0, 2]])
def test_normalised_layers_do_not_depend_on_batch(
    configuration, layers, pooling, normalisation, seed
):
    chain = make_chain(
        seed, configuration(), pooling, layers=layers, layer_normalisation=normalisation
    )
    check(chain, 400, seed)


@pytest.mark.parametrize(("family", "changes"), MASKED)
def test_masked_families_do_not_depend_on_batch(configuration, family, changes, seed):
    chain = make_chain(seed, configuration(family, **changes), "style")
    assert not chain.encoder.equal_lengths_only
    check(chain, 400, seed)


@pytest.mark.parametrize(("family", "changes"), MASKED)
@torch.no_grad()
def test_any_batch_matches_transformers_without_padding(
    family, changes, waveform_settings, tmp_path, seed
):
    """In float64, to exclude rounding, and with the wide positional kernel of real models."""
    wide = {"num_conv_pos_embeddings": 3 if family == "data2vec-audio" else 128}  # data2vec: layers
    torch.manual_seed(seed)
    stock = AutoModel.from_config(
        AutoConfig.for_model(**waveform_settings(family, **wide, **changes))
    )
    stock.save_pretrained(tmp_path)
    stock = stock.double().eval()
    encoder = SSLEncoder(str(tmp_path)).eval()
    signals = draw_utterances(torch.Generator().manual_seed(seed), 5, 400)
    frames, lengths = encoder(*pad(signals))
    for row, signal in enumerate(signals):
        alone = stock(signal.double().unsqueeze(0)).last_hidden_state[0]
        assert len(alone) == int(lengths[row])
        compare(alone, frames[row], f"{family} {changes}, {len(signal)} samples", seed)


@pytest.mark.parametrize("family", EQUAL_LENGTHS)
def test_equal_length_families_do_not_depend_on_batch(configuration, family, seed):
    chain = make_chain(seed, configuration(family, **EQUAL_LENGTHS[family]), "style")
    assert chain.encoder.equal_lengths_only
    check(chain, chain.encoder.receptive_field, seed)


def test_adapter_prediction_does_not_depend_on_batch(configuration, seed):
    chain = make_chain(seed, configuration("wav2vec2", add_adapter=True), "style")
    check(chain, 6000, seed)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_does_not_depend_on_padding(pooling, seed):
    """With random frames in padding: pooling must not rely on zeros."""
    chance = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = POOLINGS[pooling](12).eval()
    lengths = torch.cat([torch.randint(1, 60, (5,), generator=chance), torch.tensor([1])])
    frames = torch.randn(6, int(lengths.max()) + 7, 12, generator=chance)
    with torch.no_grad():
        together = model(100 * frames.masked_fill(frame_is_valid(lengths, frames), 0.0)
                         + frames, lengths)  # fmt: skip
        for row, length in enumerate(lengths.tolist()):
            alone = model(frames[row : row + 1, :length], lengths[row : row + 1])
            compare(alone[0], together[row], f"utterance {row}", seed)


def frame_is_valid(lengths, frames):
    return (torch.arange(frames.shape[1]) < lengths.unsqueeze(1)).unsqueeze(-1)


def test_invariance_check_detects_a_leak(configuration, seed):
    """Without the mask, the same check fails."""
    chain = make_chain(seed, configuration("data2vec-audio"), "style")
    chain.encoder.backbone._silence_padding = None
    for layer in chain.encoder.model.encoder.pos_conv_embed.layers:
        layer._forward_pre_hooks.clear()
    with pytest.raises(AssertionError, match=f"seed {seed}"):
        check(chain, 400, seed)
