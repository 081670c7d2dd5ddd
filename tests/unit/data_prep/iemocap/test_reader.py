"""IEMOCAP: a handwritten tree results in handwritten manifests."""

import pytest

from data_prep.corpus import NO_RATERS, RaterStatistics
from data_prep.iemocap import reader as iemocap
from data_prep.manifest import prepare_manifests
from emosphere_sb.scale import Scale

HEAD = (
    "ID,duration,wav,sample_rate,valence,arousal,dominance,emotion,speaker,gender,session,"
    "transcript,n_raters,valence_sd,arousal_sd,dominance_sd,votes"
)
AUDIO = "$data_root/Session{}/sentences/wav/{}/{}.wav"


def row(name, valence, arousal, dominance, emotion, transcript="", raters=("",) * 5):
    """Return the expected manifest row, derived from the name of the turn."""
    session, gender = name[4], {"F": "Female", "M": "Male"}[name.split("_")[-1][0]]
    wav = AUDIO.format(session, name.rpartition("_")[0], name)
    speaker = f"Ses0{session}{gender[0]}"
    vad = [valence, arousal, dominance]
    texts = [emotion, speaker, gender, session, transcript]
    return [name, "0.1", wav, "16000", *vad, *texts, *raters]


def plain(session):
    name = f"Ses0{session}M_script01_1b"
    return [
        row(f"{name}_F000", "2.0", "3.0", "4.0", "sad"),
        row(f"{name}_M001", "2.0", "3.0", "4.0", "excited"),
    ]


FIRST = [
    row(
        "Ses01F_impro01_F000",
        *("2.5", "2.0", "1.5", "neutral", 'Excuse me, "caf\xe9", $5.'),
        ("2", "0.5", "0.0", "0.5", "neutral:2;frustrated:1;sad:1"),
    ),
    row(
        "Ses01F_impro01_M000",
        *("3.0", "4.0", "", "no_agreement", "Do you have your forms?"),
        ("1", "0.0", "0.0", "", "other:1"),
    ),
    row("Ses01F_impro01_F001", "2.0", "1.0", "3.0", "other"),
    row("Ses01F_impro01_F005", "4.5", "3.5", "3.0", "happy"),
]
LABELS = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
CODES = "ang, hap, exc, sad, neu, fru, fea, dis, sur, oth, xxx"
REJECTED = [
    ["F002", f"no label: all values in [NaN, NaN, NaN] are missing ({LABELS}, line 19)"],
    [
        "F003",
        f"malformed line: [V, A, D] must be three values; found [2.0, 3.0] ({LABELS}, line 21)",
    ],
    ["F006", f"unknown emotion: 'mad'; must be one of {CODES} ({LABELS}, line 27)"],
    ["F004", "label outside the scale: arousal is 5.5; must be from 1 to 5"],
]


def test_manifests_of_a_tree_with_every_irregularity(tree, tmp_path, rows_of, rejected_rows):
    summary = prepare_manifests(iemocap, tree, tmp_path / "out", partition="fixed")
    expected = {
        "train": FIRST + plain("2") + plain("3"),
        "valid": plain("4"),
        "test": plain("5"),
    }
    assert list(summary.sets) == list(expected)
    for name, rows in expected.items():
        assert rows_of(summary.sets[name]) == [HEAD.split(","), *rows]
    folder = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_"
    assert rejected_rows(tmp_path / "out") == [
        [f"{folder}{name}.wav", "train", reason] for name, reason in REJECTED
    ]
    assert summary.warnings == ["10 of 12 utterances have no transcript."]
    assert summary.scale == Scale(1, 5)


def test_self_reports_are_excluded_from_the_mean(tree):
    found = iemocap.read(tree)
    row = found.sets["test"][0]
    # Including the speaker's 5, 5, 5, the SD would be at least 1.25, and the mean would differ.
    assert row.raters == RaterStatistics(2, 0.5, 0.0, 0.5, "neutral:2;frustrated:1;sad:1")
    assert not any("mean of their raters" in text for text in found.warnings)


def test_label_that_differs_from_the_mean_gives_a_warning(dialogue, tree, impro):
    dialogue("Ses01F_impro01", impro.replace("[2.5000, 2.0", "[2.0000, 2.5"))
    (first, *_) = iemocap.read(tree).warnings
    assert first == (
        "1 utterances have labels that differ from the mean of their raters (first: "
        "Ses01F_impro01_F000, valence is 2, but the mean of 2 raters is 2.5)."
    )


def test_damaged_rater_line_gives_no_statistics_and_is_located(dialogue, tree, impro):
    dialogue("Ses01F_impro01", impro.replace("val 2; act 2; dom  1;", "val 2; act 2;"))
    found = iemocap.read(tree)
    assert found.sets["test"][0].raters == NO_RATERS
    assert f"{LABELS}, line 9, malformed line" in found.warnings[0]


def test_speaker_is_in_the_last_part_of_the_name(tree):
    rows = iemocap.read(tree, partition="fixed").sets["test"]
    assert [(row.speaker, row.gender) for row in rows] == [
        ("Ses05F", "Female"),
        ("Ses05M", "Male"),
    ]


