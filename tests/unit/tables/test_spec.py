"""Reading and validation of tables.yaml; errors name the position."""

import copy

import pytest
from ruamel.yaml import YAML

from emosphere_sb.tables import spec as spec
from emosphere_sb.tables.columns import COLUMNS

TABLE = {
    "caption": "Made up",
    "preset": "published",
    "seeds": [3, 1],
    "groups": [{"corpus": "IEMOCAP", "set": "test", "folds": 5, "options": {"four_classes": True}}],
    "columns": ["valence", "mean"],
    "labels": ["model", "loss"],
    "reference": "one",
    "rows": {
        "one": {"label": ["One", "✓"], "published": [0.5, 0.25]},
        "two": {"label": ["Two", "–"], "preset": "mean_pooling", "options": {"lr": 0.1}},
    },
}


@pytest.fixture
def read(tmp_path):
    """Function that reads a table after a change to its definition."""

    def start(change=lambda table: None, name="made_up"):
        table = copy.deepcopy(TABLE)
        change(table)
        path = tmp_path / "own.yaml"
        with open(path, "w", encoding="utf-8") as file:
            YAML().dump({"made_up": table}, file)
        return spec.read_table_spec(name, path)

    return start


def error_of(read, change, name="made_up") -> str:
    with pytest.raises(ValueError) as error:
        read(change, name)
    return str(error.value)


def test_table_is_read(read):
    table = read()
    assert (table.name, table.caption, table.preset) == ("made_up", "Made up", "published")
    assert (table.seeds, table.labels, table.reference) == ((3, 1), ("model", "loss"), "one")
    assert table.columns == (COLUMNS["valence"], COLUMNS["mean"])
    (group,) = table.groups
    assert (group.corpus, group.tested_on, group.set, group.folds) == (
        "IEMOCAP", "IEMOCAP", "test", 5,
    )  # fmt: skip
    assert group.options == {"four_classes": "True"}
    one, two = table.rows
    assert (one.name, one.labels, one.preset, one.published) == (
        "one",
        ("One", "✓"),
        "",
        (0.5, 0.25),
    )
    assert (two.labels, two.preset, two.options) == (("Two", "–"), "mean_pooling", {"lr": "0.1"})


def test_row_without_label_is_labelled_with_its_name(read):
    table = read(lambda t: t.update(labels=["model"], rows={"one": None, 8: {}}))
    assert [(row.name, row.labels) for row in table.rows] == [("one", ("one",)), ("8", ("8",))]


def test_reference_may_be_a_number(read):
    table = read(lambda t: t.update(labels=["model"], rows={8: {}, 18: {}}, reference=8))
    assert table.reference == "8"


def test_pairs_are_all_combinations_of_rows_and_blocks(read):
    def two_blocks(table):
        table["groups"] = [{"corpus": "IEMOCAP", "set": s} for s in ("test", "valid")]
        del table["rows"]["one"]["published"]

    pairs = [(row.name, group.set) for row, group in read(two_blocks).pairs()]
    assert pairs == [("one", "test"), ("one", "valid"), ("two", "test"), ("two", "valid")]


def test_corpora_include_training_and_test_corpora(read):
    def crossed(table):
        table["groups"] = [{"tested_on": "MSP-IMPROV", "set": "test", "elsewhere": "all"}]
        table["rows"]["two"]["corpus"] = "OwnData"

    table = read(crossed)
    assert table.corpora() == ["MSP-IMPROV", "OwnData"]
    trained = [spec.cell_training_corpus(row, group) for row, group in table.pairs()]
    assert trained == ["MSP-IMPROV", "OwnData"]


@pytest.mark.parametrize(
    ("spec", "title"),
    [
        ({"corpus": "MSP-Podcast", "set": "test1"}, "MSP-Podcast test1"),
        ({"corpus": "IEMOCAP", "set": "test", "folds": 5}, "IEMOCAP test, 5 folds pooled"),
        ({"tested_on": "MSP-Podcast", "set": "test1"}, "MSP-Podcast test1"),
        ({"tested_on": "IEMOCAP", "set": "valid", "elsewhere": "all"}, "IEMOCAP test"),
    ],
)
def test_title_of_a_block(read, spec, title):
    assert read(lambda t: t.update(groups=[spec])).groups[0].title == title


def set_row(**changes):
    return lambda table: table["rows"]["two"].update(changes)


