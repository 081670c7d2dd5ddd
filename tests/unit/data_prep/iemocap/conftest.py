"""Fixtures: a handwritten IEMOCAP tree with every irregularity of the corpus."""

import pytest

from data_prep.iemocap.reader import read_labels

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"

# Session 1 has every irregularity; the others have one regular dialogue each.
IMPRO = """\
[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.0000, 1.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral; Frustration;\t(tired; val 1)
C-E4:\tSadness;\t()
C-F1:\tAnger;\t()
A-E3:\tval 3; act 2; dom  2;\t()
A-E4:\tval 2; act 2; dom  1;\t()
A-F1:\tval 5; act 5; dom  5;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M000\txxx\t[3.0000, 4.0000, NaN]
C-E2:\tOther;\t(who knows)
A-E3:\tval 3; act 4; dom ;\t()
A-M1:\tval 1; act 1; dom  1;\t()

[12.0000 - 13.0000]\tSes01F_impro01_F001\toth\t[2.0000, 1.0000, 3.0000]

[14.0000 - 15.0000]\tSes01F_impro01_F002\tang\t[NaN, NaN, NaN]

[16.0000 - 17.0000]\tSes01F_impro01_F003\tang\t[2.0, 3.0]

[18.0000 - 19.0000]\tSes01F_impro01_F004\tang\t[2.0000, 5.5000, 3.0000]

[20.0000 - 21.0000]\tSes01F_impro01_F005\thap\t[4.5000, 3.5000, 3.0000]

[22.0000 - 23.0000]\tSes01F_impro01_F006\tmad\t[4.5000, 3.5000, 3.0000]
"""
TRANSCRIPTION = """\
Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me, "caf\xe9", $5.
M: [LAUGHTER]
Ses01F_impro01_M000 [010.0100-011.3925]: Do you have your forms?
Ses01F_impro01_MXX0 [011.4000-011.5000]: [no audio]
"""


def turns_text(dialogue, codes=("sad", "exc"), vad=(2.0, 3.0, 4.0)):
    """Return a regular label file in which the woman and the man take turns."""
    lines = [HEADER]
    for k, code in enumerate(codes):
        values = ", ".join(f"{value:.4f}" for value in vad)
        lines.append(
            f"[{k}.0000 - {k}.5000]\t{dialogue}_{'FM'[k % 2]}{k:03}\t{code}\t[{values}]\n\n"
        )
    return "".join(lines)


@pytest.fixture
def dialogue(tmp_path, wav):
    """Return a function that writes a dialogue and returns the corpus folder."""

    def write(name, text, *, audio=None, encoding="latin-1", root=tmp_path / "IEMOCAP"):
        session = root / f"Session{name[4]}"
        labels = session / "dialog" / "EmoEvaluation"
        labels.mkdir(parents=True, exist_ok=True)
        (labels / f"{name}.txt").write_bytes(text.encode(encoding))
        rows = list(read_labels(labels / f"{name}.txt"))
        folder = session / "sentences" / "wav" / name
        folder.mkdir(parents=True, exist_ok=True)
        for utterance in audio or [row.utterance for row in rows if row.utterance]:
            wav(folder / f"{utterance}.wav", seconds=0.1)
        return root

    return write


@pytest.fixture
def tree(dialogue):
    """Write a corpus with every irregularity in session 1, and one dialogue per other session."""
    for session in "2345":
        name = f"Ses0{session}M_script01_1b"
        root = dialogue(name, turns_text(name))
    dialogue("Ses01F_impro01", HEADER + IMPRO)
    one = root / "Session1"
    spoken = one / "dialog" / "transcriptions"
    spoken.mkdir()
    (spoken / "Ses01F_impro01.txt").write_bytes(TRANSCRIPTION.encode("latin-1"))
    labels = one / "dialog" / "EmoEvaluation"
    (labels / "._Ses01F_impro01.txt").write_bytes(b"\0\5\26\7Mac OS X")
    for name in ("Attribute", "Categorical", "Self-evaluation"):
        (labels / name).mkdir()
        (labels / name / "Ses01F_impro01_e1_atr.txt").write_text("Ses01F_impro01_F000 :act 2;")
    (one / "sentences/wav/Ses01F_impro01/._Ses01F_impro01_F000.wav").write_bytes(b"\0\5\26\7")
    return root


@pytest.fixture(scope="session")
def impro():
    """Return the label file of the dialogue with every irregularity."""
    return HEADER + IMPRO


@pytest.fixture(scope="session")
def transcription():
    """Return the transcription of the same dialogue."""
    return TRANSCRIPTION


@pytest.fixture(scope="session")
def turns():
    """Return :func:`turns_text`, which generates a regular label file."""
    return turns_text
