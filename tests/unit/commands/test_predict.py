"""emosphere predict: search for files, output, and reports of unreadable files."""

import csv
import io
import json
import os
import signal
import sys

import numpy as np
import pytest
import soundfile

from emosphere_sb import cli
from emosphere_sb.commands import predict
from emosphere_sb.fileio.csv_cells import restore_cell
from emosphere_sb.inference.find_audio import FoundAudio, find_audio
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.inference.output import files
from emosphere_sb.inference.output.table_file import locked_output
from emosphere_sb.onnx_export.engines import load_predictor
from tests.helpers.models import write_tiny_model

RATE = 16000


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny_model(folder)
    return folder


@pytest.fixture
def recordings(tmp_path):
    """Five files, two of them damaged, in folders with blanks and other letters."""
    folder = tmp_path / "Aufnahmen von früher"
    (folder / "sub").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for name, seconds in (("b.wav", 1.0), ("a.flac", 0.5), ("sub/ç.ogg", 0.7)):
        soundfile.write(folder / name, 0.1 * draw.standard_normal(round(seconds * RATE)), RATE)
    (folder / "empty.wav").touch()
    (folder / "text.mp3").write_text("no music")
    (folder / "notes.txt").write_text("not audio")
    return folder


GOOD = ["a.flac", "b.wav", "sub/ç.ogg"]


def names(found, folder):
    return [os.path.relpath(name, folder) for name in found.files]


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- search for files -------------------------------------------------------------------------


def test_folder_is_searched_recursively_for_audio(recordings):
    found = find_audio([str(recordings)])
    assert names(found, recordings) == ["a.flac", "b.wav", "empty.wav", "text.mp3", "sub/ç.ogg"]
    assert found.notes == []


def test_explicit_file_is_accepted_with_any_extension(recordings):
    found = find_audio([str(recordings / "notes.txt"), str(recordings / "missing.wav")])
    assert names(found, recordings) == ["notes.txt", "missing.wav"]


def test_patterns(recordings):
    assert names(find_audio([f"{recordings}/*.flac"]), recordings) == ["a.flac"]
    assert names(find_audio([f"{recordings}/**/*.ogg"]), recordings) == ["sub/ç.ogg"]
    with pytest.raises(ValueError, match=r"No audio file matches the pattern .*\*\.opus"):
        find_audio([f"{recordings}/*.opus"])


def test_existing_file_is_not_taken_as_a_pattern(tmp_path):
    path = tmp_path / "take [1].wav"
    path.touch()
    assert find_audio([str(path)]) == FoundAudio([str(path)])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_list_of_files_on_stdin(end):
    listed = io.BytesIO(end.join([b"one two.wav", b"", b"caf\xc3\xa9.wav", b"caf\xe9.wav"]))
    found = find_audio(["first.wav", "-"], listed)
    assert [os.fsencode(name) for name in found.files] == [
        b"first.wav", b"one two.wav", b"caf\xc3\xa9.wav", b"caf\xe9.wav",
    ]  # fmt: skip


def test_an_empty_list_is_an_error():
    with pytest.raises(ValueError, match="list of files on standard input is empty"):
        find_audio(["-"], io.BytesIO(b"\n\n"))


def test_duplicate_inputs_are_predicted_once_with_a_note(recordings):
    found = find_audio([str(recordings / "b.wav"), str(recordings)])
    assert names(found, recordings)[:2] == ["b.wav", "a.flac"] and len(found.files) == 5
    assert found.notes == ["1 duplicate input ignored"]


def test_folder_without_audio_is_an_error(tmp_path):
    for name in ("c.txt", "d.csv"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"must contain audio files \(wav, .* found none\.$"):
        find_audio([str(tmp_path)])


def test_hidden_files_of_a_folder_are_counted(tmp_path):
    for name in ("a.wav", "b.m4a", "._a.wav", ".hidden.flac"):
        (tmp_path / name).touch()
    found = find_audio([str(tmp_path)])
    assert names(found, tmp_path) == ["a.wav", "b.m4a"]
    assert "2 hidden files skipped" in found.notes


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser can read every folder")
def test_fault_unreadable_folder(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "closed").mkdir(mode=0)
    assert "1 unreadable folder skipped" in find_audio([str(tmp_path)]).notes


def test_circular_links_are_followed_once(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "round").symlink_to(tmp_path)
    assert names(find_audio([str(tmp_path)]), tmp_path) == ["a.wav"]