def set_group(**changes):
    return lambda table: table["groups"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "place", "found"),
    [
        (lambda t: t.update(captoin="x"), "own.yaml, made_up:", "Unknown key 'captoin'"),
        (set_group(sets="x"), "own.yaml, made_up, groups:", "Unknown key 'sets'"),
        (set_row(lable="x"), "own.yaml, made_up, rows, two:", "Unknown key 'lable'"),
        (lambda t: t.update(columns=["valense"]), "own.yaml, made_up:", "Unknown column 'valense'"),
        (lambda t: t.update(reference="three"), "own.yaml, made_up: reference:", "row 'three'"),
        (lambda t: t.update(reference=3), "own.yaml, made_up: reference:", "Unknown row '3'"),
        (set_group(corpus=None), "own.yaml, made_up, groups:", "Unknown corpus 'None'"),
        (set_group(corpus="MSP"), "own.yaml, made_up, groups:", "Unknown corpus 'MSP'"),
        (set_row(corpus="MSP"), "own.yaml, made_up, rows, two:", "Unknown corpus 'MSP'"),
        (set_row(published=[0.1, 0.2, 0.3]), "own.yaml, made_up, rows, two:", "found 3"),
        (set_row(published=[0.1, "-"]), "own.yaml, made_up, rows, two: published", "'-'"),
        (set_row(published=0.5), "own.yaml, made_up, rows, two: published", "0.5"),
        (set_row(label=["Two"]), "own.yaml, made_up, rows, two:", "model, loss; found Two"),
        (set_row(label="ab"), "own.yaml, made_up, rows, two: label", "'ab'"),
        (set_row(options=["lr"]), "own.yaml, made_up, rows, two, options must be", "['lr']"),
        (set_row(options={"seed": 3}), "own.yaml, made_up, rows, two:", "seed is set by the table"),
        (set_group(options={"fold": 3}), "own.yaml, made_up:", "fold is set by the table"),
        (lambda t: t.update(seeds=[1, 2, 1]), "own.yaml, made_up:", "distinct; found 1, 2, 1"),
        (lambda t: t.update(seeds=[1, -2]), "own.yaml, made_up:", ">= 0; found 1, -2"),
        (lambda t: t.update(seeds=[1.5]), "own.yaml, made_up:", ">= 0; found 1.5"),
        (lambda t: t.update(seeds=3), "own.yaml, made_up: seeds", "found 3"),
        (lambda t: t.update(columns="mean"), "own.yaml, made_up: columns", "'mean'"),
        (lambda t: t.update(labels="model"), "own.yaml, made_up: labels", "'model'"),
        (lambda t: t.update(rows=["one"]), "own.yaml, made_up, rows must be", "['one']"),
        (lambda t: t["rows"].update(two="x"), "own.yaml, made_up, rows, two must be", "'x'"),
        (set_group(tested_on="IEMOCAP"), "own.yaml, made_up: each", "either corpus or tested_on"),
        (lambda t: t["groups"][0].pop("corpus"), "own.yaml, made_up: each", "found set, folds"),
        (lambda t: t["groups"][0].pop("set"), "own.yaml, made_up: each", "found corpus, folds"),
        (set_group(folds=0), "own.yaml, made_up: folds", "found 0"),
        (set_group(folds=True), "own.yaml, made_up: folds", "found True"),
        (set_group(folds="5"), "own.yaml, made_up: folds", "found '5'"),
    ],
)  # fmt: skip
def test_invalid_definition_is_rejected_with_its_position(read, change, place, found):
    text = error_of(read, change)
    assert text.startswith(place)
    assert found in text


@pytest.mark.parametrize("key", ["caption", "seeds", "groups", "columns", "labels", "rows"])
def test_required_key(read, key):
    for change in (lambda t: t.pop(key), lambda t: t.update({key: None})):
        assert error_of(read, change) == f"own.yaml, made_up: {key} is required; found None."


def test_published_scores_require_a_single_block(read):
    two = [{"corpus": "IEMOCAP", "set": name} for name in ("test", "valid")]
    text = error_of(read, lambda t: t.update(groups=two))
    assert text == (
        "own.yaml, made_up: published scores require a table with one group; found 2 groups."
    )


def test_unknown_table_lists_the_known_tables(read):
    text = error_of(read, lambda t: None, "madeup")
    assert text == "Unknown table 'madeup'. Did you mean 'made_up'? Allowed: made_up."


def test_options_are_formatted_as_on_a_command_line():
    values = {"patience": None, "drop_train": ["other", "x"], "lr": 1e-05, "raters": True}
    assert spec.read_options(values, "x") == {
        "patience": "null", "drop_train": "[other, x]", "lr": "1e-05", "raters": "True",
    }  # fmt: skip
    assert spec.read_options(None, "x") == {}


@pytest.mark.parametrize("key", spec.RESERVED_KEYS)
def test_reserved_key_is_rejected_as_option(key):
    with pytest.raises(ValueError, match=f"^here: {key} is set by the table"):
        spec.read_options({key: "1"}, "here")


@pytest.mark.parametrize("texts", [[], ["1", ""], ["one"], ["1.0"], ["0", "00"]])
def test_seeds_that_are_none_are_error_of(texts):
    with pytest.raises(ValueError, match=r"^--seeds: "):
        spec.read_seeds(texts, "--seeds")
