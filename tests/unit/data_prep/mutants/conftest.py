"""Small corpora to damage, and checks of what is prepared from them afterwards."""

import csv
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from data_prep.iemocap import reader as iemocap
from data_prep.manifest import prepare_manifests
from data_prep.msp_improv import reader as msp_improv
from data_prep.msp_podcast import reader as msp_podcast
from data_prep.own_data import reader as own_data

LETTERS = "NASHNXAOHS"


@dataclass
class Case:
    """A corpus on disk, and its label file to damage."""

    module: ModuleType
    root: Path
    labels: Path
    separator: str
    options: dict = field(default_factory=dict)
    # Columns with free text: damage to them cannot be detected.
    free: tuple = ()
    # Columns that depend on undamaged column names.
    named: tuple = ()

    def __post_init__(self):
        self.text = self.labels.read_text(encoding="utf-8")
        self.before, summary, _ = self.manifests("before")
        assert len(self.before) >= 10 and not summary.rejected
        self.warnings = summary.warnings

    def manifests(self, name):
        """Prepare the corpus; return the rows by id, the summary, and the rejected paths."""
        folder = self.root.parent / name
        summary = prepare_manifests(
            self.module, self.root, folder, reuse=False, workers=1, **self.options
        )
        rows = {
            row["ID"]: {"set": name, **row}
            for name, path in summary.sets.items()
            for row in rows_in(path)
        }
        rejected = {row["path"] for row in rows_in(folder / "rejected.csv")}
        return rows, summary, rejected

    def intact(self):
        """Return whether the first line is undamaged, and the text of all undamaged lines."""
        if not self.labels.is_file():
            return False, ""
        lines = set(re.split(r"[\r\n]+", self.labels.read_text("utf-8-sig", errors="replace")))
        head, *others = self.text.split("\n")
        return head in lines, "\n".join(line for line in others if line in lines)


