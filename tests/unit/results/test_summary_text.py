"""What a run says at its end."""

import math

from emosphere_sb.results.summary_text import closing_text, screen_table


def result(v, a, d, mean, n):
    return {
        "valence": {"ccc": v},
        "arousal": {"ccc": a},
        "dominance": {"ccc": d},
        "mean_ccc": mean,
        "utterances": n,
    }


def test_screen_table_lines_up_with_nan_and_long_names():
    rows = {
        "test1": result(0.5, 0.75, -0.25, 1 / 3, 30647),
        "a_long_name": result(*[math.nan] * 4, 0),
    }
    lines = screen_table(rows).splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["CCC", "valence", "arousal", "dominance", "mean", "utterances"]
    assert lines[1].split() == ["test1", "0.5000", "0.7500", "-0.2500", "0.3333", "30647"]
    assert lines[2].split() == ["a_long_name", "nan", "nan", "nan", "nan", "0"]
    assert len({len(line) for line in lines}) == 1


def test_screen_table_of_nothing_is_its_head():
    assert screen_table({}).split() == [
        "CCC",
        "valence",
        "arousal",
        "dominance",
        "mean",
        "utterances",
    ]


def metrics(**changes):
    whole = {
        "test1": result(0.5, 0.75, -0.25, 1 / 3, 3),
        "protocol": {"synthetic": False},
        "run": {"folder": "results/here"},
        "beside": {},
    }
    return {**whole, **changes}


def test_real_speech_gets_its_table_and_the_folder():
    text = closing_text(metrics())
    assert text.startswith("CCC ")
    assert text.endswith("results/here")
    assert "SYNTHETIC" not in text


def test_synthetic_speech_says_so_first_with_the_baseline_and_the_cap():
    cap = {"valence": 0.9, "arousal": 0.8, "dominance": 0.7}
    beside = {
        "acoustic_baseline": {"test1": result(0.1, 0.2, 0.3, 0.2, 3)},
        "cap": {"test1": cap, "train": cap},
    }
    text = closing_text(metrics(protocol={"synthetic": True}, beside=beside))
    assert text.startswith("SYNTHETIC SPEECH")
    assert text.index("0.3333") < text.index("ridge regression") < text.index("raters' noise caps")
    assert "test1      0.9000    0.8000    0.7000" in text
    assert "train" not in text  # only sets that are reported
