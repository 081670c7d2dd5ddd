"""MSP-Podcast: a handwritten tree results in handwritten manifests."""

import os

import pytest

from data_prep.corpus import Rejection, Utterance
from data_prep.manifest import prepare_manifests
from data_prep.msp_podcast import reader as msp_podcast
from data_prep.msp_podcast.labels import EMOTIONS

HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
ROWS = """\
MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Train
MSP-PODCAST_0001_0009.wav,X,3.777778,3.555556,3.5,Unknown,Unknown,Train
MSP-PODCAST_0002_0001.wav,A,6.0,1.5,6.25,41,Female,Development
MSP-PODCAST_0003_0001.wav,H,5.0,6.0,4.0,42,Female,Test1
MSP-PODCAST_0004_0001.wav,O,5.5,6.5,4.5,30,Male,Test2"""
NAMES = [line.split(",")[0] for line in ROWS.splitlines()]


@pytest.fixture
def corpus(tmp_path, wav):
    """Return a function that writes a small corpus and returns its folder."""

    def write(rows=ROWS, *, header=HEADER, audio="Audios", labels="Labels/labels_consensus.csv"):
        root = tmp_path / "MSP-PODCAST"
        for line in rows.splitlines():
            name = line.split(",")[0].strip()
            if name.endswith(".wav"):
                wav(root / audio / name)
        (root / labels).parent.mkdir(parents=True, exist_ok=True)
        (root / labels).write_text(f"{header}\n{rows}\n", encoding="utf-8")
        return root

    return write


def rows_in(splits):
    """Return label rows with the given number of rows in each Split_Set."""
    return "\n".join(
        f"MSP-PODCAST_{k:04}_{n:06}.wav,N,4,4,4,{k},Male,{split}"
        for k, (split, count) in enumerate(splits.items())
        for n in range(count)
    )


def test_manifests_of_a_small_corpus(corpus, tmp_path, rows_of):
    summary = prepare_manifests(msp_podcast, corpus(), tmp_path / "out")
    header = "ID,duration,wav,sample_rate,valence,arousal,dominance,emotion,speaker,gender,session"
    audio = "$data_root/Audios/MSP-PODCAST"
    expected = {
        "train": [
            f"MSP-PODCAST_0001_0008,0.5,{audio}_0001_0008.wav,16000,4.0,2.2,2.6,neutral,30,Male,,",
            f"MSP-PODCAST_0001_0009,0.5,{audio}_0001_0009.wav,16000,3.555556,3.777778,3.5,"
            "no_agreement,Unknown,Unknown,,",
        ],
        "valid": [
            f"MSP-PODCAST_0002_0001,0.5,{audio}_0002_0001.wav,16000,1.5,6.0,6.25,angry,41,Female,,"
        ],
        "test1": [
            f"MSP-PODCAST_0003_0001,0.5,{audio}_0003_0001.wav,16000,6.0,5.0,4.0,happy,42,Female,,"
        ],
        "test2": [
            f"MSP-PODCAST_0004_0001,0.5,{audio}_0004_0001.wav,16000,6.5,5.5,4.5,other,30,Male,,"
        ],
    }
    assert list(summary.sets) == list(expected)
    for name, lines in expected.items():
        raters = "n_raters,valence_sd,arousal_sd,dominance_sd,votes"
        wanted = [f"{header},transcript,{raters}", *(f"{line},,,,," for line in lines)]
        assert rows_of(summary.sets[name]) == [line.split(",") for line in wanted]
    assert rows_of(tmp_path / "out" / "rejected.csv") == [["path", "set", "reason"]]


def test_columns_are_read_by_name(corpus):
    header = "Split_Set,Gender,SpkrID,EmoDom,EmoVal,EmoAct,EmoClass,FileName"
    root = corpus("Train,Male,7,3,2,1,S,MSP-PODCAST_0001_0001.wav", header=header, audio="audio")
    (root / "audio").mkdir()
    row = msp_podcast.read(root).sets["train"][0]
    assert (row.valence, row.arousal, row.dominance) == (2.0, 1.0, 3.0)
    assert (row.emotion, row.speaker, row.gender) == ("sad", "7", "Male")