def rows_in(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---- Corpora ------------------------------------------------------------------------------------


def ratings(k):
    """Return (valence, arousal, dominance) by three raters, none of which equals the mean."""
    return [(1 + k % 2, 2, 5), (2, 4, 1), (5, (1, 2, 4, 5)[k % 4], 4)]


def mean(k):
    return [sum(values) / 3 for values in zip(*ratings(k), strict=True)]


def podcast_trees(root, wav):
    """Write a corpus with consensus labels and both files of individual ratings."""
    splits = ["Train"] * 4 + ["Development"] * 2 + ["Test1"] * 2 + ["Test2"] * 2
    consensus = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    text, detailed = [], ["FileName,WorkerID,EmoClass_Major,EmoClass_Second,EmoAct,EmoVal,EmoDom"]
    for k, split in enumerate(splits):
        file, (v, a, d) = f"MSP-PODCAST_0001_{k:04}.wav", mean(k)
        wav(root / "Audios" / file)
        values = f"{a:.6f},{v:.6f},{d:.6f}"
        consensus.append(f"{file},{LETTERS[k]},{values},{100 + k},Female,{split}")
        text.append(f"{file}; {LETTERS[k]}; A:{a:.6f}; V:{v:.6f}; D:{d:.6f};")
        for n, (v, a, d) in enumerate(ratings(k)):
            word = ("Angry", "Other-so, so", "Sad")[n]
            text.append(f"WORKER{n:08}; {word}; Sad,Angry; A:{a:.6f}; V:{v:.6f}; D:{d:.6f};")
            detailed.append(f'{file},WORKER{n:08},"{word}","Sad,Angry",{a:.1f},{v:.1f},{d:.1f}')
        text.append("")
    (root / "Labels").mkdir()
    for name, lines in (
        ("labels_consensus.csv", consensus),
        ("labels.txt", text),
        ("labels_detailed.csv", detailed),
    ):
        (root / "Labels" / name).write_text("\n".join([*lines, ""]), encoding="utf-8")


def podcast(root, wav):
    podcast_trees(root, wav)
    free = ("speaker", "gender")
    return Case(msp_podcast, root, root / "Labels/labels_consensus.csv", ",", free=free)


def podcast_raters(root, wav):
    podcast_trees(root, wav)
    (root / "Labels/labels_detailed.csv").unlink()
    return Case(msp_podcast, root, root / "Labels/labels.txt", ";", {"raters": True})


def podcast_detailed(root, wav):
    podcast_trees(root, wav)
    (root / "Labels/labels.txt").unlink()
    return Case(msp_podcast, root, root / "Labels/labels_detailed.csv", ",", {"raters": True})


def iemocap_tree(root, wav):
    for session in "12345":
        name, lines = f"Ses0{session}F_impro01", ["% [START_TIME - END_TIME] TURN_NAME ...", ""]
        folder = root / f"Session{session}"
        for k in range(6 if session == "1" else 2):
            turn, code = f"{name}_{'FM'[k % 2]}{k:03}", ("neu", "xxx", "exc", "fru")[k % 4]
            wav(folder / "sentences" / "wav" / name / f"{turn}.wav")
            bracket = ", ".join(f"{value:.4f}" for value in mean(k))
            lines.append(f"[{k}.5000 - {k}.7500]\t{turn}\t{code}\t[{bracket}]")
            lines += [f"C-E{n}:\t{word};\t()" for n, word in enumerate(["Anger", "Fear"])]
            for n, (v, a, d) in enumerate(ratings(k)):
                lines.append(f"A-E{n}:\tval {v}; act {a}; dom  {d};\t()")
            lines += ["A-F1:\tval 5; act 5; dom  5;\t()", ""]
        (folder / "dialog" / "EmoEvaluation").mkdir(parents=True)
        file = folder / "dialog" / "EmoEvaluation" / f"{name}.txt"
        file.write_text("\n".join(lines), encoding="utf-8")
    file = root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    return Case(iemocap, root, file, "\t")


def improv_tree(root, wav):
    lines = []
    for session in "123456":
        for k in range(2):
            sentence, speaker = f"S0{k + 1}A", f"{'FM'[k]}0{session}"
            name = f"IMPROV-{sentence}-{speaker}-R-FF0{k}"
            wav(root / f"Audio/session{session}/{sentence}/R/MSP-{name}.wav")
            v, a, d = mean(k)
            values = f"A:{a:.6f}; V:{v:.6f}; D:{d:.6f} ; N:3.500000;"
            lines.append(f"UTD-{name}.avi; {LETTERS[k]}; {values}")
            for n, (v, a, d) in enumerate(ratings(k)):
                values = f"A:{a:.6f}; V:{v:.6f}; D:{d:.6f}; N:3.000000;"
                lines.append(f"rater-{n}; {('Angry', 'Sad', 'Happy')[n]}; Sad,Happy; {values}")
            lines.append("")
    (root / "Evalution.txt").write_text("\n".join(lines), encoding="utf-8")
    return Case(msp_improv, root, root / "Evalution.txt", ";")


def own_table(root, wav):
    lines = ["file,valence,arousal,dominance,speaker,emotion,split"]
    for k in range(12):
        wav(root / f"wav/{k:02}.wav")
        values = ",".join(f"{value:.4f}" for value in mean(k))
        lines.append(f"wav/{k:02}.wav,{values},s{k:02},e{k % 3},{('train', 'dev', 'test')[k % 3]}")
    (root / "labels.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    scale = {"label_low": 1, "label_high": 5}
    # If the name of the column split is damaged, a random split by speaker is used.
    free = ("speaker", "emotion")
    return Case(own_data, root, root / "labels.csv", ",", scale, free, named=("set",))


CASES = [podcast, podcast_raters, podcast_detailed, iemocap_tree, improv_tree, own_table]


@pytest.fixture(params=CASES, ids=lambda make: make.__name__)
def case(request, tmp_path, wav):
    """Create a corpus of twelve utterances, once for each type of label file."""
    source = wav(tmp_path / "source.wav", seconds=0.03)

    def link(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, path)

    root = tmp_path / "corpus"
    root.mkdir()
    return request.param(root, link)


# ---- Checks -------------------------------------------------------------------------------------

LABELS = ("valence", "arousal", "dominance")
RATERS = ("n_raters", "valence_sd", "arousal_sd", "dominance_sd")
ODD_RATERS = re.compile(r"rater")


def check_error(case, error):
    """Check the exact type: subclasses such as UnicodeDecodeError have unclear messages."""
    assert type(error) in (ValueError, FileNotFoundError), repr(error)
    assert str(case.root) in str(error)
    assert len(str(error)) < 2000


def votes_in(text):
    return Counter({word: int(n) for word, n in (v.split(":") for v in text.split(";") if v)})


def check_manifests(case, rows, summary, rejected):
    """Check that rows are unchanged, except for missing labels, which must be counted.

    Every other utterance must be listed as rejected."""
    missing = 0
    head, lines = case.intact()
    for name, row in rows.items():
        before = case.before[name]
        for column in LABELS:
            missing += row[column] == "" != before[column]
            assert row[column] in (before[column], ""), (name, column)
        unsure = {*LABELS, *RATERS, "votes"}
        if not head or os.path.basename(before["wav"]) not in lines:
            unsure.update(case.free)
        if not head:
            unsure.update(case.named)
        for column in row.keys() - unsure:
            assert row[column] == before[column], (name, column)
        if not any(ODD_RATERS.search(text) for text in summary.warnings):
            assert all(row[column] in (before[column], "") for column in RATERS)
            assert votes_in(row["votes"]) <= votes_in(before["votes"])
    counted = sum(sum(facts["missing"].values()) for facts in summary.facts["sets"].values())
    assert counted == missing
    for name in case.before.keys() - rows.keys():
        path = case.before[name]["wav"].removeprefix("$data_root/")
        assert path in rejected or not (case.root / path).exists()


def outcome_of(case):
    """Prepare and check a case; return whether this raised an error or changed the output."""
    try:
        rows, summary, rejected = case.manifests("after")
    except (ValueError, FileNotFoundError) as error:
        check_error(case, error)
        return "error"
    check_manifests(case, rows, summary, rejected)
    changed = rejected or rows != case.before or summary.warnings != case.warnings
    return "changed" if changed else "same"


@pytest.fixture(scope="session")
def outcome():
    """Return :func:`outcome_of`."""
    return outcome_of
