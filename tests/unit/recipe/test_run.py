"""Shuffled labels."""

import copy

from emosphere_sb.recipe import run
from emosphere_sb.scale import DIMENSIONS


def test_labels_are_shuffled_between_utterances():
    rows = {
        str(n): {**dict.fromkeys(DIMENSIONS, n), "emotion": f"e{n}", "wav": n} for n in range(20)
    }
    before, again = copy.deepcopy(rows), copy.deepcopy(rows)
    run.shuffle_labels(rows, seed=1)
    assert rows != before and all(rows[name]["wav"] == before[name]["wav"] for name in rows)
    assert sorted(row["valence"] for row in rows.values()) == list(range(20))
    assert all(row["emotion"] == f"e{row['valence']}" for row in rows.values())
    run.shuffle_labels(again, seed=1)
    assert again == rows
