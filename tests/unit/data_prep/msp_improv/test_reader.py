"""MSP-IMPROV: a handwritten tree results in handwritten manifests."""

import pytest

from data_prep.corpus import NO_RATERS
from data_prep.manifest import prepare_manifests
from data_prep.msp_improv import reader as msp_improv
from data_prep.msp_improv.reader import SCALE, arousal_dominance_correlation, read_labels
from emosphere_sb.scale import Scale

# Session 1 has every irregularity; the others have two regular turns each.
FIRST = """\
UTD-IMPROV-S01A-F01-R-FF01.avi; A; A:1.500000; V:2.000000; D:4.500000 ; N:3.666667;
ann-1; Angry; Angry,Frustrated; A:1.000000; V:2.000000; D:5.000000; N:4.000000;
ann-2; Other-fed up; or tired: both; Angry; A:2.000000; V:2.000000; D:4.000000; N:3.000000;
ann-2; Other-fed up; or tired: both; Angry; A:2.000000; V:2.000000; D:4.000000; N:3.000000;

UTD-IMPROV-S01H-M01-S-FM01.avi; X; A:3.000000; V:4.000000; D:NaN ; N:NaN;
ann-1; Happy; Happy; A:3.000000; V:4.000000; D:NaN; N:NaN;

UTD-IMPROV-S02N-F01-P-FM02.avi; O; A:5.000000; V:3.000000; D:1.000000 ; N:3.000000;

UTD-IMPROV-S02N-M01-P-MF02.avi; N; A:NaN; V:NaN; D:NaN ; N:3.000000;

UTD-IMPROV-S02S-M01-T-MF03.avi; S; A:4.000000; V:1.000000; D:5.500000 ; N:3.000000;

UTD-IMPROV-S02S-M01-T-MF04.avi; S; A:4.000000; V:1.000000; D:2.000000 ; N:3.000000;

UTD-IMPROV-S02S-M01-T-MF05.avi; Q; A:4.000000; V:1.000000; D:2.000000 ; N:3.000000;

UTD-IMPROV-S02S-M01-T-MF06.avi; S; A:4.000000; V:1.000000; D:2.00
"""
REJECTED = [
    ["S02N/P/MSP-IMPROV-S02N-M01-P-MF02", "no label: all of A, V, D are missing ({}, line 11)"],
    [
        "S02S/T/MSP-IMPROV-S02S-M01-T-MF05",
        "unknown emotion: 'Q'; must be one of ASHNOX ({}, line 17)",
    ],
    [
        "S02S/T/MSP-IMPROV-S02S-M01-T-MF06",
        "malformed line: missing ';' after 'D:2.00' ({}, line 19)",
    ],
    [
        "S02S/T/MSP-IMPROV-S02S-M01-T-MF03",
        "label outside the scale: dominance is 5.5; must be from 1 to 5",
    ],
]


def plain(session):
    """Return two turns of a session: an active, dominant one and a calm, submissive one."""
    return (
        f"UTD-IMPROV-S03A-F0{session}-R-FF01.avi; A; A:2.000000; V:2.000000; D:4.000000 ; N:3;\n\n"
        f"UTD-IMPROV-S03S-M0{session}-P-FM01.avi; S; A:4.000000; V:2.500000; D:2.000000 ; N:3;\n\n"
    )


LABELS = FIRST + "\n" + "".join(plain(session) for session in "23456")


@pytest.fixture
def tree(tmp_path, wav):
    """Return a function that writes a corpus and returns its folder."""

    def write(labels=LABELS, *, name="Evalution.txt", audio="Audio"):
        root = tmp_path / "MSP-IMPROV"
        for session in "123456":
            (root / audio / f"session{session}").mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(labels.encode("latin-1"))
        for line in LABELS.splitlines():
            if line.startswith("UTD"):
                stem = line.split(".")[0].replace("UTD", "MSP")
                _, _, sentence, speaker, condition, _ = stem.split("-")
                folder = root / audio / f"session{speaker[2]}" / sentence / condition
                wav(folder / f"{stem}.wav", seconds=0.1, rate=48000)
        (root / audio / "session1/S01A/R/._MSP-IMPROV-S01A-F01-R-FF01.wav").write_bytes(b"\0\5")
        spoken = root / "Human_transcriptions" / "All_human_transcriptions"
        spoken.mkdir(parents=True, exist_ok=True)
        said = "How can I not?\n  Caf\xe9.\n".encode("latin-1")
        (spoken / "MSP-IMPROV-S01A-F01-R-FF01.txt").write_bytes(said)
        return root

    return write