def test_ten_thousand_files(tmp_path):
    for number in range(10_000):
        (tmp_path / f"{number:05d}.wav").touch()
    found = find_audio([str(tmp_path)])
    assert names(found, tmp_path) == [f"{number:05d}.wav" for number in range(10_000)]


# --- output -----------------------------------------------------------------------------------


def test_csv_contains_predictions_in_input_order(released, recordings, tmp_path, caplog, capsys):
    caplog.set_level("INFO")
    out = tmp_path / "out.csv"
    status = cli.main(["predict", str(released), str(recordings), f"--out={out}", "--embedding"])
    assert status == 2  # two files could not be heard
    rows = read_csv(out)
    failed = {row["file"]: row["error"] for row in rows if row["error"]}
    assert failed == {
        str(recordings / "empty.wav"): "empty audio file",
        str(recordings / "text.mp3"): "not a recognised audio file: Format not recognised",
    }
    rows = [row for row in rows if not row["error"]]
    assert [os.path.relpath(row["file"], recordings) for row in rows] == GOOD
    model = EmoSphere.from_pretrained(released, device="cpu")
    expected = [model.predict(recordings / name) for name in GOOD]
    for row, one in zip(rows, expected, strict=True):
        assert float(row["arousal"]) == pytest.approx(one.arousal, abs=2e-5)
        assert float(row["dominance_on_scale"]) == pytest.approx(one.on_scale[2], abs=6e-5)
        assert row["region"] == one.region
    kept = np.load(tmp_path / "out.npz")
    assert kept["files"].tolist() == [row["file"] for row in rows]
    np.testing.assert_allclose(kept["embedding"], [one.embedding for one in expected], atol=1e-5)
    assert kept["end"].tolist() == pytest.approx([0.5, 1.0, 0.7])
    said = capsys.readouterr()
    assert said.err.count("not predicted: ") == 2
    assert "empty.wav" in said.err and "text.mp3" in said.err
    assert f"3 files predicted, 2 failed (see messages above): {out}" in caplog.text
    assert "Engine: torch fp32" in caplog.text
    assert {row["engine"] for row in rows} == {"torch fp32"}


