"""Cells and notes of a table: best values, stars, footnotes and published scores."""

import pytest

from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.tables.collect import CollectedRuns, TableEntry
from emosphere_sb.tables.columns import COLUMNS
from emosphere_sb.tables.page import Text, format_results_table
from emosphere_sb.tables.status import FINISHED, NOT_STARTED, State
from tests.helpers.tables import NoCells, make_group, make_row, make_table

VAD = tuple(COLUMNS[name] for name in (*DIMENSIONS, "mean"))
INTERVAL = {"unit": "speakers", "units": 1200, "note": None}


def collected(means, *, p=None, problems=None, synthetic=False, published=(), **changes):
    """Results with one row per item of ``means``: a value per seed, the same in all columns."""
    rows = tuple(make_row(name) for name in means)
    if published:
        rows = (rows[0].__class__(**{**vars(rows[0]), "published": published}), *rows[1:])
    facts = {
        "seeds": (1, 2), "groups": (make_group(),), "columns": VAD, "rows": rows,
        "reference": next(iter(means)),
    }  # fmt: skip
    table = make_table(**{**facts, **changes})
    entries = []
    for row, group in table.pairs():
        cells, own = NoCells().of(table, row, group), (problems or {}).get(row.name, {})
        known = [s for s in table.seeds if not any((s, fold) in own for _, fold in cells)]
        values = means[row.name]
        by_seed = {seed: metrics_of(value) for seed, value in zip(known, values, strict=True)}
        entry = TableEntry(row, group, cells, own, by_seed, interval=INTERVAL if by_seed else {})
        if p and row.name in p:
            one = {"difference": 0.1, "low": 0.0, "high": 0.2, "p": p[row.name]}
            names = [*DIMENSIONS, "mean_ccc"]
            entry.difference = {"unit": "speakers", "units": 1200, **dict.fromkeys(names, one)}
            entry.corrected = dict.fromkeys(names, p[row.name])
        entries.append(entry)
    states = {
        cell: State(NOT_STARTED if key in entry.problems else FINISHED)
        for entry in entries
        for key, cell in entry.cells.items()
    }
    return CollectedRuns(table, entries, states, synthetic, 10_000)


def metrics_of(value):
    return {**{name: {"ccc": value} for name in DIMENSIONS}, "mean_ccc": value}


def row_of(page, number) -> tuple[Text, ...]:
    return page.lines[number].cells


def test_headers_and_rows():
    page = format_results_table(collected({"one": (0.5, 0.7), "two": (0.3, 0.3)}))
    assert page.labels == ("model",)
    assert page.headers == ("V", "A", "D", "mean")
    assert page.blocks == (("MSP-Podcast test1", 4),)
    assert [line.labels for line in page.lines] == [("one",), ("two",)]
    # mean (0.5 + 0.7) / 2, SD 0.2 / sqrt 2
    assert row_of(page, 0) == (Text(".600", ".141", bold=True),) * 4
    assert row_of(page, 1) == (Text(".300", ".000"),) * 4


def test_equal_values_are_all_bold():
    page = format_results_table(
        collected({"a": (0.50012, 0.5), "b": (0.5, 0.5), "c": (0.499, 0.499)})
    )
    assert [row_of(page, n)[0].bold for n in range(3)] == [True, True, False]


def test_best_value_may_be_negative():
    page = format_results_table(collected({"a": (-0.2, -0.2), "b": (-0.1, -0.1)}))
    assert [row_of(page, n)[3].bold for n in range(2)] == [False, True]


def test_single_row_is_not_bold():
    assert not row_of(format_results_table(collected({"a": (0.5, 0.5)})), 0)[0].bold
    found = collected({"a": (0.5, 0.5), "b": ()}, problems={"b": {(1, 1): "x", (2, 1): "x"}})
    assert not row_of(format_results_table(found), 0)[0].bold


def test_each_block_has_its_own_best_value():
    groups = (make_group(), make_group("IEMOCAP", "test"))
    page = format_results_table(collected({"a": (0.5, 0.5), "b": (0.4, 0.4)}, groups=groups))
    assert page.blocks == (("MSP-Podcast test1", 4), ("IEMOCAP test", 4))
    assert page.headers == ("V", "A", "D", "mean") * 2
    assert [cell.bold for cell in row_of(page, 0)] == [True] * 8


@pytest.mark.parametrize(
    ("p", "stars"),
    [
        (0.0002, "***"), (0.001, "**"), (0.0099, "**"), (0.01, "*"), (0.0499, "*"), (0.05, ""),
        (1.0, ""), (None, ""),
    ],
)  # fmt: skip
def test_stars_depend_on_the_p_value(p, stars):
    page = format_results_table(collected({"a": (0.5, 0.5), "b": (0.4, 0.4)}, p={"b": p}))
    assert {cell.stars for cell in row_of(page, 1)} == {stars}
    assert {cell.stars for cell in row_of(page, 0)} == {""}  # the reference


def test_column_that_is_not_compared_has_no_stars():
    columns = (COLUMNS["mean"], COLUMNS["point_f1"])
    found = collected({"a": (0.5, 0.5), "b": (0.4, 0.4)}, p={"b": 0.0002}, columns=columns)
    for entry in found.entries:
        for metrics in entry.by_seed.values():
            metrics["region_point"] = {"macro_f1": 0.25}
    assert [cell.stars for cell in row_of(format_results_table(found), 1)] == ["***", ""]
    assert row_of(format_results_table(found), 1)[1].value == "25.0"


def test_missing_seed_is_explained_in_a_footnote():
    problems = {"b": {(2, 1): "failed: exit status 2"}}
    page = format_results_table(collected({"a": (0.5, 0.5), "b": (0.4,)}, problems=problems))
    assert row_of(page, 1) == (Text(".400", note="a"),) * 4
    assert page.notes[-1] == "[a] seed 2: failed: exit status 2"