HEAD = (
    "ID,duration,wav,sample_rate,valence,arousal,dominance,emotion,speaker,gender,session,"
    "transcript,n_raters,valence_sd,arousal_sd,dominance_sd,votes"
)


def row(name, valence, arousal, dominance, emotion, said="", raters=("",) * 5):
    """Return the expected manifest row, derived from the name of the turn."""
    sentence, speaker, condition, _ = name.split("-")
    session, gender = speaker[2], {"F": "Female", "M": "Male"}[speaker[0]]
    stem = f"MSP-IMPROV-{name}"
    wav = f"$data_root/Audio/session{session}/{sentence}/{condition}/{stem}.wav"
    vad = [valence, arousal, dominance]
    return [stem, "0.1", wav, "48000", *vad, emotion, speaker, gender, session, said, *raters]


def plain_rows(session):
    return [
        row(f"S03A-F0{session}-R-FF01", "2.0", "2.0", "4.0", "angry"),
        row(f"S03S-M0{session}-P-FM01", "2.5", "4.0", "2.0", "sad"),
    ]


TEST = [
    row(
        "S01A-F01-R-FF01",
        *("2.0", "1.5", "4.5", "angry", "How can I not? Caf\xe9."),
        ("2", "0.0", "0.5", "0.5", "angry:1;other:1"),
    ),
    row(
        "S01H-M01-S-FM01",
        *("4.0", "3.0", "", "no_agreement", ""),
        ("1", "0.0", "0.0", "", "happy:1"),
    ),
    row("S02N-F01-P-FM02", "3.0", "5.0", "1.0", "other"),
    row("S02S-M01-T-MF04", "1.0", "4.0", "2.0", "sad"),
]


def test_manifests_of_a_tree_with_every_irregularity(tree, tmp_path, rows_of, rejected_rows):
    summary = prepare_manifests(msp_improv, tree(), tmp_path / "out")
    train = [line for session in "3456" for line in plain_rows(session)]
    expected = {"train": train, "valid": plain_rows("2"), "test": TEST}
    assert list(summary.sets) == list(expected)
    for name, rows in expected.items():
        assert rows_of(summary.sets[name]) == [HEAD.split(","), *rows]
    assert rejected_rows(tmp_path / "out") == [
        [f"Audio/session1/{path}.wav", "test", reason.format("Evalution.txt")]
        for path, reason in REJECTED
    ]
    assert summary.warnings == ["13 of 14 utterances have no transcript."]
    assert summary.scale == Scale(1, 5, ("arousal",))


def test_manifest_keeps_the_labels_and_the_scale_reverses_them(tree):
    found = msp_improv.read(tree())
    angry = found.sets["test"][0]
    assert angry.arousal == 1.5  # as in the file, where 1 is very active
    assert found.scale.normalise(angry.vad).tolist() == [-0.5, 0.75, 0.75]


def test_flip_arousal_false_for_an_already_reversed_copy(tree):
    found = msp_improv.read(tree(), flip_arousal=False)
    assert found.scale == Scale(1, 5)
    assert found.sets["test"][0].arousal == 1.5
    assert found.protocol["flip_arousal"] is False


def test_correlation_of_arousal_and_dominance_matches_manual_calculation(tree):
    # Values in the file of all turns with both labels and with dominance within the scale.
    pairs = [(1.5, 4.5), (5, 1), (4, 2)] + [(2, 4), (4, 2)] * 5
    n, a, d = len(pairs), [6 - x for x, _ in pairs], [y for _, y in pairs]
    cov = sum(x * y for x, y in zip(a, d, strict=True)) / n - sum(a) * sum(d) / n**2
    var = [sum(x * x for x in v) / n - (sum(v) / n) ** 2 for v in (a, d)]
    expected = cov / (var[0] * var[1]) ** 0.5
    assert arousal_dominance_correlation(msp_improv.read(tree())) == pytest.approx(expected)
    assert arousal_dominance_correlation(
        msp_improv.read(tree(), flip_arousal=False)
    ) == pytest.approx(-expected)


@pytest.mark.parametrize("flip", [True, False])
def test_reversed_arousal_gives_a_warning(tree, flip):
    text = LABELS
    if flip:  # a copy in which arousal has already been reversed
        swaps = {"A:2.000000; V": "A:4.0; V", "A:4.000000; V": "A:2.0; V"}
        swaps |= {"A:1.500000": "A:4.5", "A:5.000000": "A:1.0"}
        for old, new in swaps.items():
            text = text.replace(old, new)
    found = msp_improv.read(tree(text), flip_arousal=flip)
    (warning,) = [text for text in found.warnings if "correlation of arousal" in text]
    assert f"but it is -1.00 with --flip_arousal={flip}." in warning
    assert warning.endswith(f"Use --flip_arousal={not flip}.")


