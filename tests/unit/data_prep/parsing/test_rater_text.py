"""Irregularities in the files of individual ratings."""

import itertools
import random

import pytest

from data_prep.msp_podcast.reader import read_raters
from data_prep.parsing.rater_text import read_blocks

HEAD = "a.wav; N; A:2.0; V:4.0; D:3.0;"
RATERS = ["w1; Sad; Sad; A:1.0; V:4.0; D:3.0;", "w2; Other-x; I; A:3.0; V:4.0; D:3.0;"]


@pytest.mark.parametrize(
    "line",
    [
        "b.mp4; A; A:2.0; V:2.0; D:2.0;",
        "b.mp4;",
        "b.MP4",
        "UTD-IMPROV-S01A-F01-R-FF01.flac; A:2.0; V:2.0; D:2.0;",
        "b.mp4; Sad; Sad; A:2.0; V:2.0; D:2.0;",
        "b; A; A:2.0; V:2.0; D:2.0;",
        "b wav; x ; A:2.0; V:2.0; D:2.0; N:1.0;",
        "; A; A:2.0; V:2.0; D:2.0;",
    ],
)
def test_line_of_another_utterance_starts_a_new_block(tmp_path, line):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join([HEAD, *RATERS, line, "w3; Sad; Sad; A:5.0; V:5.0; D:5.0;", ""]))
    first, second = read_blocks(path)
    assert [rater.name for rater in first.raters] == ["w1", "w2"]
    assert not first.problem and not first.rater_problem
    assert second.line == 4 and second.problem and not second.file


@pytest.mark.parametrize("name", ["w.3", "WORKER00000003", "j.doe@b.edu", "x-ann.b1"])
def test_rater_names_are_not_file_names(tmp_path, name):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join([HEAD, *RATERS, f"{name}; Sad; Sad; A:5.0; V:5.0; D:5.0;", ""]))
    (block,) = read_blocks(path)
    assert [rater.name for rater in block.raters] == ["w1", "w2", name]


@pytest.mark.parametrize("line", ["".join(RATERS), RATERS[0] + " " + RATERS[0]])
def test_line_with_two_raters_is_rejected(tmp_path, line):
    path = tmp_path / "labels.txt"
    path.write_text(f"{HEAD}\n{line}\n")
    (block,) = read_blocks(path)
    assert block.rater_problem == "labels.txt:2, malformed line: it contains two raters"
    assert (block.vad, block.problem) == ((4.0, 2.0, 3.0), "")


def test_free_text_that_looks_like_ratings_is_not_parsed(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text(f"{HEAD}\nw1; Other-A: 3; V: or so; N: 2; Sad; A:2.0; V:4.0; D:3.0;\n")
    (block,) = read_blocks(path)
    assert not block.rater_problem
    assert block.raters[0].vad == (4.0, 2.0, 3.0)


COLUMNS = "FileName,WorkerID,EmoClass_Major,EmoAct,EmoVal,EmoDom"
ROWS = [
    "a.wav,w1,Sad,1,2,3",
    "a.wav,w2,Angry,2,3,4",
    "b.wav,w1,Sad,1,2,3",
    "b.wav,w2,Fear,5,6,7",
    "b.wav,w3,Fear,5,6,NaN",
    "c.wav,w3,Happy,1,1,1",
]


def blocks(path, rows):
    path.write_text("\n".join([COLUMNS, *rows, ""]))
    return {
        block.file: sorted(block.raters, key=lambda rater: rater.name)
        for block in read_raters(path)
    }


def test_rows_of_a_table_may_be_in_any_order(tmp_path):
    path = tmp_path / "labels_detailed.csv"
    expected = blocks(path, ROWS)
    assert [len(raters) for raters in expected.values()] == [2, 3, 1]
    assert expected["b.wav"][2].vad == (6.0, 5.0, None)
    by_worker = sorted(ROWS, key=lambda row: row.split(",")[1])
    orders = [by_worker, *itertools.islice(itertools.permutations(ROWS), 1, 720, 37)]
    for order in orders:
        assert blocks(path, order) == expected


def test_separated_rows_of_an_utterance_form_one_block(tmp_path):
    path = tmp_path / "labels_detailed.csv"
    path.write_text("\n".join([COLUMNS, ROWS[0], ROWS[2], ROWS[1], "a.wav,w9,Sad,x,1,1", ""]))
    found = list(read_raters(path))
    assert [(block.file, block.line, len(block.raters)) for block in found] == [
        ("a.wav", 2, 2),
        ("b.wav", 3, 1),
    ]
    assert found[0].rater_problem.startswith("labels_detailed.csv:5, not a number: EmoAct is 'x'")
    assert not found[1].rater_problem


def test_each_row_keeps_its_own_ratings(tmp_path):
    """Equal texts are parsed only once; rows must not receive the ratings of other rows."""
    rng = random.Random(1)
    rows = [
        (f"{k % 7}.wav", f"w{k}", rng.choice(["Sad", "Angry"]), *rng.choices("1234567", k=3))
        for k in range(100)
    ]
    found = blocks(tmp_path / "x.csv", [",".join(row) for row in rows])
    words = {"Sad": ("sad",), "Angry": ("angry",)}
    for file, name, word, arousal, valence, dominance in rows:
        (rater,) = [rater for rater in found[file] if rater.name == name]
        assert rater.emotions == words[word]
        assert rater.vad == (float(valence), float(arousal), float(dominance))