@pytest.mark.parametrize(
    ("splits", "sets"),
    [
        (["Train", "Validation", "Test"], ["train", "valid", "test"]),
        (["Train", "Validation", "Test1", "Test2"], ["train", "valid", "test1", "test2"]),
        (["Train", "Development", "Test1", "Test2"], ["train", "valid", "test1", "test2"]),
        (["Test2", "Development", "Train"], ["train", "valid", "test2"]),
    ],
)
def test_sets_of_the_releases(corpus, splits, sets):
    assert list(msp_podcast.read(corpus(rows_in(dict.fromkeys(splits, 1)))).sets) == sets


@pytest.mark.parametrize("audio", ["Audios", "Audio", "audios", "Audios/Audio"])
@pytest.mark.parametrize(
    "labels",
    [
        "Labels/labels_consensus.csv",
        "labels/labels_concensus.csv",
        "label/Labels_Consensus.csv",
        "labels_consensus.csv",
    ],
)
def test_names_in_existing_copies_are_accepted(corpus, audio, labels):
    row = msp_podcast.read(corpus(audio=audio, labels=labels)).sets["train"][0]
    assert row.path == f"{audio}/MSP-PODCAST_0001_0008.wav"


def test_user_folders_are_used(corpus, tmp_path):
    root = corpus(audio="sounds", labels="truth/mine.csv")
    by_name = msp_podcast.read(root, audio_folder="sounds", labels_file="truth/mine.csv")
    assert by_name.sets["train"][0].path == "sounds/MSP-PODCAST_0001_0008.wav"
    by_path = msp_podcast.read(
        root, audio_folder=root / "sounds", labels_file=root / "truth/mine.csv"
    )
    assert by_path.sets == by_name.sets


def test_audio_outside_the_data_folder_is_used(corpus, tmp_path, rows_of):
    root = corpus(audio="../sounds")
    summary = prepare_manifests(msp_podcast, root, tmp_path / "out", audio_folder="../sounds")
    assert rows_of(summary.sets["valid"])[1][2] == str(tmp_path / "sounds" / NAMES[2])


@pytest.mark.parametrize(
    ("row", "reason", "name"),
    [
        ("a.wav,Q,1,2,3,4,Male,Train", "unknown emotion: 'Q'; must be one of ASHUFDCNOX", "train"),
        ("a.wav,,1,2,3,4,Male,Train", "unknown emotion: ''; must be one of ASHUFDCNOX", "train"),
        ("a.wav,N,1,zwei,3,4,Male,Test1", "not a number: EmoVal is 'zwei'", "test1"),
        ("a.wav,N,1,2,3,4,Male,NA", "unknown partition: 'NA'", ""),
        ("a.wav,N,1,2,3,4,Male,", "unknown partition: ''", ""),
        ("a.wav,N,1,2,3,4,Male", "malformed row: line 2 has 7 values, expected 8", ""),
        ("a.wav,N,1,2,3,4,Male,Train,x", "malformed row: line 2 has 9 values, expected 8", ""),
    ],
)
def test_unusable_rows_are_rejected(corpus, row, reason, name):
    found = msp_podcast.read(corpus(f"{row}\n{ROWS}"))
    assert found.rejected == [Rejection("Audios/a.wav", reason, name)]
    assert [len(rows) for rows in found.sets.values()] == [2, 1, 1, 1]


def test_row_without_a_file_is_listed_by_its_line(corpus):
    found = msp_podcast.read(corpus(f"{ROWS}\n,N,1,2,3,4,Male,Train"))
    assert found.rejected == [Rejection("labels_consensus.csv:7", "no file name: line 7", "train")]


def test_unknown_values_stay_unknown(corpus):
    found = msp_podcast.read(corpus(f"{ROWS}\nb.wav,N,,2,,,,Train"))
    assert found.sets["train"][-1] == Utterance("b", "Audios/b.wav", 2.0, None, None, "neutral")


@pytest.mark.parametrize("file", ["Partitions.txt", "Labels/partition.txt"])
def test_test3_from_partitions_and_from_the_audio(file, corpus, tmp_path, wav, rows_of):
    root = corpus()
    wav(root / "Audios" / "MSP-PODCAST_test3_0002.wav")
    wav(root / "Audios" / "MSP-PODCAST_test3_0001.wav")
    text = "Test Sets\nTrain; MSP-PODCAST_0001_0008.wav\nTest3;MSP-PODCAST_test3_0001.wav\n"
    (root / file).write_text(text + " Test3 ; MSP-PODCAST_test3_0003.wav \n")
    summary = prepare_manifests(msp_podcast, root, tmp_path / "out")
    name = "MSP-PODCAST_test3_000"
    assert rows_of(summary.sets["test3"])[1:] == [
        [f"{name}{k}", "0.5", f"$data_root/Audios/{name}{k}.wav", "16000", *[""] * 13]
        for k in (1, 2)
    ]
    assert summary.labelled == ("train", "valid", "test1", "test2")
    assert rows_of(tmp_path / "out" / "rejected.csv")[1:] == [
        [f"Audios/{name}3.wav", "test3", "missing audio file"]
    ]


