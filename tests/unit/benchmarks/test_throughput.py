"""Test the throughput benchmark: both sides compute the same model, and the report is correct."""

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
from published_pipeline import BATCH, PublishedPipeline
from recipe_pipeline import RecipePipeline

DETERMINISTIC = {
    "hidden_dropout": 0.0, "activation_dropout": 0.0, "attention_dropout": 0.0,
    "feat_proj_dropout": 0.0, "apply_spec_augment": False,
}  # fmt: skip
TINY = workload.SIZES["tiny"]


@pytest.fixture(scope="module")
def deterministic_size(tmp_path_factory):
    """The tiny size without random operations, and the folder of its weights."""
    size = replace(
        TINY, config={**TINY.config, **DETERMINISTIC}, pooling_dropout=0.0, head_dropout=0.0
    )
    folder = tmp_path_factory.mktemp("weights")
    workload.save_weights(size, folder)
    return size, folder


def load_both_sides(deterministic_size, rows, evaluated):
    """Load the same rows and weights into both pipelines."""
    size, folder = deterministic_size
    options = {"device": "cpu", "scale": workload.SCALE}
    sides = (
        PublishedPipeline(workload.load_published_model(size, folder), **options),
        RecipePipeline(size, folder, **options),
    )
    for pipeline in sides:
        pipeline.load(rows, evaluated)
    return sides


@pytest.mark.parametrize("count", [80, 640, 20_000])
def test_durations_match_mean_and_range_of_msp_podcast(count):
    seconds = workload.durations(count)
    assert len(seconds) == count
    assert seconds.mean() == pytest.approx(5.7, abs=0.02)
    assert seconds.min() >= 2.75 and seconds.max() <= 11.9
    assert seconds[: count // 2].mean() == pytest.approx(5.7, abs=0.6)  # in random order


def test_durations_cover_the_full_range():
    seconds = workload.durations(20_000)
    assert seconds.min() < 2.85 and seconds.max() > 11.3


def test_too_few_utterances_raise():
    with pytest.raises(ValueError, match="more utterances"):
        workload.durations(1)


def test_both_sides_give_the_same_predictions(deterministic_size, tmp_path):
    rows = workload.write_corpus(tmp_path / "audio", [0.61, 0.9, 0.4])
    published, recipe = load_both_sides(deterministic_size, rows, evaluated=2)
    found, expected = recipe.evaluate(), published.evaluate()
    assert found.keys() == expected.keys() == {"u00000", "u00001"}
    for name in found:
        assert found[name] == pytest.approx(expected[name], abs=1e-5)


def test_both_sides_have_the_same_initial_loss(deterministic_size, tmp_path):
    rows = workload.write_corpus(tmp_path / "audio", [0.5] * BATCH)
    sides = load_both_sides(deterministic_size, rows, evaluated=1)
    (names, losses), (others, expected) = (pipeline.train(1) for pipeline in sides)
    assert sorted(names) == sorted(others) == sorted(rows)
    assert losses == pytest.approx(expected, rel=1e-5)


def test_both_sides_update_the_weights(deterministic_size, tmp_path):
    rows = workload.write_corpus(tmp_path / "audio", [0.5] * 4)
    for pipeline in load_both_sides(deterministic_size, rows, evaluated=4):
        before = pipeline.evaluate()
        pipeline.warm_up(2)
        assert pipeline.evaluate() != before


def test_published_pipeline_freezes_the_convolutions(deterministic_size, tmp_path):
    rows = workload.write_corpus(tmp_path / "audio", [0.5] * 4)
    published, _ = load_both_sides(deterministic_size, rows, evaluated=4)
    published.warm_up(4)
    frozen = list(published.model.ssl.feature_extractor.parameters())
    assert frozen and all(parameter.grad is None for parameter in frozen)


def test_operation_count_matches_pytorch_flop_counter(deterministic_size):
    size, folder = deterministic_size
    model, samples = workload.load_published_model(size, folder).eval(), 20_000
    # The counter of PyTorch does not support the fused attention of a CPU.
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(torch.randn(1, samples), torch.tensor([samples]))
    counted = workload.useful_flops(size, [samples / 16000])["eval"]
    assert counted == pytest.approx(counter.get_total_flops(), rel=1e-6)


def measurements(matrix_peak=None) -> dict:
    """Three pairs: the recipe trains 2, 4 and 3 times as fast and evaluates 1.5 times as fast."""

    def part(seconds):
        return {"seconds": seconds, "durations": [4.0, 8.0]}

    pairs = [
        {
            "published": {"train": part(12.0), "eval": part(3.0)},
            "recipe": {"train": part(12.0 / ratio), "eval": part(2.0)},
        }
        for ratio in (2, 4, 3)
    ]
    device = None if matrix_peak is None else 1000.0
    return {
        "pairs": pairs, "size": "tiny", "batch": 16, "utterances": 48, "evaluated": 2,
        "difference": 1e-6, "machine": "a machine", "threads": 2, "matrix_peak": matrix_peak,
        "peaks": {name: {"host": 2000.0, "device": device} for name in throughput.SIDES},
        "growth": {"published": [300.0, 600.0], "recipe": [300.0, 303.0]},
    }  # fmt: skip


def test_last_lines_are_the_median_ratios():
    assert throughput.last_lines(measurements()).splitlines() == [
        "train ratio 3.00",
        "eval ratio 1.50",
    ]


def test_table_contains_medians_and_ranges():
    text = throughput.report(measurements(), "make bench")
    assert "| training, audio seconds per second | 1.00 | 3.00 | 3.00 (2.00 to 4.00) |" in text
    assert "| evaluation, audio seconds per second | 4.00 | 6.00 | 1.50 (1.50 to 1.50) |" in text
    assert "| host memory, 2,000 utterances of 2 s, MiB | 600 | 303 | 0.51 |" in text
    assert "Generated by `make bench`" in text


def test_table_marks_measurements_that_need_a_gpu():
    lines = throughput.report(measurements(), "make bench").splitlines()
    marked = [line for line in lines if line.count(throughput.NO_GPU) == 3]
    assert len(marked) == 3
    assert throughput.NO_GPU not in throughput.report(measurements(1e12), "make bench")


def test_results_page_has_one_marker_block_for_each_device(root):
    text = (root / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert throughput.MARKERS.keys() == throughput.DEFAULTS.keys()
    for name in throughput.MARKERS.values():
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1


def test_epoch_not_divisible_into_pairs_raises():
    with pytest.raises(ValueError, match=re.escape("--batch times --pairs (40)")):
        throughput.benchmark(
            size="tiny", device="cpu", batch=8, utterances=90, evaluated=8, pairs=5
        )


def test_command_line_uses_defaults_of_the_device():
    found = vars(throughput.read_arguments(["--device=cpu", "--evaluated=4"]))
    expected = {**throughput.DEFAULTS["cpu"], "evaluated": 4}
    assert found == {**expected, "device": "cpu", "pairs": throughput.PAIRS}