def test_json_lines(released, recordings, tmp_path):
    out = tmp_path / "out.jsonl"
    words = ["predict", str(released), *(str(recordings / name) for name in GOOD)]
    assert cli.main([*words, f"--out={out}", "--embedding", "--words=2", "--quiet"]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [os.path.relpath(row["file"], recordings) for row in rows] == GOOD
    model = EmoSphere.from_pretrained(released, device="cpu")
    one = model.predict(recordings / "b.wav", words=2)
    assert rows[1]["valence"] == pytest.approx(one.valence, abs=2e-5)
    np.testing.assert_allclose(rows[1]["embedding"], one.embedding, atol=1e-5)
    assert [word for word, _ in rows[1]["words"]] == [word for word, _ in one.words]
    assert rows[1]["warnings"] == list(one.warnings) and rows[1]["error"] == ""


def test_console_table(released, recordings, capsys):
    assert cli.main(["predict", str(released), *(str(recordings / name) for name in GOOD)]) == 0
    table, legend = (part.splitlines() for part in capsys.readouterr().out.split("\n\n"))
    head, *lines = table
    assert head.split()[:5] == ["file", "duration", "(s)", "valence", "arousal"]
    assert "V A D, 1 to 7" in head and head.endswith("class (probability)")
    assert len(lines) == 3 and "sub/ç.ogg" in lines[2]
    model = EmoSphere.from_pretrained(released, device="cpu")
    found = [model.predict(recordings / name) for name in GOOD]
    assert f"{found[0].valence:+.2f}" in lines[0] and f" {found[0].region} " in lines[0]
    descriptions = dict.fromkeys(one.region_description for one in found)
    assert legend == [
        "valence (V), arousal (A), dominance (D): -1 to 1, not clipped; 0 is neutral",
        "V A D, 1 to 7: the same values on the label scale",
        f"region: {', '.join(descriptions)}; + is above neutral, - below",
    ]


def test_quiet_console_table_has_no_legend(released, recordings, capsys):
    words = ["predict", str(released), str(recordings / "b.wav"), "--quiet"]
    assert cli.main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("synthetic", [True, False])
def test_synthetic_model_is_named(tmp_path, recordings, caplog, synthetic):
    write_tiny_model(tmp_path / "model", synthetic=synthetic)
    out = tmp_path / "out.csv"
    words = ["predict", str(tmp_path / "model"), str(recordings / "b.wav")]
    assert cli.main([*words, f"--out={out}", "--quiet"]) == 0
    (row,) = read_csv(out)
    assert row["model"] == ("tiny (SYNTHETIC)" if synthetic else "tiny")
    assert ("SYNTHETIC: the model was trained on synthetic speech" in caplog.text) is synthetic


def test_columns_are_described_in_the_order_of_the_table(released, recordings, tmp_path, capsys):
    assert cli.main(["predict", str(released), "--columns"]) == 0
    title, head, *lines = capsys.readouterr().out.splitlines()
    assert title == "Columns of the table of tiny"
    assert head.split() == ["column", "unit", "range", "meaning"]
    described = {line.split()[0]: line for line in lines}
    assert "1 to 7" in described["arousal_on_scale"] and " s " in described["duration"]
    assert "probability of the region VIII" in described["p_VIII"]
    words = ["predict", str(released), str(recordings / "b.wav"), "--words=2", "--embedding"]
    assert cli.main([*words, f"--out={tmp_path / 'out.jsonl'}"]) == 0
    (row,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert list(row) == list(described)
    assert cli.main([*words, f"--out={tmp_path / 'out.csv'}"]) == 0
    (row,) = read_csv(tmp_path / "out.csv")
    assert list(row) == [name for name in described if name != "embedding"]


def test_columns_without_a_model(capsys, tmp_path):
    assert cli.main(["predict", "--columns"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Columns of the table\n") and "p_CLASS" in said
    assert cli.main(["predict", str(tmp_path), "--columns"]) == 0  # a folder without metadata
    assert "label scale" in capsys.readouterr().out
    assert cli.main(["predict", "nowhere", "--columns"]) == 2
    assert "requires the folder of a model, or no MODEL; found nowhere" in capsys.readouterr().err


def test_rows_are_written_immediately(released, recordings, tmp_path, monkeypatch):
    out, seen = tmp_path / "out.csv", []
    write = files.CsvWriter.write

    def watch(table, prediction):
        write(table, prediction)
        seen.append(len(read_csv(f"{out}.partial")))  # the row is in the file already

    monkeypatch.setattr(files.CsvWriter, "write", watch)
    cli.main(["predict", str(released), str(recordings), f"--out={out}"])
    assert seen == [1, 2, 5]  # after the rows of two files that cannot be read


def damaged_files(folder):
    """Write 15 unusable files of different kinds."""
    good = folder / "g00.wav"
    complete = good.read_bytes()
    content = {
        "b00.wav": b"", "b01.mp3": b"text", "b02.wav": complete[:20], "b03.wav": complete[:-4000],
        "b04.m4a": b"\0\0\0\x20ftypM4A " + bytes(99), "b05.wma": b"text", "b06.webm": b"text",
        "b07.ogg": b"OggS" + bytes(99), "b08.wav": complete * 2, "b09.flac": b"fLaC" + bytes(99),
    }  # fmt: skip
    for name, value in content.items():
        (folder / name).write_bytes(value)
    soundfile.write(folder / "b10.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    soundfile.write(folder / "b11.wav", np.full(RATE, 9830.0), RATE, subtype="FLOAT")
    soundfile.write(folder / "b12.wav", np.zeros(RATE), 1000)
    os.mkfifo(folder / "b13.wav")
    (folder / "b14.wav").symlink_to(folder / "gone.wav")


@pytest.mark.parametrize("options", [[], ["--window=0.5"], ["--max_seconds=none"]])
def test_folder_of_twenty_usable_and_fifteen_unusable_files(released, tmp_path, options):
    folder, out = tmp_path / "folder", tmp_path / "out.csv"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(20):
        suffix = ("wav", "flac", "ogg", "mp3")[number % 4]
        samples = 0.1 * draw.standard_normal(RATE + 100 * number)
        soundfile.write(folder / f"g{number:02d}.{suffix}", samples, RATE)
    damaged_files(folder)
    (folder / "notes.txt").write_text("ignored")
    assert cli.main(["predict", str(released), str(folder), f"--out={out}", *options]) == 2
    rows = {os.path.basename(row["file"]): row for row in read_csv(out)}
    assert len(rows) == 35 and set(rows) == set(os.listdir(folder)) - {"notes.txt"}
    for name, row in rows.items():
        assert bool(row["error"]) == name.startswith("b")
        assert bool(row["valence"]) == name.startswith("g")


def test_named_file_is_never_ignored(released, tmp_path):
    (tmp_path / "notes.txt").write_text("not audio")
    out = tmp_path / "out.jsonl"
    command = ["predict", str(released), str(tmp_path / "notes.txt"), f"--out={out}"]
    assert cli.main(command) == 2
    (row,) = map(json.loads, out.read_text().splitlines())
    assert row["file"].endswith("notes.txt") and row["error"].startswith("not a recognised")


def test_channel_option(released, tmp_path):
    path, out = tmp_path / "stereo.wav", tmp_path / "out.csv"
    left = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    soundfile.write(path, np.stack([left, -left], axis=1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "left.wav", left, RATE, subtype="FLOAT")
    values = {}
    for channel in ("mix", "left", "loudest"):
        command = ["predict", str(released), str(path), f"--out={out}", f"--channel={channel}"]
        assert cli.main(command) == 0
        (values[channel],) = read_csv(out)
    assert "mixing 2 channels cancels the signal" in values["mix"]["warnings"]
    # The random weights of the model can cause the warning "off scale".
    assert {values[name]["warnings"] for name in ("left", "loudest")} <= {"", "off scale"}
    model = EmoSphere.from_pretrained(released, device="cpu")
    expected = model.predict(tmp_path / "left.wav")
    assert float(values["left"]["valence"]) == pytest.approx(expected.valence, abs=2e-6)
    assert float(values["loudest"]["valence"]) == pytest.approx(expected.valence, abs=2e-6)


def test_window_option_processes_the_entire_file(released, tmp_path, caplog, capsys):
    caplog.set_level("INFO")
    path = tmp_path / "long.wav"
    draw = np.random.default_rng(1)
    soundfile.write(path, draw.uniform(0.01, 0.3) * draw.standard_normal(5 * RATE), RATE)
    model = EmoSphere.from_pretrained(released, device="cpu")
    signal, _ = soundfile.read(path, dtype="float32")
    parts = [signal[: 2 * RATE], signal[2 * RATE : 4 * RATE], signal[4 * RATE :]]
    vad = [model.predict(part, RATE).vad for part in parts]
    out = tmp_path / "out.csv"
    command = ["predict", str(released), str(path), f"--out={out}"]
    assert cli.main([*command, "--window=2", "--overlap=0"]) == 0
    (row,) = read_csv(out)
    assert float(row["end"]) == 5.0 and "only the first" not in row["warnings"]
    assert float(row["valence"]) == pytest.approx(
        np.average([one[0] for one in vad], weights=[2, 2, 1]), abs=2e-5
    )
    assert (row["windows"], caplog.text.count("longer than")) == ("3", 0)
    assert cli.main(command) == 0  # without: the same windows, because the model was tested on 2 s
    (default,) = read_csv(out)
    assert default == row
    note = "1 file longer than 2 s: mean over windows of 2 s (column windows;"
    assert note in caplog.text
    assert cli.main(command[:3]) == 0
    assert "(mean of 3 windows" in capsys.readouterr().out
    assert cli.main([*command, "--max_seconds=evaluation"]) == 0
    (row,) = read_csv(out)
    assert (float(row["end"]), row["windows"]) == (2.0, "1")
    assert row["warnings"].startswith("only the first 2 s (of 5.0 s) were used")
    assert cli.main([*command, "--max_seconds=none"]) == 0
    (row,) = read_csv(out)
    assert float(row["end"]) == 5.0 and "only the first" not in row["warnings"]
    assert row["windows"] == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="such a name must be allowed by the system")
def test_non_utf8_file_name_is_preserved(released, tmp_path, capsys):
    name = os.fsencode(tmp_path) + b"/caf\xe9\n.wav"
    with open(name, "wb") as file:
        soundfile.write(file, 0.1 * np.ones(RATE), RATE, format="WAV")
    out = tmp_path / "out.csv"
    assert cli.main(["predict", str(released), str(tmp_path), f"--out={out}", "--embedding"]) == 0
    assert name in out.read_bytes()
    assert np.load(tmp_path / "out.npz")["files"][0].endswith("caf\\udce9\n.wav")
    capsys.readouterr()
    assert cli.main(["predict", str(released), str(tmp_path)]) == 0
    table = capsys.readouterr().out.split("\n\n")[0]
    assert len(table.splitlines()) == 2  # the line break is no line break


def test_words_in_csv(tmp_path):
    path = tmp_path / "out.csv"
    with files.CsvWriter(path, lambda _: {"words": [["sad", 0.25], ["calm", 1.5]]}) as table:
        table.write(None)
    assert read_csv(path) == [{"words": "sad 0.25; calm 1.5"}]


# --- an output file that exists -----------------------------------------------------------------


@pytest.fixture
def out(tmp_path):
    """An output file with an old table and old embeddings."""
    path = tmp_path / "out.csv"
    path.write_text("old\n")
    (tmp_path / "out.npz").write_bytes(b"old")
    return path


def predict_good(released, recordings, out, *options):
    inputs = [str(recordings / name) for name in GOOD]
    return cli.main(["predict", str(released), *inputs, f"--out={out}", *options])


def end_after(monkeypatch, rows, error):
    """Let a prediction end with an error after some rows."""
    whole = predict.predict_files

    def cut(*arguments):
        for number, result in enumerate(whole(*arguments)):
            if number == rows:
                raise error
            yield result

    monkeypatch.setattr(predict, "predict_files", cut)


def test_old_table_is_replaced(released, recordings, out):
    assert predict_good(released, recordings, out, "--embedding") == 0
    assert len(read_csv(out)) == 3
    assert len(np.load(out.with_suffix(".npz"))["embedding"]) == 3
    assert sorted(path.name for path in out.parent.iterdir() if path.is_file()) == [
        "out.csv", "out.npz",
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_error_keeps_the_old_table(released, recordings, out, monkeypatch, rows, caplog):
    end_after(monkeypatch, rows, OSError("no space"))
    assert predict_good(released, recordings, out, "--embedding") == 2
    assert out.read_text() == "old\n"
    assert out.with_suffix(".npz").read_bytes() == b"old"
    if rows:
        assert len(read_csv(f"{out}.partial")) == rows
        assert f"The rows written before the error are in {out}.partial" in caplog.text


def test_files_that_all_fail_keep_the_old_table(released, recordings, out, caplog):
    words = ["predict", str(released), str(recordings / "empty.wav"), f"--out={out}"]
    assert cli.main([*words, "--embedding"]) == 2
    assert out.read_text() == "old\n"
    assert out.with_suffix(".npz").read_bytes() == b"old"
    (row,) = read_csv(f"{out}.partial")
    assert row["error"] == "empty audio file"
    assert f"no file could be predicted. The errors are in {out}.partial" in caplog.text


def test_interrupt_keeps_rows_and_their_embeddings(released, recordings, out, monkeypatch):
    end_after(monkeypatch, 2, KeyboardInterrupt())
    assert predict_good(released, recordings, out, "--embedding") == 130
    kept = np.load(out.with_suffix(".npz"))
    assert [row["file"] for row in read_csv(out)] == kept["files"].tolist()
    assert kept["embedding"].shape[0] == 2
    one = EmoSphere.from_pretrained(released, device="cpu").predict(recordings / GOOD[1])
    np.testing.assert_allclose(kept["embedding"][1], one.embedding, atol=1e-5)


def test_interrupt_between_two_tables_keeps_the_row_in_both(released, recordings, out, monkeypatch):
    write = files.CsvWriter.write

    def interrupted(table, prediction):
        write(table, prediction)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(files.CsvWriter, "write", interrupted)
    assert predict_good(released, recordings, out, "--embedding") == 130
    assert len(read_csv(out)) == len(np.load(out.with_suffix(".npz"))["embedding"]) == 1


def test_interrupt_before_the_first_row_keeps_the_old_table(released, recordings, out, monkeypatch):
    end_after(monkeypatch, 0, KeyboardInterrupt())
    assert predict_good(released, recordings, out) == 130
    assert out.read_text() == "old\n"


def test_second_command_with_the_same_output_fails(released, recordings, out, capsys):
    link = out.with_name("link.csv")
    link.symlink_to(out)
    with locked_output(out):
        for path in (out, link):
            assert predict_good(released, recordings, path) == 2
            assert "Another command is writing" in capsys.readouterr().err
        other = out.with_name("other.csv")
        assert predict_good(released, recordings, other) == 0
    assert out.read_text() == "old\n"
    assert predict_good(released, recordings, link) == 0
    assert link.is_symlink() and len(read_csv(out)) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="such names must be allowed by the system")
def test_formula_in_a_file_name_is_neutralised(released, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = ["=cmd|x.wav", "+1.wav", "-a.wav", "@b.wav", "\x1b[2Jc.wav", "d.wav"]
    for name in names:
        soundfile.write(name, 0.1 * np.ones(RATE), RATE, format="WAV")
    assert cli.main(["predict", str(released), "*.wav", "--out=out.csv"]) == 0
    written = {row["file"] for row in read_csv("out.csv")}
    assert written == {
        "'=cmd|x.wav", "'+1.wav", "'-a.wav", "'@b.wav", r"\x1b[2Jc.wav", "d.wav",
    }  # fmt: skip
    assert {restore_cell(name) for name in written} == set(names)
    assert all(float(row["valence"]) < 2 for row in read_csv("out.csv"))  # numbers stay numbers
    assert b"\x1b" not in (tmp_path / "out.csv").read_bytes()
    capsys.readouterr()
    assert cli.main(["predict", str(released), "*.wav"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and r"\x1b[2Jc.wav" in said


def test_formula_in_the_row_of_an_error_is_neutralised(tmp_path):
    path = tmp_path / "out.csv"
    with files.CsvWriter(path, columns=["file", "valence", "error"]) as table:
        table.write_error("=1+1.wav", "@reason")
    assert read_csv(path) == [{"file": "'=1+1.wav", "valence": "", "error": "'@reason"}]


# --- invalid options --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, reason",
    [
        (["--out=out.xlsx"], "--out must end with .csv or .jsonl; found out.xlsx"),
        (["--embedding"], "--embedding requires --out"),
        (["--batch_size=0"], "--batch_size must be at least 1; found 0"),
        (["--words=-1"], "--words must be at least 0; found -1"),
        (["--onnx", "--device=cpu"], "--device cannot be combined with --onnx"),
        (["--int8", "--engine=torch"], "--int8 cannot be combined with --engine=torch"),
        (["--window=0.001"], "window must be at least"),
        (["--overlap=0.5"], "--overlap requires --window"),
        (["--window=1", "--overlap=1"], "overlap must be at least 0 and less than 1"),
        (["--max_seconds=-1"], "max_seconds must be"),
        (["--device=nothing"], "nothing"),
        (["--out=no/such/folder/x.csv"], "does not exist"),
    ],
)
def test_invalid_options(released, recordings, capsys, options, reason):
    assert cli.main(["predict", str(released), str(recordings / "b.wav"), *options]) == 2
    said = capsys.readouterr().err
    assert "error: " in said and reason in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch"], "missing arguments: INPUT"),
        (
            ["--max_seconds=long"],
            "--max_seconds must be a number of seconds, 'auto', 'evaluation' or 'none'; found "
            "'long'",
        ),
        ([], "missing arguments: INPUT"),
        (["x.wav", "--batch"], "unrecognized arguments: --batch"),
    ],
)
def test_invalid_command_line_exits_with_status_2(options, message, capsys):
    assert cli.main(["predict", "model", *options]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}. See emosphere predict --help.")


def test_existing_table_is_preserved_if_prediction_cannot_start(released, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("kept")
    assert cli.main(["predict", str(tmp_path / "no model"), "x.wav", f"--out={out}"]) == 2
    assert cli.main(["predict", str(released), str(tmp_path / "*.wav"), f"--out={out}"]) == 2
    (tmp_path / "a.wav").touch()
    command = ["predict", str(released), str(tmp_path / "a.wav"), f"--out={out}"]
    assert cli.main([*command, "--window=0.001"]) == 2
    assert out.read_text() == "kept"


def test_only_unreadable_files(released, tmp_path, caplog):
    (tmp_path / "empty.wav").touch()
    assert cli.main(["predict", str(released), str(tmp_path)]) == 2
    assert "0 files predicted, 1 failed" in caplog.text


def test_out_of_gpu_memory_is_explained():
    import torch

    with (
        pytest.raises(MemoryError, match="smaller --batch_size"),
        predict.explain_out_of_memory(),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
    with pytest.raises(RuntimeError, match="another"), predict.explain_out_of_memory():
        raise RuntimeError("another fault")


def test_load_model_uses_the_given_device(released):
    assert str(load_predictor(str(released), device="cpu").device) == "cpu"