@pytest.mark.parametrize(
    ("options", "sessions"),
    [
        ({}, {"train": "345", "valid": "2", "test": "1"}),
        ({"fold": 4}, {"train": "123", "valid": "5", "test": "4"}),
        ({"fold": "5"}, {"train": "234", "valid": "1", "test": "5"}),
        ({"partition": "fixed"}, {"train": "123", "valid": "4", "test": "5"}),
    ],
)
def test_sessions_of_a_fold(tree, options, sessions):
    found = iemocap.read(tree, **options)
    for name, expected in sessions.items():
        assert {row.session for row in found.sets[name]} == set(expected)


def test_leave_one_speaker_out(tree):
    found = iemocap.read(tree, partition="speaker", fold=8)
    speakers = {name: {row.speaker for row in rows} for name, rows in found.sets.items()}
    assert speakers["test"] == {"Ses04M"} and speakers["valid"] == {"Ses04F"}
    assert len(speakers["train"]) == 8
    assert found.protocol["fold"] == 8 and found.protocol["folds"] == 10
    assert found.protocol["partition"] == "speaker"


def test_rejected_rows_have_their_set(tree, tmp_path):
    found = iemocap.read(tree, partition="speaker", fold=1)
    assert {rejection.set for rejection in found.rejected} == {"test"}


def test_sets_share_no_speaker(tree, tmp_path):
    for fold in range(1, 6):
        summary = prepare_manifests(iemocap, tree, tmp_path / str(fold), fold=fold)
        assert not any("share" in text for text in summary.warnings)


def test_four_classes(tree):
    found = iemocap.read(tree, partition="fixed", four_classes=True)
    emotions = {name: [row.emotion for row in rows] for name, rows in found.sets.items()}
    assert emotions["train"] == ["neutral", "angry", "happy", "sad", "happy", "sad", "happy"]
    assert emotions["valid"] == emotions["test"] == ["sad", "happy"]
    assert found.protocol["dropped"] == {"train": {"no_agreement": 1, "other": 1}}
    assert found.protocol["four_classes"] is True


def test_without_four_classes_all_classes_are_retained(tree):
    found = iemocap.read(tree, partition="fixed")
    assert {"no_agreement", "other", "excited"} <= {row.emotion for row in found.sets["train"]}
    assert found.protocol["four_classes"] is False


def test_excluded_classes_are_not_in_the_manifests(tree, tmp_path):
    options = {"drop_train": "other, no_agreement", "drop_test": ["excited"]}
    found = iemocap.read(tree, partition="fixed", **options)
    assert found.protocol["dropped"] == {
        "train": {"no_agreement": 1, "other": 1},
        "test": {"excited": 1},
    }
    summary = prepare_manifests(iemocap, tree, tmp_path / "out", partition="fixed", **options)
    assert "audio without a label" not in summary.rejected


def test_excluding_an_unknown_class_raises(tree):
    with pytest.raises(
        ValueError, match=r"--drop_test must contain only .*found xxx. Valid emotions: angry"
    ):
        iemocap.read(tree, drop_test=["xxx"])


@pytest.mark.parametrize("partition", ["paper", "official", "random", ""])
def test_unknown_partition_raises(tree, partition):
    with pytest.raises(ValueError, match=f"session or speaker or fixed; found '{partition}'"):
        iemocap.read(tree, partition=partition)


@pytest.mark.parametrize(("partition", "fold"), [("session", 6), ("speaker", 11), ("fixed", 2)])
def test_nonexistent_fold_raises(tree, partition, fold):
    with pytest.raises(ValueError, match=f"--fold must be .*; found {fold}"):
        iemocap.read(tree, partition=partition, fold=fold)


def test_four_classes_do_not_hide_contradictory_rows(
    tree, dialogue, turns, tmp_path, rejected_rows
):
    """Rows for one id, happy and excited, must not become duplicates through merging."""
    name = "Ses02M_script01_1b"
    text = turns(name, ("exc", "exc", "hap")).replace("_F002", "_F000")
    dialogue(name, text)
    for k, options in enumerate(({}, {"four_classes": True}, {"drop_train": "happy"})):
        options = {"partition": "fixed", "four_classes": True, **options}
        summary = prepare_manifests(iemocap, tree, tmp_path / str(k), **options)
        rows = [row for row in rejected_rows(tmp_path / str(k)) if "_F000.wav" in row[0]]
        assert len(rows) == (1 if "drop_train" in options else 2)
        reason = f"duplicate id: '{name}_F000' occurs in 2 different rows"
        assert all(row[2].startswith(reason) for row in rows)
        assert f"{name}_F000" not in summary.sets["train"].read_text()
        assert f"{name}_M001" in summary.sets["train"].read_text()


