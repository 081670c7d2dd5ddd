"""Alternative names of label files: adding a file triggers a new preparation."""

import pytest

from data_prep.manifest import prepare_manifests
from data_prep.msp_improv import reader as msp_improv
from data_prep.msp_podcast import reader as msp_podcast
from data_prep.parsing.folders import candidate_paths

PODCAST = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n" + "".join(
    f"MSP-PODCAST_000{k}_0001.wav,N,2,3,4,{k},Male,{split}\n"
    for k, split in enumerate(("Train", "Development", "Test1"))
)
OTHER = PODCAST.replace(",2,3,4,", ",5,6,7,")
RATERS = "".join(
    f"MSP-PODCAST_000{k}_0001.wav; N; A:2; V:3; D:4;\nWORKER00000001; Sad; Sad; A:2; V:3; D:4;\n\n"
    for k in range(3)
)
DETAILED = "FileName,WorkerID,EmoClass_Major,EmoAct,EmoVal,EmoDom\n" + "".join(
    f"MSP-PODCAST_000{k}_0001.wav,WORKER00000001,Sad,2,3,4\n" for k in range(3)
)


@pytest.fixture
def podcast(tmp_path, wav):
    """Return a function that writes an MSP-Podcast corpus: ``podcast({path: text})``."""

    def write(files):
        root = tmp_path / "MSP-PODCAST"
        for k in range(0 if root.exists() else 3):  # rewriting the audio would be a change
            wav(root / f"Audios/MSP-PODCAST_000{k}_0001.wav")
        for name, text in files.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)
        return root

    return write


@pytest.fixture
def improv(tmp_path, wav):
    """Return a function that writes an MSP-IMPROV corpus: ``improv({path: valence})``."""

    def write(files):
        root = tmp_path / "MSP-IMPROV"
        is_new = not root.exists()
        for name, valence in files.items():
            lines = []
            for session in "123456":
                stem = f"IMPROV-S01A-F0{session}-R-FF01"
                if is_new:  # rewriting the audio would be a change
                    wav(root / f"session{session}/S01A/R/MSP-{stem}.wav")
                lines.append(f"UTD-{stem}.avi; A; A:2.0; V:{valence}.0; D:4.0; N:3.0;\n\n")
            (root / name).write_text("".join(lines))
        return root

    return write


@pytest.mark.parametrize(
    ("read", "appears"),
    [
        ("labels_consensus.csv", "Labels/labels_consensus.csv"),
        ("Label/labels_concensus.csv", "Labels/labels_concensus.csv"),
        ("Labels/labels_concensus.csv", "Labels/labels_consensus.csv"),
        ("Labels/labels_concensus.csv", "labels_consensus.csv"),
        ("labels/labels_concensus.csv", "labels/labels_consensus.csv"),
        ("labels/labels_consensus.csv", "Labels/labels_consensus.csv"),
        ("labels/Labels_Consensus.csv", "labels/labels_consensus.csv"),
    ],
)
def test_added_preferred_labels_are_read(podcast, tmp_path, rows_of, read, appears):
    root = podcast({read: PODCAST})
    prepare_manifests(msp_podcast, root, tmp_path / "out")
    assert prepare_manifests(msp_podcast, root, tmp_path / "out").skipped
    podcast({appears: OTHER})
    summary = prepare_manifests(msp_podcast, root, tmp_path / "out")
    assert rows_of(summary.sets["train"])[1][4:7] == ["6.0", "5.0", "7.0"]
    (warning,) = [text for text in summary.warnings if "different contents" in text]
    assert warning == (
        f"{root / appears} is used, but {root / read} also exists and has different contents. "
        "Remove one of them."
    )


def test_differing_alternative_file_is_reported(podcast, tmp_path):
    root = podcast({"Labels/labels_consensus.csv": PODCAST})
    prepare_manifests(msp_podcast, root, tmp_path / "out", release="2.0")
    podcast({"Labels/labels_concensus.csv": OTHER})
    summary = prepare_manifests(msp_podcast, root, tmp_path / "out", release="2.0")
    assert not summary.skipped and len(summary.warnings) == 1
    assert "labels_concensus.csv also exists and has different contents" in summary.warnings[0]


def test_identical_copies_are_accepted(podcast):
    root = podcast({"Labels/labels_consensus.csv": PODCAST, "labels_concensus.csv": PODCAST})
    assert msp_podcast.read(root, release="2.0").warnings == []


def test_alternatives_to_a_user_label_file_are_ignored(podcast):
    root = podcast({"Labels/labels_consensus.csv": PODCAST, "mine.csv": OTHER})
    found = msp_podcast.read(root, release="2.0", labels_file="mine.csv")
    assert found.warnings == []
    assert not any("consensus" in path.name for path in found.inputs)


@pytest.mark.parametrize(
    ("read", "appears"),
    [
        ("Labels/Partition.txt", "Labels/Partitions.txt"),
        ("Partition.txt", "Partitions.txt"),
        ("Labels/Partitions.txt", "Partitions.txt"),
        ("Labels/other.txt", "Labels/Partition.txt"),
    ],
)
def test_added_list_of_sets_is_read(podcast, tmp_path, wav, read, appears):
    root = podcast({"Labels/labels_consensus.csv": PODCAST, read: "Test3; MSP-PODCAST_x.wav\n"})
    wav(root / "Audios" / "MSP-PODCAST_y.wav")
    prepare_manifests(msp_podcast, root, tmp_path / "out")
    assert prepare_manifests(msp_podcast, root, tmp_path / "out").skipped
    podcast({appears: "Test3; MSP-PODCAST_y.wav\n"})
    assert prepare_manifests(msp_podcast, root, tmp_path / "out").counts["test3"] == 1


