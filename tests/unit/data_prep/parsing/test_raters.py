"""Individual ratings: emotion words, SDs, votes, and comparison with the consensus labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.corpus import NO_RATERS, RaterStatistics
from data_prep.manifest import prepare_manifests, read_manifest
from data_prep.msp_podcast import reader as msp_podcast
from data_prep.msp_podcast.reader import read_raters
from data_prep.parsing.rater_text import read_blocks
from data_prep.parsing.raters import (
    Rater,
    RaterCheck,
    drop_repeated_ratings,
    mean_mismatch,
    parse_emotion,
    summarise_raters,
)
from emosphere_sb.scale import Scale

HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
LABELS = """\
MSP-PODCAST_0001_0139.wav,N,2.000000,4.000000,3.000000,30,Male,Train
MSP-PODCAST_0001_0140.wav,A,5.333333,2.000000,6.000000,31,Male,Development
MSP-PODCAST_0001_0141.wav,X,4.000000,4.000000,4.000000,32,Female,Train"""
TEXT = """\
MSP-PODCAST_0001_0139.wav; N; A:2.000000; V:4.000000; D:3.000000;
WORKER00000001; Other-tired; or: bored?; Concerned,Confused; A:3.000000; V:3.000000; D:4.000000;
WORKER0000018; Neutral; Neutral; A:1.000000; V:5.000000; D:2.000000;

MSP-PODCAST_0001_0140.wav; A; A:5.333333; V:2.000000; D:6.000000;
WORKER00000001; Angry; Angry,Sad; A:6.000000; V:1.000000; D:6.000000;
WORKER00000002; Angry; Angry; A:5.000000; V:2.000000; D:6.000000;
WORKER00000003; Sad; Sad; A:5.000000; V:3.000000; D:6.000000;