def test_identical_rows_count_once_with_four_classes(tree, dialogue, turns, tmp_path, rows_of):
    name = "Ses05M_script01_1b"
    dialogue(
        name,
        turns(name, ("exc", "neu", "exc")).replace(
            "2.0000 - 2.5000]\tSes05M_script01_1b_F002", "0.0000 - 0.5000]\tSes05M_script01_1b_F000"
        ),
    )
    summary = prepare_manifests(
        iemocap, tree, tmp_path / "out", partition="fixed", four_classes=True
    )
    assert [row[7] for row in rows_of(summary.sets["test"])[1:]] == ["happy", "neutral"]
    assert summary.rejected["duplicate id"] == 1


def test_only_label_files_are_read(tree):
    before = iemocap.read(tree).sets
    labels = tree / "Session1/dialog/EmoEvaluation"
    other = (labels / "Ses01F_impro01.txt").read_text("latin-1").replace("impro01_", "impro02_")
    (labels / "Ses01F_impro02").write_text(other)
    (labels / "Ses01F_impro02.txt~").write_text(other)
    (labels / "Ses01F_impro02.anvil").write_text(other)
    assert iemocap.read(tree).sets == before


def test_added_label_file_triggers_a_new_preparation(tree, tmp_path, wav, turns):
    name = "Ses02M_impro03"
    wav(tree / f"Session2/sentences/wav/{name}/{name}_F000.wav", seconds=0.1)
    before = prepare_manifests(iemocap, tree, tmp_path / "out")
    assert prepare_manifests(iemocap, tree, tmp_path / "out").skipped
    labels = tree / f"Session2/dialog/EmoEvaluation/{name}.txt"
    labels.write_text(turns(name, ("sad",)))
    after = prepare_manifests(iemocap, tree, tmp_path / "out")
    assert not after.skipped
    assert sum(after.counts.values()) == sum(before.counts.values()) + 1


def test_added_transcripts_in_the_official_spelling_are_preferred(tree, tmp_path):
    dialog = tree / "Session1" / "dialog"
    (dialog / "transcriptions").rename(dialog / "Transcriptions")
    prepare_manifests(iemocap, tree, tmp_path / "out")
    assert prepare_manifests(iemocap, tree, tmp_path / "out").skipped
    (dialog / "transcriptions").mkdir()
    (dialog / "transcriptions" / "Ses01F_impro01.txt").write_text("nothing")
    summary = prepare_manifests(iemocap, tree, tmp_path / "out")
    assert not summary.skipped
    assert summary.warnings == ["12 of 12 utterances have no transcript."]


def test_unreadable_transcript_is_empty(tree, transcription, tmp_path):
    spoken = tree / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    spoken.write_bytes(transcription.encode("utf-16"))
    summary = prepare_manifests(iemocap, tree, tmp_path / "out")
    assert summary.warnings[0].startswith(
        f"1 transcripts could not be read and are left empty (first: {spoken} must be text in UTF"
    )
    assert summary.warnings[1] == "12 of 12 utterances have no transcript."


def test_missing_transcripts_are_counted_among_used_rows(tree, tmp_path):
    options = {"partition": "fixed", "four_classes": True}
    summary = prepare_manifests(iemocap, tree, tmp_path / "out", **options)
    # 4 of the first dialogue less two classes and a label off the scale ..., 2 of each other one.
    assert summary.warnings == ["9 of 10 utterances have no transcript."]


def test_parent_folder_is_accepted(tree):
    tree.rename(tree.with_name("IEMOCAP_full_release"))
    found = iemocap.read(tree.parent)
    assert found.data_root.name == "IEMOCAP_full_release"
    assert found.sets["test"][0].path.startswith("Session1/")


def test_other_capitalisations_are_accepted(tree):
    (tree / "Session3").rename(tree / "session3")
    (tree / "Session4" / "dialog").rename(tree / "Session4" / "Dialog")
    found = iemocap.read(tree, partition="fixed")
    assert len(found.sets["valid"]) == 2
    assert "session3/sentences/wav" in found.sets["train"][-1].path


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("Session3", "Session3 is missing. Found Session1, Session2, Session4, Session5"),
        ("Session3/dialog/EmoEvaluation", "must contain the folder dialog/EmoEvaluation; found"),
        ("Session3/sentences/wav", "must contain the folder sentences/wav; found"),
    ],
)
def test_missing_folder_raises(tree, missing, message):
    (tree / missing).rename(tree.parent / "elsewhere")
    with pytest.raises(FileNotFoundError, match=message):
        iemocap.read(tree)


def test_session_without_label_files_raises(tree):
    (tree / "Session3/dialog/EmoEvaluation/Ses03M_script01_1b.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"must contain a label file <dialogue>\.txt"):
        iemocap.read(tree)


def test_added_and_changed_files_trigger_a_new_preparation(tree, dialogue, tmp_path):
    prepare_manifests(iemocap, tree, tmp_path / "out")
    assert prepare_manifests(iemocap, tree, tmp_path / "out").skipped
    spoken = tree / "Session2" / "dialog" / "transcriptions"
    spoken.mkdir()
    (spoken / "Ses02M_script01_1b.txt").write_text("Ses02M_script01_1b_F000 [0.0-0.5]: Hello\n")
    summary = prepare_manifests(iemocap, tree, tmp_path / "out")
    assert not summary.skipped
    assert summary.warnings == ["9 of 12 utterances have no transcript."]
