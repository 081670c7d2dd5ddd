"""Test the script that writes the table of predictions in the README."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import predict_example

ROW = {
    "file": "/far/away/a.wav", "duration": "2.500", "start": "0.0", "end": "2.5",
    "valence": "-0.450123", "arousal": "0.1", "dominance": "1", "valence_on_scale": "2.650700",
    "arousal_on_scale": "4.3", "dominance_on_scale": "7", "region": "VII", "warnings": "",
}  # fmt: skip


def test_table_shows_main_columns_and_lists_others():
    lines = predict_example.table([ROW]).splitlines()
    assert "synthetic speech" in lines[0]
    assert lines[3] == "|---|---|---|---|---|---|---|---|---|"
    assert lines[4] == "| a.wav | 2.500 | -0.450 | 0.100 | 1.000 | 2.651 | 4.300 | 7.000 | VII |"
    assert lines[6] == "The output also has the columns `start`, `end`, `warnings`."


def test_first_utterance_ids_of_a_run(tmp_path):
    (tmp_path / "predictions").mkdir()
    rows = "\n".join(["ID,duration", *(f"u{n},1.0" for n in range(5))])
    (tmp_path / "predictions" / "test1.csv").write_text(rows, encoding="utf-8")
    assert predict_example.first_utterance_ids(tmp_path) == ["u0", "u1", "u2"]