MSP-PODCAST_0001_0141.wav; X; A:4.000000; V:4.000000; D:4.000000;
WORKER00000009; Happy; Happy; A:4.000000; V:4.000000; D:4.000000;
"""
DETAILED = """\
FileName,WorkerID,EmoClass_Major,EmoClass_Second,EmoAct,EmoVal,EmoDom
MSP-PODCAST_0001_0139.wav,WORKER00000001,"Other-tired; or: bored?","Concerned,Confused",3,3,4
MSP-PODCAST_0001_0139.wav,WORKER0000018,Neutral,Neutral,1,5,2
MSP-PODCAST_0001_0140.wav,WORKER00000001,Angry,"Angry,Sad",6,1,6
MSP-PODCAST_0001_0140.wav,WORKER00000002,Angry,Angry,5,2,6
MSP-PODCAST_0001_0140.wav,WORKER00000003,Sad,Sad,5,3,6
MSP-PODCAST_0001_0141.wav,WORKER00000009,Happy,Happy,4,4,4
"""
EMO_DETAIL = "\n".join(
    ["FileName,EmoDetail"]
    + [
        f"{block.splitlines()[0].partition(';')[0]},{line}"
        for block in TEXT.split("\n\n")
        for line in block.splitlines()[1:]
    ]
)
"""The table of some releases: the lines of ``labels.txt``, without quotation marks."""
STATISTICS = {
    # Deviations by hand: (3, 5) and (3, 1) and (4, 2) -> 1; (1, 2, 3) -> sqrt(2/3);
    # (6, 5, 5) -> sqrt(2)/3.
    "MSP-PODCAST_0001_0139": RaterStatistics(2, 1.0, 1.0, 1.0, "neutral:1;other:1"),
    "MSP-PODCAST_0001_0140": RaterStatistics(
        3, pytest.approx((2 / 3) ** 0.5), pytest.approx(2**0.5 / 3), 0.0, "angry:2;sad:1"
    ),
    "MSP-PODCAST_0001_0141": RaterStatistics(1, 0.0, 0.0, 0.0, "happy:1"),
}


@pytest.fixture
def root(tmp_path, wav):
    """Return a function that writes an MSP-Podcast corpus with three utterances."""

    def write(text=TEXT, *, name="Labels/labels.txt", labels=LABELS):
        folder = tmp_path / "MSP-PODCAST"
        for line in LABELS.splitlines():
            wav(folder / "Audios" / line.split(",")[0])
        (folder / "Labels").mkdir(exist_ok=True)
        (folder / "Labels" / "labels_consensus.csv").write_text(f"{HEADER}\n{labels}\n")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        return folder

    return write


def read(folder):
    return msp_podcast.read(folder, raters=True, release="2.0")


def by_id(corpus):
    return {row.id: row.raters for _, row in corpus.utterances()}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (TEXT, "Labels/labels.txt"),
        (TEXT, "Labels/Labels.TXT"),
        (TEXT.replace("\n", "\r\n"), "Labels/labels.txt"),
        (TEXT.replace(";\n", "; \n").replace("; ", " ;  "), "labels.txt"),
        (DETAILED, "Labels/labels_detailed.csv"),
        (DETAILED.replace("FileName,WorkerID", "filename, workerid"), "Labels/Labels_Detailed.csv"),
        (DETAILED.replace(";", ".").replace(",", ";"), "Labels/labels_detailed.csv"),
        (EMO_DETAIL, "Labels/labels_detailed.csv"),
        (EMO_DETAIL.replace(".wav,", '.wav,"').replace(";\n", ';"\n') + '"', "labels_detailed.csv"),
        ("\ufeff" + EMO_DETAIL.replace("\n", "\r\n"), "Labels/labels_detailed.csv"),
    ],
)
def test_statistics_of_both_files_in_many_variants(root, text, name):
    found = read(root(text, name=name))
    assert by_id(found) == STATISTICS
    assert found.warnings == []


@pytest.mark.parametrize("damage", ["A:6.000000", "D:6.000000;", "Angry,Sad; "])
def test_damaged_detail_is_reported(root, damage):
    text = EMO_DETAIL.replace(damage, "", 1)
    found = read(root(text, name="Labels/labels_detailed.csv"))
    expected = dict(STATISTICS)
    if damage != "Angry,Sad; ":  # the secondary emotions are not used
        expected["MSP-PODCAST_0001_0140"] = NO_RATERS
        assert len(found.warnings) == 1
    assert by_id(found) == expected


def test_columns_of_the_table_are_taken_by_name(root):
    rows = [line.split(",") for line in DETAILED.replace('"Concerned,Confused"', "x").splitlines()]
    rows = [row if len(row) == 7 else [*row[:3], "x", *row[-3:]] for row in rows]
    text = "\n".join(",".join(reversed(row)) for row in rows)
    assert by_id(read(root(text, name="Labels/labels_detailed.csv"))) == STATISTICS


def test_manifest_contains_the_rater_statistics(root, tmp_path, rows_of):
    summary = prepare_manifests(msp_podcast, root(), tmp_path / "out", raters=True)
    rows = rows_of(summary.sets["train"])
    columns = ["n_raters", "valence_sd", "arousal_sd", "dominance_sd", "votes"]
    assert rows[0][-6:] == ["transcript", *columns]
    assert [row[-5:] for row in rows[1:]] == [
        ["2", "1.0", "1.0", "1.0", "neutral:1;other:1"],
        ["1", "0.0", "0.0", "0.0", "happy:1"],
    ]
    frame = read_manifest(summary.sets["valid"])
    assert (frame.n_raters[0], frame.valence_sd[0]) == (3, np.std([1.0, 2.0, 3.0]))


def test_raters_are_optional(root):
    assert set(by_id(msp_podcast.read(root())).values()) == {NO_RATERS}


def test_without_raters_the_columns_are_empty(root, tmp_path):
    frame = read_manifest(prepare_manifests(msp_podcast, root(), tmp_path / "out").sets["train"])
    assert np.isnan(frame.n_raters).all() and np.isnan(frame.dominance_sd).all()
    assert set(frame.votes) == {""}


def test_missing_raters_file_raises(root):
    folder = root()
    (folder / "Labels" / "labels.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"Labels/labels.txt or .*Use --raters=False"):
        read(folder)


def test_changed_raters_file_triggers_a_new_preparation(root, tmp_path):
    folder = root()
    prepare_manifests(msp_podcast, folder, tmp_path / "out", raters=True)
    assert prepare_manifests(msp_podcast, folder, tmp_path / "out", raters=True).skipped
    (folder / "Labels" / "labels.txt").write_text(TEXT.replace("Sad;", "Fear;"))
    assert not prepare_manifests(msp_podcast, folder, tmp_path / "out", raters=True).skipped


def test_consensus_that_differs_from_the_mean_is_counted(root):
    found = read(root(TEXT.replace("V:5.000000", "V:4.000000").replace("D:2.0", "D:2.00001")))
    assert found.warnings == [
        "1 utterances have labels that differ from the mean of their raters (first: "
        "MSP-PODCAST_0001_0139, valence is 4, but the mean of 2 raters is 3.5)."
    ]


def test_swapped_dimensions_differ_from_the_mean(root):
    swapped = TEXT.replace("A:", "?:").replace("D:", "A:").replace("?:", "D:")
    assert read(root(swapped)).warnings[0].startswith("2 utterances have labels that differ")


def test_damaged_rater_line_gives_no_statistics_and_is_located(root):
    found = read(root(TEXT.replace("A:5.000000; V:2.000000; D:6.000000;", "A:5.000000; V:2.00")))
    assert by_id(found) == {**STATISTICS, "MSP-PODCAST_0001_0140": NO_RATERS}
    assert found.warnings == [
        "1 utterances have unusable rater lines and therefore no rater statistics (first: "
        "labels.txt:7, malformed line: missing ';' after 'V:2.00')."
    ]


def test_damaged_row_of_the_table_gives_a_warning(root):
    text = DETAILED.replace("Angry,Angry,5,2,6", "Angry,Angry,5,two,6")
    found = read(root(text, name="Labels/labels_detailed.csv"))
    assert by_id(found) == {**STATISTICS, "MSP-PODCAST_0001_0140": NO_RATERS}
    assert "labels_detailed.csv:5, not a number: EmoVal is 'two'" in found.warnings[0]


def test_unknown_words_are_not_counted_as_votes(root):
    found = read(root(TEXT.replace("Angry; Angry;", "Hungry; Angry;")))
    assert by_id(found)["MSP-PODCAST_0001_0140"].votes == "angry:1;sad:1"
    assert "votes for unknown emotions" in found.warnings[0]
    assert "'Hungry'" in found.warnings[0]


def test_repeated_utterance_has_no_rater_statistics(root):
    first = TEXT.split("\n\n")[0]
    found = read(root(f"{TEXT}\n{first}\n"))
    assert by_id(found) == {**STATISTICS, "MSP-PODCAST_0001_0139": NO_RATERS}
    assert "1 utterances occur twice in the file of individual ratings" in found.warnings[0]


def test_utterances_in_only_one_file_are_reported(root):
    text = TEXT.replace("0141.wav", "0999.wav")
    found = read(root(text))
    assert by_id(found)["MSP-PODCAST_0001_0141"] == NO_RATERS
    assert found.warnings == [
        "1 utterances in the file of individual ratings have no usable labels (first: "
        "labels.txt, line 10).",
        "1 utterances are missing from the file of individual ratings (first: "
        "MSP-PODCAST_0001_0141.wav).",
    ]


def test_identical_label_rows_remain_identical(root, tmp_path):
    labels = f"{LABELS}\n{LABELS.splitlines()[0]}"
    summary = prepare_manifests(msp_podcast, root(labels=labels), tmp_path / "out", raters=True)
    assert summary.counts == {"train": 2, "valid": 1}


def test_identical_lines_of_a_rater_count_once(root):
    line = TEXT.splitlines()[5]
    found = read(root(TEXT.replace(line, f"{line}\n{line}")))
    assert by_id(found) == STATISTICS and found.warnings == []


def test_raters_without_names_are_counted_separately():
    raters = [Rater("", ("sad",), (), 1.0), Rater("", ("sad",), (), 1.0), Rater("a"), Rater("a")]
    assert len(drop_repeated_ratings(raters)) == 3


def test_two_different_ratings_by_one_rater_count_twice():
    raters = [Rater("a", (), (), 1.0), Rater("a", (), (), 3.0)]
    assert summarise_raters(raters) == RaterStatistics(2, 1.0)


def test_no_raters_give_empty_statistics():
    assert summarise_raters([]) == NO_RATERS


def test_votes_are_sorted_by_count_and_name():
    raters = [Rater(str(k), (word,)) for k, word in enumerate(["sad", "fear", "angry", "sad"])]
    assert summarise_raters(raters).votes == "sad:2;angry:1;fear:1"


ratings = st.lists(st.tuples(*[st.none() | st.floats(1, 7)] * 3), min_size=1, max_size=9)


@given(ratings)
def test_sd_equals_numpy_and_the_mean_is_accepted(rows):
    raters = [Rater(str(k), (), (), *vad) for k, vad in enumerate(rows)]
    columns = [
        [value for value in column if value is not None] for column in zip(*rows, strict=True)
    ]
    found = summarise_raters(raters)
    for spread, column in zip(found.sd, columns, strict=True):
        assert spread == (pytest.approx(np.std(column), abs=1e-9) if column else None)
    means = [np.mean(column) if column else None for column in columns]
    assert mean_mismatch(means, raters) == ""


@pytest.mark.parametrize(
    ("off", "differs"), [(0.9e-4, False), (1.1e-4, True), (float("inf"), True)]
)
def test_tolerance_of_the_mean(off, differs):
    raters = [Rater("a", (), (), 2.0), Rater("b", (), (), 3.0)]
    assert bool(mean_mismatch((2.5 + off, None, None), raters)) is differs


@pytest.mark.parametrize(
    ("word", "emotion"),
    [
        ("Neutral state", "neutral"),
        ("ANGER", "angry"),
        ("Other", "other"),
        ("Other-Sad", "other"),
        ("Otherwise", ""),
        ("", ""),
        ("Frustration", "frustrated"),
    ],
)
def test_rater_words_are_converted_to_emotions(word, emotion):
    assert parse_emotion(word) == emotion


def test_warnings_contain_the_count_and_the_first_example():
    check = RaterCheck(Scale(1, 7))
    check.summarise("a", (1.0,) * 3, [], problem="x.txt:3, damaged")
    check.summarise("b", (1.0,) * 3, [], problem="x.txt:9, damaged")
    assert check.warnings() == [
        "2 utterances have unusable rater lines and therefore no rater statistics (first: "
        "x.txt:3, damaged)."
    ]


@pytest.mark.parametrize("rating", ["A:7.5", "A:-1.0", "A:1e300", "A:inf"])
def test_rating_outside_the_scale_gives_no_statistics(root, rating):
    found = read(root(TEXT.replace("A:6.000000; V:1.0", f"{rating}; V:1.0")))
    assert by_id(found) == {**STATISTICS, "MSP-PODCAST_0001_0140": NO_RATERS}
    assert "1 utterances have unusable rater lines" in found.warnings[0]


def test_read_raters(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text(TEXT)
    block = next(read_raters(path))
    assert (block.file, block.letter, block.vad) == (
        "MSP-PODCAST_0001_0139.wav",
        "N",
        (4.0, 2.0, 3.0),
    )
    assert [rater.vad for rater in block.raters] == [(3.0, 3.0, 4.0), (5.0, 1.0, 2.0)]
    assert [rater.name for rater in block.raters] == ["WORKER00000001", "WORKER0000018"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a.wav; N; A:1; V:2; D:3", "missing ';' after 'D:3'"),
        ("a.wav; N; A:1; V:2;", "missing at the end: D"),
        ("a.wav; N; A:1; V:2; D:3; x;", "missing at the end: V, A, D"),
        ("a.wav; N; A:1; A:1; V:2; D:3;", "must contain a file name, a class, and A, V, D"),
        ("a.wav; A:1; V:2; D:3;", "must contain a file name, a class, and A, V, D"),
        ("a.mp3; N; A:1; V:2; D:3;", "must contain a file name, a class, and A, V, D"),
        ("a.wav, N, A:1, V:2, D:3;", "missing at the end: V, A, D"),
        ("a.wav; N; A:1; V:1.2.3; D:3;", "not a number: valence is '1.2.3'"),
        ("w1; Sad; Sad; A:1; V:2; D:3;", "must contain a file name, a class, and A, V, D"),
    ],
)
def test_unusable_first_lines_of_a_block(tmp_path, text, problem):
    path = tmp_path / "x.txt"
    path.write_text(f"\n{text}\n")
    (block,) = read_blocks(path)
    assert problem in block.problem and block.problem.endswith("(x.txt, line 2)")
