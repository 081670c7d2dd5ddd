"""Label files of IEMOCAP: parsed turns, and rejected lines and files."""

import pytest

from data_prep.iemocap import reader as iemocap
from data_prep.iemocap.reader import SCALE, read_labels, read_transcripts
from data_prep.manifest import prepare_manifests

EMOTIONS = {
    "ang": "angry",
    "hap": "happy",
    "exc": "excited",
    "sad": "sad",
    "neu": "neutral",
    "fru": "frustrated",
    "fea": "fear",
    "dis": "disgust",
    "sur": "surprise",
    "oth": "other",
    "xxx": "no_agreement",
}


def test_order_in_the_file_is_valence_arousal_dominance(tmp_path, impro):
    path = tmp_path / "Ses01F_impro01.txt"
    path.write_text(impro)
    turn = next(read_labels(path))
    assert (turn.valence, turn.arousal, turn.dominance) == (2.5, 2.0, 1.5)


@pytest.mark.parametrize("order", ["A, V, D", "V, D, A", "D,A,V"])
def test_header_with_another_order_raises(tmp_path, impro, order):
    path = tmp_path / "Ses01F_impro01.txt"
    path.write_text(impro.replace("V, A, D", order))
    with pytest.raises(ValueError, match=rf"01.txt, line 1: .* must be \[V, A, D\]; .*\[{order}\]"):
        list(read_labels(path))


def test_ratings_are_read_by_name(tmp_path, impro):
    path = tmp_path / "Ses01F_impro01.txt"
    text = impro.replace("val 3; act 2; dom  2;", "dom 2; val 3; act 2;")
    path.write_text(text)
    assert next(read_labels(path)).raters[-2].vad == (3.0, 2.0, 2.0)


@pytest.mark.parametrize("first", ["C-E2:\tNeutral;\t()", "A-E3:\tval 3; act 2; dom  2;\t()"])
def test_line_with_two_raters_is_rejected(tmp_path, impro, first):
    path = tmp_path / "Ses01F_impro01.txt"
    path.write_text(impro.replace(f"{first}\n", first))
    turn = next(read_labels(path))
    assert turn.rater_problem.endswith(", malformed line: it contains two raters")
    assert turn.vad == (2.5, 2.0, 1.5)


def test_scale_is_1_to_5_without_reversal():
    assert SCALE.normalise([1.0, 3.0, 5.0]).tolist() == [-1.0, 0.0, 1.0]
    assert SCALE.normalise([5.0, 5.0, 5.0]).tolist() == [1.0, 1.0, 1.0]


def test_read_labels_returns_turns(tmp_path, impro):
    path = tmp_path / "Ses01F_impro01.txt"
    path.write_text(impro)
    turns = list(read_labels(path))
    first, second = turns[:2]
    assert (first.line, first.utterance, first.start, first.end) == (
        *(3, "Ses01F_impro01_F000", 6.2901, 8.2357),
    )
    assert [rater.name for rater in first.raters] == ["C-E2", "C-E3", "C-E4", "A-E3", "A-E4"]
    assert [rater.name for rater in first.self_reports] == ["C-F1", "A-F1"]
    assert first.self_reports[1].vad == (5.0, 5.0, 5.0)
    assert second.vad == (3.0, 4.0, None)
    assert [bool(turn.problem) for turn in turns] == [0, 0, 0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize(("code", "word"), EMOTIONS.items())
def test_emotion_codes_are_converted_to_names(tmp_path, code, word, turns):
    path = tmp_path / "Ses02F_impro01.txt"
    path.write_text(turns("Ses02F_impro01", [code]))
    assert next(read_labels(path)).emotion == word


@pytest.mark.parametrize(
    "text", ["", "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n", "\n\n"]
)
def test_label_file_without_turns_is_rejected(dialogue, tree, text, tmp_path, rejected_rows):
    dialogue("Ses02F_impro09", text, audio=["Ses02F_impro09_F000"])
    prepare_manifests(iemocap, tree, tmp_path / "out")
    rows = rejected_rows(tmp_path / "out")
    assert rows[-1] == [
        "Session2/sentences/wav/Ses02F_impro09/Ses02F_impro09_F000.wav",
        "",
        "audio without a label",
    ]
    path = "Session2/dialog/EmoEvaluation/Ses02F_impro09.txt"
    assert [path, "", "no turns: the label file is empty"] in rows


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "[1.0 - 2.0]\tSes02F_impro08_F000\tneu\t[1, 2, 3]",
            "turn of another dialogue: 'Ses02F_impro08_F000' in the labels of Ses02F_impro09",
        ),
        (
            "1.0 - 2.0]\tSes02F_impro09_F000\tneu\t[1, 2, 3]",
            "malformed line: a turn must be '[start - end] name emotion [V, A, D]'",
        ),
        ("A-E1:\tval 1; act 2; dom 3;\t()", "malformed line: a turn must be"),
        ("Ses02F_impro09_F000", "malformed line: a turn must be"),
    ],
)
def test_lines_without_a_valid_turn_are_rejected(dialogue, tree, line, reason, turns):
    text = turns("Ses02F_impro09", ["sad"]) + f"{line}\n"
    dialogue("Ses02F_impro09", text, audio=["Ses02F_impro09_F000"])
    (rejection,) = [r for r in iemocap.read(tree).rejected if "impro09" in r.reason]
    path = "Session2/dialog/EmoEvaluation/Ses02F_impro09.txt"
    assert rejection.path == f"{path}:5"
    assert rejection.reason.startswith(reason) and rejection.reason.endswith(f"({path}, line 5)")
    assert rejection.set == "valid"


def test_invalid_number_is_rejected_with_file_and_line(dialogue, tree, turns):
    dialogue("Ses02F_impro09", turns("Ses02F_impro09", ["sad"]).replace("3.0000", "three"))
    (rejection,) = [r for r in iemocap.read(tree).rejected if "impro09" in r.reason]
    assert rejection.path == "Session2/sentences/wav/Ses02F_impro09/Ses02F_impro09_F000.wav"
    assert rejection.reason == (
        "not a number: arousal is 'three' "
        "(Session2/dialog/EmoEvaluation/Ses02F_impro09.txt, line 3)"
    )


def test_label_file_in_utf_16_raises(dialogue, tree):
    path = tree / "Session2/dialog/EmoEvaluation/Ses02M_script01_1b.txt"
    path.write_bytes(path.read_text().encode("utf-16"))
    with pytest.raises(ValueError, match=r"Ses02M_script01_1b.txt must be text in UTF-8 or an 8-"):
        iemocap.read(tree)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_endings_of_other_systems_are_accepted(dialogue, tree, end, impro):
    before = iemocap.read(tree).sets
    dialogue("Ses01F_impro01", impro.replace("\n", end))
    assert iemocap.read(tree).sets == before


def test_read_transcripts(tmp_path, transcription):
    (tmp_path / "a.txt").write_bytes(transcription.encode("latin-1"))
    found = read_transcripts(tmp_path / "a.txt")
    assert list(found) == ["Ses01F_impro01_F000", "Ses01F_impro01_M000", "Ses01F_impro01_MXX0"]
    assert found["Ses01F_impro01_F000"] == 'Excuse me, "caf\xe9", $5.'
