"""Files of a table: all values can be recomputed from the predictions listed in the CSV file."""

import csv
import json
import re
import statistics

import pandas as pd
import pytest

from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.tables.collect import collect
from emosphere_sb.tables.columns import COLUMNS
from emosphere_sb.tables.status import NOT_STARTED, State, inspect
from emosphere_sb.tables.write import write_table
from tests.helpers.tables import (
    done,
    finish,
    gathered,
    make_group,
    make_row,
    make_table,
    predictions,
)

ORIGIN = {"command": "emosphere table made_up", "origin": "commit c0ffee"}
ENDINGS = ["md", "tex", "csv", "summary.csv", "html", "png", "pdf"]
MISSING = ("mean pooling", 2, 1)


def read_csv(path) -> list[dict]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def written(tmp_path_factory, root):
    """A table of two rows, two blocks (one of two folds) and two seeds, one of which is missing."""
    from emosphere_sb.tables.cells import Cells

    folder = tmp_path_factory.mktemp("table")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        rows = (
            make_row("plain", published=(0.6952, 0.7482, 0.622, 0.6884)),
            make_row("mean pooling", "mean_pooling"),
        )
        table = make_table(
            name="made_up", caption="Made up", seeds=(1, 2), rows=rows, reference="plain",
            groups=(make_group(), make_group("IEMOCAP", "test", folds=2)),
            columns=tuple(COLUMNS[name] for name in (*DIMENSIONS, "mean", "point_f1", "head_f1")),
        )  # fmt: skip
        cells = Cells(folder, preset="smoke")
        states, marked = {}, {}
        for row, group in table.pairs():
            for (seed, fold), cell in cells.of(table, row, group).items():
                if (row.name, seed, fold) == MISSING:
                    states[cell], marked[cell] = State(NOT_STARTED), "failed: no room"
                    continue
                noise = 0.5 if row.name == "plain" else 0.9
                head = {"accuracy": 0.5, "macro_f1": 0.25, "epoch": 5}
                ours = predictions(noise, seed=10 * seed + fold, first=100 * (fold - 1))
                finish(cells, cell, ours, tests={"last_trained": head})
                states[cell] = inspect(cell, cells)
        found = collect(table, cells, states, marked, resamples=99)
        paths = write_table(found, folder / "tables", **ORIGIN)
    return folder / "tables", paths, table


def recomputed(runs, name) -> float:
    """Metric of one seed, computed with another library from the predictions of its runs."""
    audmetric = pytest.importorskip("audmetric", reason="the 'test' extra is not installed")
    parts = [pd.read_csv(f"{run['run_folder']}/predictions/{run['set']}.csv") for run in runs]
    whole = pd.concat(parts)
    found = [audmetric.concordance_cc(whole[n], whole[f"{n}_predicted"]) for n in DIMENSIONS]
    return statistics.mean(found) if name == "mean" else found[DIMENSIONS.index(name)]


def means_of(runs, row, corpus, name) -> list[float]:
    """Metric of each seed with complete runs."""
    own = [r for r in runs if (r["row"], r["tested_on"]) == (row, corpus)]
    seeds = dict.fromkeys(run["seed"] for run in own)
    whole = {
        s: [r for r in own if r["seed"] == s]
        for s in seeds
        if all(r["status"] == "finished" for r in own if r["seed"] == s)
    }
    return [recomputed(part, name) for part in whole.values()]


def ccc_text(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1)


def test_every_format_is_written(written):
    folder, paths, _ = written
    assert [path.name for path in paths] == [f"made_up.{ending}" for ending in ENDINGS]
    assert all(path.stat().st_size > 300 for path in paths)
    assert (folder / "made_up.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "made_up.pdf").read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == sorted(
        path.name for path in paths
    )


def test_values_in_markdown_match_the_predictions(written):
    folder, _, table = written
    runs = read_csv(folder / "made_up.csv")
    text = (folder / "made_up.md").read_text(encoding="utf-8")
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ][2:]
    lines = [line for line in lines if line[0] != "*published*"]
    names = [*DIMENSIONS, "mean"]
    checked = 0
    for line, row in zip(lines, table.rows, strict=True):
        assert line[0] == row.name
        for block, group in enumerate(table.groups):
            cells = line[1 + 6 * block : 7 + 6 * block]
            for name, cell in zip(names, cells[:4], strict=True):
                values = means_of(runs, row.name, group.tested_on, name)
                shown = re.match(r"\**(-?\.\d{3})\**( ± (\.\d{3}))?", cell)
                assert shown.group(1) == ccc_text(statistics.mean(values))
                if len(values) > 1:
                    assert shown.group(3) == ccc_text(statistics.stdev(values))
                else:
                    assert shown.group(3) is None and cell.endswith(("[a]", "[b]")[block])
                checked += 1
    assert checked == 16
    assert "- [a] seed 2: failed: no room\n- [b] seed 2 fold 1: failed: no room\n" in text


