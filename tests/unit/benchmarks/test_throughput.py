"""The throughput benchmark compares one model with itself, and says what it found."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))

import throughput
import workload
from ours import Ours
from plain import BATCH, PlainPipeline

STILL = {
    "hidden_dropout": 0.0, "activation_dropout": 0.0, "attention_dropout": 0.0,
    "feat_proj_dropout": 0.0, "apply_spec_augment": False,
}  # fmt: skip
TINY = workload.SIZES["tiny"]


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """The tiny size without anything random, its weights, and a folder that holds them."""
    size = replace(TINY, config={**TINY.config, **STILL}, pooling_dropout=0.0, head_dropout=0.0)
    folder = tmp_path_factory.mktemp("weights")
    workload.save_weights(size, folder)
    return size, folder


def both(still, rows, evaluated):
    """Both sides on the same rows and weights."""
    size, folder = still
    known = {"device": "cpu", "scale": workload.SCALE}
    sides = PlainPipeline(workload.load_plain(size, folder), **known), Ours(size, folder, **known)
    for pipeline in sides:
        pipeline.load(rows, evaluated)
    return sides


@pytest.mark.parametrize("count", [80, 640, 20_000])
def test_durations_are_those_of_msp_podcast(count):
    seconds = workload.durations(count)
    assert len(seconds) == count
    assert seconds.mean() == pytest.approx(5.7, abs=0.02)
    assert seconds.min() >= 2.75 and seconds.max() <= 11.9
    assert seconds[: count // 2].mean() == pytest.approx(5.7, abs=0.6)  # in random order


def test_durations_fill_the_range():
    seconds = workload.durations(20_000)
    assert seconds.min() < 2.85 and seconds.max() > 11.3


def test_too_few_utterances_are_refused():
    with pytest.raises(ValueError, match="more utterances"):
        workload.durations(1)


def test_both_sides_predict_the_same(still, tmp_path):
    rows = workload.write_corpus(tmp_path / "audio", [0.61, 0.9, 0.4])
    plain, ours = both(still, rows, evaluated=2)
    found, expected = ours.evaluate(), plain.evaluate()
    assert found.keys() == expected.keys() == {"u00000", "u00001"}
    for name in found:
        assert found[name] == pytest.approx(expected[name], abs=1e-5)


def test_both_sides_begin_with_the_same_loss(still, tmp_path):
    rows = workload.write_corpus(tmp_path / "audio", [0.5] * BATCH)
    sides = both(still, rows, evaluated=1)
    (names, losses), (others, expected) = (pipeline.train(1) for pipeline in sides)
    assert sorted(names) == sorted(others) == sorted(rows)
    assert losses == pytest.approx(expected, rel=1e-5)


def test_both_sides_make_steps(still, tmp_path):
    rows = workload.write_corpus(tmp_path / "audio", [0.5] * 4)
    for pipeline in both(still, rows, evaluated=4):
        before = pipeline.evaluate()
        pipeline.warm(2)
        assert pipeline.evaluate() != before


def test_plain_leaves_the_convolutions_frozen(still, tmp_path):
    rows = workload.write_corpus(tmp_path / "audio", [0.5] * 4)
    plain, _ = both(still, rows, evaluated=4)
    plain.warm(4)
    frozen = list(plain.model.ssl.feature_extractor.parameters())
    assert frozen and all(parameter.grad is None for parameter in frozen)


def test_counted_operations_are_pytorch_s(still):
    size, folder = still
    model, samples = workload.load_plain(size, folder).eval(), 20_000
    # Its counter does not know the fused attention of a CPU.
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(torch.randn(1, samples), torch.tensor([samples]))
    counted = workload.useful_flops(size, [samples / 16000])["eval"]
    assert counted == pytest.approx(counter.get_total_flops(), rel=1e-6)


def figures(matrix_peak=None) -> dict:
    """Hand-made: ours trains 2, 3 and 4 times as fast, and evaluates 1.5 times as fast."""

    def part(seconds):
        return {"seconds": seconds, "durations": [4.0, 8.0]}

    pairs = [
        {
            "plain": {"train": part(12.0), "eval": part(3.0)},
            "ours": {"train": part(12.0 / ratio), "eval": part(2.0)},
        }
        for ratio in (2, 4, 3)
    ]
    device = None if matrix_peak is None else 1000.0
    return {
        "pairs": pairs, "size": "tiny", "batch": 16, "utterances": 48, "evaluated": 2,
        "difference": 1e-6, "machine": "a machine", "threads": 2, "matrix_peak": matrix_peak,
        "peaks": {name: {"host": 2000.0, "device": device} for name in throughput.SIDES},
        "growth": {"plain": [300.0, 600.0], "ours": [300.0, 303.0]},
    }  # fmt: skip


def test_the_last_two_lines_are_the_ratios():
    assert throughput.last_lines(figures()).splitlines() == ["train ratio 3.00", "eval ratio 1.50"]


def test_the_table_has_medians_and_ranges():
    text = throughput.report(figures(), "make bench")
    assert "| training, audio seconds per second | 1.00 | 3.00 | 3.00 (2.00 to 4.00) |" in text
    assert "| evaluation, audio seconds per second | 4.00 | 6.00 | 1.50 (1.50 to 1.50) |" in text
    assert "| host memory, 2,000 utterances of 2 s, MiB | 600 | 303 | 0.51 |" in text
    assert "Made by `make bench`" in text


def test_the_table_says_where_no_gpu_was():
    lines = throughput.report(figures(), "make bench").splitlines()
    without = [line for line in lines if line.count(throughput.NO_GPU) == 3]
    assert len(without) == 3
    assert throughput.NO_GPU not in throughput.report(figures(1e12), "make bench")


def test_every_table_has_its_place(root):
    text = (root / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert throughput.PLACES.keys() == throughput.DEFAULTS.keys()
    for name in throughput.PLACES.values():
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1


def test_an_epoch_that_cannot_be_cut_into_parts_is_refused():
    with pytest.raises(ValueError, match=re.escape("--batch times --pairs (40)")):
        throughput.benchmark(
            size="tiny", device="cpu", batch=8, utterances=90, evaluated=8, pairs=5
        )


def test_the_command_line_has_the_device_s_defaults():
    found = vars(throughput.read_arguments(["--device=cpu", "--evaluated=4"]))
    expected = {**throughput.DEFAULTS["cpu"], "evaluated": 4}
    assert found == {**expected, "device": "cpu", "pairs": throughput.PAIRS}