def test_file_that_is_both_labelled_and_in_test3_is_used_in_neither(corpus, tmp_path):
    root = corpus()
    (root / "Partitions.txt").write_text(f"Test3; {NAMES[0]}\n")
    summary = prepare_manifests(msp_podcast, root, tmp_path / "out")
    assert summary.rejected == {"duplicate id": 2}
    assert summary.counts == {"train": 1, "valid": 1, "test1": 1, "test2": 1}


def test_labelled_test3_is_a_regular_set(corpus, tmp_path):
    summary = prepare_manifests(
        msp_podcast,
        corpus(f"{ROWS}\nMSP-PODCAST_test3_0001.wav,N,1,2,3,4,Male,Test3"),
        tmp_path / "out",
    )
    assert summary.labelled == ("train", "valid", "test1", "test2", "test3")


def test_release_is_detected_from_the_number_of_rows(monkeypatch, corpus):
    monkeypatch.setattr(msp_podcast, "RELEASES", {"9.9": {"Train": 3, "Development": 2}})
    found = msp_podcast.read(corpus(rows_in({"Train": 3, "Development": 2})))
    assert (found.release, found.warnings) == ("9.9", [])


def test_unknown_release_gives_a_warning(corpus):
    found = msp_podcast.read(corpus())
    assert found.release is None
    assert ["--release" in warning for warning in found.warnings] == [True]


def test_given_release_is_used(corpus, monkeypatch):
    found = msp_podcast.read(corpus(), release="1.10")
    assert (found.release, found.warnings) == ("1.10", [])
    monkeypatch.setattr(
        msp_podcast, "RELEASES", {"9": {"Train": 2, "Development": 1, "Test1": 1, "Test2": 1}}
    )
    found = msp_podcast.read(corpus(), release="1.10")
    assert found.release == "1.10"
    text = "The release is given as 1.10, but the numbers of rows match 9. Check --release."
    assert found.warnings == [text]


def test_unused_columns_give_a_warning(corpus):
    rows = "\n".join(f"{line},5" for line in ROWS.splitlines())
    found = msp_podcast.read(corpus(rows, header=f"{HEADER},Raters"), release="2.0")
    assert found.warnings == ["labels_consensus.csv has unused columns: raters."]


def test_excluded_classes_are_not_in_the_manifests(corpus, tmp_path, rows_of):
    summary = prepare_manifests(
        msp_podcast,
        corpus(),
        tmp_path / "out",
        drop_train=["no_agreement", "other"],
        drop_valid="other",
        drop_test=("other",),
    )
    assert summary.counts == {"train": 1, "valid": 1, "test1": 1}
    assert summary.protocol["dropped"] == {"train": {"no_agreement": 1}, "test2": {"other": 1}}
    assert summary.rejected == {}
    assert any("'test2' set is empty and was skipped" in text for text in summary.warnings)


def test_excluding_an_unknown_class_raises(corpus):
    with pytest.raises(
        ValueError, match=r"--drop_valid must contain only .*found x. Valid emotions: angry"
    ):
        msp_podcast.read(corpus(), drop_valid=["X"])


def paper_rows(per_class=4):
    """Return a development set with rows of each class, and a few rows of all other kinds."""
    development = [
        f"d_{letter}{k}.wav,{letter},4,4,4,9,Male,Development"
        for letter in EMOTIONS
        for k in range(per_class)
    ]
    others = [f"{split}.wav,N,4,4,4,1,Male,{split}" for split in ("Train", "Test1", "Test2")]
    return "\n".join(development + others)


def test_paper_partition(corpus):
    found = msp_podcast.read(corpus(paper_rows()), partition="paper", partition_per_class=3)
    valid, test = found.sets["valid"], found.sets["test"]
    words = [word for word in EMOTIONS.values() if word not in ("other", "no_agreement")]
    assert sorted(row.emotion for row in valid) == sorted(words * 3)
    assert sorted(row.emotion for row in test) == sorted([*words, *["other", "no_agreement"] * 4])
    assert len({row.id for row in valid + test}) == 40
    assert list(found.sets) == ["train", "valid", "test", "test1", "test2"]
    assert found.protocol["partition"] == "paper"
    assert (found.protocol["partition_seed"], found.protocol["partition_per_class"]) == (1, 3)