def test_added_raters_are_read(podcast, tmp_path, rows_of):
    detailed = {"Labels/labels_detailed.csv": DETAILED.replace("Sad", "Angry")}
    root = podcast({"Labels/labels_consensus.csv": PODCAST, **detailed})
    options = {"raters": True, "release": "2.0"}
    prepare_manifests(msp_podcast, root, tmp_path / "out", **options)
    assert prepare_manifests(msp_podcast, root, tmp_path / "out", **options).skipped
    podcast({"labels.txt": RATERS})
    summary = prepare_manifests(msp_podcast, root, tmp_path / "out", **options)
    assert rows_of(summary.sets["train"])[1][-1] == "sad:1"
    assert summary.warnings == []  # the contents of the text and the table differ as expected
    podcast({"Label/labels.txt": RATERS.replace("Sad", "Happy")})
    (warning,) = prepare_manifests(msp_podcast, root, tmp_path / "out", **options).warnings
    assert warning.startswith(f"{root / 'Label/labels.txt'} is used, but {root / 'labels.txt'} ")


@pytest.mark.parametrize(
    ("read", "appears", "valence"),
    [("Evaluation.txt", "Evalution.txt", "4.0"), ("Evalution.txt", "Evaluation.txt", "2.0")],
)
def test_added_labels_of_msp_improv_are_read(improv, tmp_path, rows_of, read, appears, valence):
    root = improv({read: 2})
    prepare_manifests(msp_improv, root, tmp_path / "out")
    assert prepare_manifests(msp_improv, root, tmp_path / "out").skipped
    improv({appears: 4})
    summary = prepare_manifests(msp_improv, root, tmp_path / "out")
    assert not summary.skipped
    assert rows_of(summary.sets["train"])[1][4] == valence
    assert [text for text in summary.warnings if "different contents" in text] == [
        f"{root / 'Evalution.txt'} is used, but {root / 'Evaluation.txt'} also exists and has "
        "different contents. Remove one of them."
    ]


def test_transcripts_of_msp_improv_in_the_official_spelling(improv, tmp_path, rows_of):
    root = improv({"Evalution.txt": 2})
    name = "MSP-IMPROV-S01A-F03-R-FF01.txt"
    for folder in ("human_transcriptions", "Human_transcriptions"):
        prepare_manifests(msp_improv, root, tmp_path / "out")
        spoken = root / folder / "All_human_transcriptions"
        spoken.mkdir(parents=True)
        (spoken / name).write_text(f"From {folder}.")
    summary = prepare_manifests(msp_improv, root, tmp_path / "out")
    assert rows_of(summary.sets["train"])[1][11] == "From Human_transcriptions."


def test_unreadable_transcript_of_msp_improv_is_empty(improv, tmp_path, rows_of):
    root = improv({"Evalution.txt": 2})
    spoken = root / "Human_transcriptions" / "All_human_transcriptions"
    spoken.mkdir(parents=True)
    (spoken / "MSP-IMPROV-S01A-F03-R-FF01.txt").write_text("Well.", encoding="utf-16")
    (spoken / "MSP-IMPROV-S01A-F04-R-FF01.txt").write_text("Well.")
    summary = prepare_manifests(msp_improv, root, tmp_path / "out")
    assert [row[11] for row in rows_of(summary.sets["train"])[1:]] == ["", "Well.", "", ""]
    assert summary.warnings[0].startswith(
        "1 transcripts could not be read and are left empty (first: "
        f"{spoken}/MSP-IMPROV-S01A-F03-R-FF01.txt must be text in UTF-8"
    )
    assert summary.warnings[1] == "5 of 6 utterances have no transcript."


def test_missing_msp_improv_transcripts_are_counted_among_used_rows(improv, tmp_path):
    root = improv({"Evalution.txt": 2})
    (root / "session3/S01A/R/MSP-IMPROV-S01A-F03-R-FF01.wav").unlink()
    summary = prepare_manifests(msp_improv, root, tmp_path / "out")
    assert "5 of 5 utterances have no transcript." in summary.warnings
    summary = prepare_manifests(msp_improv, root, tmp_path / "out", drop_test="angry")
    assert "4 of 4 utterances have no transcript." in summary.warnings


def test_candidate_paths_are_unique(tmp_path):
    names = ["Labels/a.csv", "./a.csv"]
    assert candidate_paths(tmp_path, names) == [tmp_path / "Labels/a.csv", tmp_path / "a.csv"]
    (tmp_path / "LABELS").mkdir()
    (tmp_path / "LABELS" / "A.csv").write_text("")
    assert candidate_paths(tmp_path, names) == [
        tmp_path / "LABELS/A.csv",
        tmp_path / "LABELS/a.csv",
        tmp_path / "Labels/a.csv",
        tmp_path / "a.csv",
    ]