def test_too_few_turns_have_no_correlation(tree):
    found = msp_improv.read(tree(plain("2")), flip_arousal=False)
    assert arousal_dominance_correlation(found) is None and not any(
        "correlation of arousal" in t for t in found.warnings
    )


def test_constant_labels_have_no_correlation(tree):
    text = "".join(plain(s) for s in "2345").replace("D:4.0", "D:2.0")
    assert arousal_dominance_correlation(msp_improv.read(tree(text))) is None


@pytest.mark.parametrize("name", ["Evalution.txt", "Evaluation.txt", "evaluation.txt"])
@pytest.mark.parametrize("audio", ["Audio", "audio", "."])
def test_names_in_existing_copies_are_accepted(tree, name, audio):
    found = msp_improv.read(tree(name=name, audio=audio))
    folder = "" if audio == "." else f"{audio}/"
    assert found.sets["test"][0].path == (f"{folder}session1/S01A/R/MSP-IMPROV-S01A-F01-R-FF01.wav")


def test_user_paths_are_used(tree, tmp_path, rows_of):
    root = tree(name="mine.txt", audio="../sounds")
    options = {"labels_file": "mine.txt", "audio_folder": tmp_path / "sounds"}
    summary = prepare_manifests(msp_improv, root, tmp_path / "out", **options)
    path = tmp_path / "sounds/session1/S01A/R/MSP-IMPROV-S01A-F01-R-FF01.wav"
    assert rows_of(summary.sets["test"])[1][2] == str(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(" ; N", "; N"),
        lambda text: text.replace("; ", " ;\t"),
        lambda text: text.replace("UTD-", "MSP-").replace(".avi", ".wav"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(" N:3;", " N:3"),
        lambda text: text.replace("D:NaN", "D:nan"),
        lambda text: "\n\n" + text.replace("\n\n", "\n \n\n"),
    ],
)
def test_equivalent_formats_give_the_same_labels(tree, change):
    before = msp_improv.read(tree()).sets
    assert change(LABELS) != LABELS
    assert msp_improv.read(tree(change(LABELS))).sets == before


def test_repeated_raters_count_once(tree):
    found = msp_improv.read(tree()).sets["test"][0].raters
    assert (found.count, found.votes) == (2, "angry:1;other:1")


def test_damaged_rater_line_gives_no_statistics_and_is_located(tree):
    found = msp_improv.read(tree(LABELS.replace("V:2.000000; D:5.000000; N", "V:2.0; N")))
    assert found.sets["test"][0].raters == NO_RATERS
    assert "(first: Evalution.txt:2, malformed line: missing at the end: D)" in found.warnings[0]


def test_label_that_differs_from_the_mean_gives_a_warning(tree):
    found = msp_improv.read(tree(LABELS.replace("A:1.500000; V", "A:2.500000; V")))
    assert "S01A-F01-R-FF01, arousal is 2.5, but the mean of 2 raters is 1.5" in found.warnings[0]


@pytest.mark.parametrize(
    ("letter", "word"),
    [
        ("A", "angry"),
        ("S", "sad"),
        ("H", "happy"),
        ("N", "neutral"),
        ("O", "other"),
        ("X", "no_agreement"),
    ],
)
def test_emotion_codes_are_converted_to_names(tree, letter, word):
    text = plain("1").replace("; A;", f"; {letter};")
    assert msp_improv.read(tree(text)).sets["test"][0].emotion == word


@pytest.mark.parametrize(("fold", "sessions"), [(1, "1 2 3456"), (4, "4 5 1236"), (6, "6 1 2345")])
def test_sessions_of_a_fold(tree, fold, sessions):
    found = msp_improv.read(tree(), fold=fold)
    sets = [{row.session for row in found.sets[name]} for name in ("test", "valid", "train")]
    assert sets == [set(group) for group in sessions.split()]
    assert (found.protocol["partition"], found.protocol["fold"]) == ("session", fold)
    assert found.protocol["folds"] == 6


def test_other_conditions_are_excluded(tree, tmp_path):
    options = {"conditions": "p, S"}
    summary = prepare_manifests(msp_improv, tree(), tmp_path / "out", **options)
    assert summary.counts == {"train": 4, "valid": 1, "test": 2}
    assert summary.protocol["conditions"] == ["P", "S"]
    assert summary.protocol["dropped"] == {
        "train": {"condition R": 4},
        "valid": {"condition R": 1},
        "test": {"condition R": 1, "condition T": 2},
    }
    assert "audio without a label" not in summary.rejected