def test_paper_partition_does_not_depend_on_the_row_order(corpus):
    options = {"partition": "paper", "partition_per_class": 2}
    one = msp_podcast.read(corpus(paper_rows()), **options).sets["valid"]
    other = msp_podcast.read(corpus("\n".join(paper_rows().splitlines()[::-1])), **options)
    assert {row.id for row in other.sets["valid"]} == {row.id for row in one}


def test_paper_partition_depends_on_the_seed(corpus):
    root = corpus(paper_rows())
    options = {"partition": "paper", "partition_per_class": 2}
    one, other = (
        {row.id for row in msp_podcast.read(root, partition_seed=seed, **options).sets["valid"]}
        for seed in (1, 2)
    )
    assert one != other


def test_paper_partition_with_the_test_set_of_release_1_6(corpus):
    rows = paper_rows().replace("Development", "Validation").replace("Test1", "Test")
    rows = rows.rpartition("\n")[0]  # without Test2
    found = msp_podcast.read(corpus(rows), partition="paper", partition_per_class=1)
    assert [row.id for row in found.sets["test1"]] == ["Test"]


def test_paper_partition_with_a_small_class_raises(corpus):
    with pytest.raises(ValueError, match=r"found angry 4, sad 4.*partition_per_class"):
        msp_podcast.read(corpus(paper_rows()), partition="paper")


def test_paper_partition_warns_about_shared_speakers(corpus, tmp_path):
    options = {"partition": "paper", "partition_per_class": 3}
    summary = prepare_manifests(msp_podcast, corpus(paper_rows()), tmp_path / "out", **options)
    assert any("valid and test share 1 speaker (9)" in text for text in summary.warnings)


def test_unknown_partition_value_raises(corpus):
    with pytest.raises(ValueError, match="must be official or paper; found 'mine'"):
        msp_podcast.read(corpus(), partition="mine")


def test_missing_data_folder_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent does not exist. Check --data_folder"):
        msp_podcast.read(tmp_path / "absent")


def test_missing_audio_folder_lists_the_contents(corpus):
    root = corpus(audio="sounds")
    with pytest.raises(FileNotFoundError, match=r"folder Audios.*found Labels, sounds.*--audio_fo"):
        msp_podcast.read(root)


def test_missing_label_file_lists_the_contents(corpus):
    root = corpus(labels="Labels/truth.csv")
    with pytest.raises(
        FileNotFoundError, match=r"labels_consensus.csv.*found Audios, Labels.*--lab"
    ):
        msp_podcast.read(root)


@pytest.mark.parametrize("option", ["audio_folder", "labels_file"])
def test_missing_user_paths_raise(corpus, option):
    with pytest.raises(FileNotFoundError, match=f"--{option} must be .*nowhere does not exist"):
        msp_podcast.read(corpus(), **{option: "nowhere"})


def test_missing_column_raises(corpus):
    with pytest.raises(ValueError, match="missing: emoval; found: FileName, EmoClass, EmoAct, V"):
        msp_podcast.read(corpus(header=HEADER.replace("EmoVal", "V")))


def test_label_file_with_only_a_header_raises(corpus):
    root = corpus()
    (root / "Labels" / "labels_consensus.csv").write_text(HEADER)
    with pytest.raises(ValueError, match="must contain rows, but it has only a header"):
        msp_podcast.read(root)


def test_official_spelling_is_preferred(corpus):
    root = corpus()
    os.makedirs(root / "AUDIOS", exist_ok=True)
    assert msp_podcast.read(root).audio_folders == [root / "Audios"]


@pytest.mark.parametrize("whole", ["Test1", "Test2"])
def test_truncated_test_set_name_is_rejected(whole, corpus):
    rows = [row for row in ROWS.splitlines() if "Test" not in row or whole in row]
    found = msp_podcast.read(corpus("\n".join([*rows, "b.wav,N,1,2,3,4,Male,Test"])))
    assert found.rejected == [Rejection("Audios/b.wav", "unknown partition: 'Test'")]
    assert list(found.sets) == ["train", "valid", whole.lower()]