def test_row_without_results_has_dashes_and_a_footnote():
    problems = {"b": {(1, 1): "not started", (2, 1): "not started"}}
    page = format_results_table(collected({"a": (0.5, 0.5), "b": ()}, problems=problems))
    assert row_of(page, 1) == (Text("–", note="a"),) * 4
    assert page.notes[-1] == "[a] seed 1, seed 2: not started"


def test_equal_footnotes_share_a_letter():
    problems = {
        "a": {(1, 1): "x"}, "b": {(1, 1): "x"}, "c": {(1, 1): "y", (2, 1): "z"},
    }  # fmt: skip
    page = format_results_table(collected({"a": (0.5,), "b": (0.4,), "c": ()}, problems=problems))
    assert [row_of(page, n)[0].note for n in range(3)] == ["a", "a", "b"]
    assert page.notes[-2:] == ("[a] seed 1: x", "[b] seed 1: y; seed 2: z")


def test_more_than_26_footnotes():
    names = [str(number) for number in range(28)]
    problems = {name: {(1, 1): f"reason {name}"} for name in names}
    page = format_results_table(collected(dict.fromkeys(names, (0.5,)), problems=problems))
    notes = [row_of(page, n)[0].note for n in range(28)]
    assert (notes[0], notes[25], notes[26], notes[27]) == ("a", "z", "aa", "ab")
    assert len(set(notes)) == 28


def test_missing_fold_is_named():
    group = make_group("IEMOCAP", "test", folds=2)
    problems = {"a": {(2, 2): "interrupted"}}
    page = format_results_table(collected({"a": (0.5,)}, problems=problems, groups=(group,)))
    assert page.notes[-1] == "[a] seed 2 fold 2: interrupted"
    assert any(note.startswith("Folds: metrics of the pooled predictions") for note in page.notes)


def test_published_scores_are_shown_with_the_difference():
    means = {"a": (0.7, 0.7), "b": (0.4, 0.4)}
    page = format_results_table(collected(means, published=(0.6952, 0.7482, 0.7)))
    line = page.lines[1]
    assert line.published and line.labels == ("published",)
    # 0.7 - 0.6952 = 0.0048, 0.7 - 0.7482 = -0.0482; the fourth column has no published score.
    texts = [cell.value for cell in line.cells]
    assert texts == [".6952 (+.005)", ".7482 (−.048)", ".7000 (+.000)", ""]
    assert not any(cell.bold for cell in line.cells)
    assert [line.published for line in page.lines] == [False, True, False]
    assert any("difference of our mean from the published score" in note for note in page.notes)


def test_published_scores_are_not_compared_with_synthetic_speech():
    means = {"a": (0.7, 0.7), "b": (0.4, 0.4)}
    page = format_results_table(collected(means, published=(0.6952,), synthetic=True))
    assert page.lines[1].cells[0].value == ".6952"
    assert page.notes[0].startswith("Synthetic speech:")
    assert any("not comparable with scores on synthetic speech" in note for note in page.notes)


def test_published_scores_are_shown_before_any_run():
    problems = {"a": {(1, 1): "x", (2, 1): "x"}}
    page = format_results_table(collected({"a": ()}, problems=problems, published=(0.6952,)))
    assert page.lines[1].cells[0].value == ".6952"


def test_notes_describe_seeds_and_bootstrap():
    found = collected({"a": (0.5, 0.5), "b": (0.4, 0.4)}, p={"b": 0.2})
    notes = " ".join(format_results_table(found).notes)
    assert "over seeds 1, 2" in notes
    assert "difference from the first row (a)" in notes
    assert "10,000 resamples of 1,200 speakers" in notes
    assert "Synthetic" not in notes and "Published" not in notes and "Folds" not in notes


def test_reference_in_another_row_is_quoted():
    found = collected({"a": (0.5, 0.5), "b": (0.4, 0.4)}, reference="b")
    assert "difference from “b” in a paired" in " ".join(format_results_table(found).notes)


def test_notes_name_the_test_sets():
    groups = (make_group(name="test1"), make_group(name="test2"))
    found = collected({"a": (0.5, 0.5), "b": (0.4, 0.4)}, p={"b": 0.2}, groups=groups)
    for entry in found.entries:
        count = {"test1": 240, "test2": 120}[entry.group.set]
        entry.interval = {**INTERVAL, "note": f"Only {count}."}
        if entry.difference:
            entry.difference |= {"unit": "utterances", "units": count}
    notes = format_results_table(found).notes
    assert "of 120 and 240 utterances;" in " ".join(notes)
    assert notes[-2:] == ("MSP-Podcast test1: Only 240.", "MSP-Podcast test2: Only 120.")


def test_table_without_reference_has_no_note_on_stars():
    found = collected({"a": (0.5, 0.5), "b": (0.4, 0.4)}, reference=None)
    assert not [note for note in format_results_table(found).notes if "Stars" in note]


def test_repeated_notes_and_warnings_are_shown_once():
    found = collected({"a": (0.5, 0.5), "b": (0.4, 0.4)})
    for entry in found.entries:
        entry.interval = {**INTERVAL, "note": "Utterances are resampled."}
    found.states.update({cell: State(FINISHED, warnings=("odd",)) for cell in found.states})
    notes = format_results_table(found).notes
    assert notes.count("Utterances are resampled.") == 1
    assert notes.count("odd") == 1


def test_row_that_could_not_be_compared_is_named():
    found = collected({"a": (0.5, 0.5), "b": (0.4, 0.4)})
    found.entries[1].not_compared = "other utterances"
    assert (
        "b: not compared with the reference: other utterances" in format_results_table(found).notes
    )