@pytest.mark.parametrize(
    ("conditions", "message"),
    [(["P", "Q"], "one or more of P, R, S, T; found P, Q"), ("", "P, R, S, T; found none")],
)
def test_invalid_conditions_raise(tree, conditions, message):
    with pytest.raises(ValueError, match=message):
        msp_improv.read(tree(), conditions=conditions)


def test_excluded_classes_are_not_in_the_manifests(tree):
    found = msp_improv.read(tree(), drop_test=["other", "no_agreement"])
    assert found.protocol["dropped"] == {"test": {"no_agreement": 1, "other": 1}}
    with pytest.raises(ValueError, match=r"--drop_train must contain only .*found contempt"):
        msp_improv.read(tree(), drop_train="contempt")


def test_unknown_partition_raises(tree):
    with pytest.raises(ValueError, match="--partition must be session; found 'speaker'"):
        msp_improv.read(tree(), partition="speaker")


def test_nonexistent_fold_raises(tree):
    with pytest.raises(ValueError, match="from 1 to 6; found 7"):
        msp_improv.read(tree(), fold=7)


@pytest.mark.parametrize(
    "name",
    [
        "UTD-IMPROV-S01A-F07-R-FF01.avi",
        "UTD-IMPROV-S01A-F01-Q-FF01.avi",
        "UTD-IMPROV-S01A-F01-R-FF01.avi.avi",
        f"UTD-IMPROV-S01A-F01-R-FF{'1' * 300}.avi",  # longer than any file name
    ],
)
def test_invalid_turn_names_are_rejected(tree, name):
    text = plain("1").replace("UTD-IMPROV-S03A-F01-R-FF01.avi", name)
    (rejection,) = msp_improv.read(tree(text)).rejected
    assert rejection == (
        "Evalution.txt:1",
        f"invalid turn name: '{name[:60]}' (Evalution.txt, line 1)",
        "",
    )


def test_missing_label_file_raises(tree):
    with pytest.raises(FileNotFoundError, match=r"Evalution.txt \(or Evaluation.txt\); found Audi"):
        msp_improv.read(tree(name="labels.txt"))


def test_missing_sessions_raise(tree):
    root = tree()
    for session in "25":
        (root / f"Audio/session{session}").rename(root / f"lost{session}")
    with pytest.raises(FileNotFoundError, match="missing: session2, session5; found: session1, s"):
        msp_improv.read(root)


@pytest.mark.parametrize("text", ["", "\n\n\r\n"])
def test_empty_label_file_raises(tree, text):
    with pytest.raises(ValueError, match=r"Evalution.txt is empty"):
        msp_improv.read(tree(text))


def test_label_file_in_utf_16_raises(tree):
    root = tree()
    (root / "Evalution.txt").write_bytes(LABELS.encode("utf-16"))
    with pytest.raises(ValueError, match=r"Evalution.txt must be text in UTF-8 or an 8-bit"):
        msp_improv.read(root)


def test_added_transcripts_trigger_a_new_preparation(tree, tmp_path):
    root = tree()
    prepare_manifests(msp_improv, root, tmp_path / "out")
    assert prepare_manifests(msp_improv, root, tmp_path / "out").skipped
    folder = root / "Human_transcriptions" / "All_human_transcriptions"
    (folder / "MSP-IMPROV-S03A-F02-R-FF01.txt").write_text("Why?")
    assert not prepare_manifests(msp_improv, root, tmp_path / "out").skipped


@pytest.mark.parametrize(
    "values",
    [
        "A:1.500000; V:2.000000; D:4.500000 ; N:3.666667;",
        "V:2.000000; D:4.500000; A:1.500000 ; N:3.666667;",
    ],
)
def test_dimensions_may_be_in_any_order(tmp_path, values):
    (tmp_path / "Evalution.txt").write_text(f"UTD-IMPROV-S01A-F01-R-FF01.avi; A; {values}\n")
    block = next(read_labels(tmp_path / "Evalution.txt"))
    assert (block.valence, block.arousal, block.dominance) == (2.0, 1.5, 4.5)


def test_only_activation_is_reversed():
    assert SCALE.normalise([1.0, 1.0, 1.0]).tolist() == [-1.0, 1.0, -1.0]
    assert SCALE.normalise([4.0, 4.0, 4.0]).tolist() == [0.5, -0.5, 0.5]