def test_latex_and_html_have_the_same_values(written):
    folder, _, _ = written
    text = (folder / "made_up.md").read_text(encoding="utf-8")
    shown = re.findall(r"(?<![\d])\.\d{3}(?!\d)", "".join(re.findall(r"^\|.*$", text, re.M)))
    assert len(shown) > 20
    for ending in ("tex", "html"):
        other = (folder / f"made_up.{ending}").read_text(encoding="utf-8")
        assert all(figure in other for figure in shown)


def test_csv_lists_all_runs(written):
    folder, _, _ = written
    runs = read_csv(folder / "made_up.csv")
    assert len(runs) == 2 * 2 * (1 + 2)  # rows, seeds, and folds of both blocks
    for run in runs:
        finished = run["status"] == "finished"
        assert run["command"].startswith("python")
        assert (run["commit"], run["machine"]) == (("c0ffee", "a box") if finished else ("", ""))
        assert run["seconds"] == ("3.5" if finished else "")
        saved = f"{run['run_folder']}/metrics.json"
        if finished:
            with open(saved, encoding="utf-8") as file:
                metrics = json.load(file)
            assert float(run["mean"]) == pytest.approx(metrics[run["set"]]["mean_ccc"])
            assert float(run["valence"]) == pytest.approx(recomputed([run], "valence"))
            assert (run["utterances"], run["head_f1"], run["head_epoch"]) == ("40", "25.0", "5")
        else:
            assert run["status"] == "failed: no room"
            assert f"--output_folder={run['run_folder']}" in run["command"]
            assert run["mean"] == run["valence"] == run["utterances"] == ""
    missing = [(r["row"], r["seed"], r["fold"]) for r in runs if r["status"] != "finished"]
    assert set(missing) == {("mean pooling", "2", "1")}


def test_summary_has_a_line_for_each_value(written):
    folder, _, table = written
    runs = read_csv(folder / "made_up.csv")
    lines = read_csv(folder / "made_up.summary.csv")
    assert len(lines) == 2 * 2 * len(table.columns)
    for line in lines:
        if line["column"] in (*DIMENSIONS, "mean"):
            values = means_of(runs, line["row"], line["tested_on"], line["column"])
            assert float(line["mean"]) == pytest.approx(statistics.mean(values))
            assert len(line["seeds"].split()) == len(values)
            assert float(line["low"]) < float(line["mean"]) < float(line["high"])
            assert (line["unit"], line["reference"]) == ("speakers", "plain")
    ours = [line for line in lines if line["row"] == "mean pooling" and line["column"] == "mean"]
    base = [line for line in lines if line["row"] == "plain" and line["column"] == "mean"]
    for one, reference in zip(ours, base, strict=True):
        wanted = float(one["mean"]) - float(reference["mean"])
        assert float(one["difference"]) == pytest.approx(wanted)
        assert float(one["difference_low"]) < wanted < float(one["difference_high"])
        assert one["p_holm"] == one["p"]  # one other row: nothing to correct
        assert reference["p"] == reference["difference"] == ""
    first = base[0]
    assert float(first["ours_less_published"]) == pytest.approx(float(first["mean"]) - 0.6884)


def test_files_contain_their_origin(written):
    folder, _, _ = written
    assert "emosphere table made_up" in (folder / "made_up.md").read_text(encoding="utf-8")
    page = (folder / "made_up.html").read_text(encoding="utf-8")
    assert "emosphere table made_up" in page and "commit c0ffee" in page
    assert "failed: no room" in page and "://" not in page  # it fetches nothing
    assert all(run["run_folder"] in page for run in read_csv(folder / "made_up.csv"))


def test_the_same_runs_give_the_same_bytes(tmp_path):
    def fill(cell, row):
        return done(predictions(0.5, seed=cell.seed))

    columns = (COLUMNS["mean"],)
    table = make_table(seeds=(1, 2), rows=(make_row("a"), make_row("b")), columns=columns,
                       groups=(make_group(),), reference="a")  # fmt: skip
    once, again = (
        write_table(gathered(fill, table), tmp_path / part, **ORIGIN) for part in ("one", "two")
    )
    for one, other in zip(once, again, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
