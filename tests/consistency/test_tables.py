"""Test that tables.yaml is consistent with the paper, presets.yaml and the README."""

import re

import pytest

from emosphere_sb.fileio.yaml_tree import tagged_value
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.corpora import reader_settings
from emosphere_sb.recipe.hparams import merge, read_presets
from emosphere_sb.tables.columns import COLUMNS
from emosphere_sb.tables.spec import cell_training_corpus, read_table_spec, table_names

FILE = HPARAMS / "emosphere.yaml"
NAMES = table_names()

# Copied from the paper: V, A, D, average, then macro F1 and accuracy in %.
PAPER = {
    "paper_table_1": [  # auxiliary loss, style pooling, preprocessing
        (("✓", "✓", "✓"), (0.6952, 0.7482, 0.6220, 0.6884)),
        (("✓", "✓", "–"), (0.6953, 0.7447, 0.6166, 0.6855)),
        (("✓", "–", "–"), (0.6908, 0.7456, 0.6192, 0.6852)),
        (("–", "–", "–"), (0.6845, 0.7349, 0.6210, 0.6801)),
    ],
    "paper_table_2": [
        (("without dynamic weighting",), (0.6951, 0.7405, 0.6267, 0.6875)),
        (("categorical emotion recognition",), (0.6912, 0.7342, 0.6281, 0.6845)),
        (("plain cross-entropy",), (0.6968, 0.7352, 0.6308, 0.6876)),
        (("proposed",), (0.6952, 0.7482, 0.6220, 0.6884)),
    ],
    "paper_table_3": [  # N (angle)
        (("32 (45°)",), (0.6833, 0.7385, 0.6204, 0.6808, 4.77, 16.95)),
        (("18 (60°)",), (0.6962, 0.7376, 0.6250, 0.6863, 17.96, 31.95)),
        (("8 (90°)",), (0.6952, 0.7482, 0.6220, 0.6884, 36.27, 59.51)),
    ],
}
REGRESSION = ["valence", "arousal", "dominance", "mean"]
CONTENT = {  # the settings of each row according to the text of the paper
    "paper_table_1": [
        ("StylePooling", "RegionTask", "LinearDecay", {"no_agreement", "other"}),
        ("StylePooling", "RegionTask", "LinearDecay", {"other"}),
        ("AttentiveStatsPooling", "RegionTask", "LinearDecay", {"other"}),
        ("AttentiveStatsPooling", "NoTask", "LinearDecay", {"other"}),
    ],
    "paper_table_2": [
        ("StylePooling", "RegionTask", "ConstantWeight", {"no_agreement", "other"}),
        ("StylePooling", "EmotionTask", "LinearDecay", {"no_agreement", "other"}),
        ("StylePooling", "RegionTask", "LinearDecay", {"no_agreement", "other"}),
        ("StylePooling", "RegionTask", "LinearDecay", {"no_agreement", "other"}),
    ],
    "paper_table_3": [
        ("StylePooling", "RegionTask", "LinearDecay", {"no_agreement", "other"}),
    ]
    * 3,
}
WEIGHTED, PLAIN = "inverse_frequency", "none"
REGIONS = {  # angle in degrees and class weights of the rows with a region task
    "paper_table_1": [(90, WEIGHTED), (90, WEIGHTED), (90, WEIGHTED), None],
    "paper_table_2": [(90, WEIGHTED), None, (90, PLAIN), (90, WEIGHTED)],
    "paper_table_3": [(45, WEIGHTED), (60, WEIGHTED), (90, WEIGHTED)],
}


def tree_of(table, row):
    names = [name for part in (table.preset, row.preset) if part for name in part.split("+")]
    return merge(Arguments(FILE, names))


def class_of(value) -> str:
    return value.tag.value.rpartition(".")[2]


def differing(one, other) -> set[str]:
    return {
        k
        for k in {**one, **other}
        if k != "preset" and tagged_value(one.get(k)) != tagged_value(other.get(k))
    }


def test_expected_tables_exist():
    assert {*PAPER, "ablation", "pooling", "regions", "weighting", "backbones"} <= set(NAMES)
    assert {"region_targets", "corpora", "cross_corpus"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_table_is_valid_and_uses_existing_presets(name):
    table, known = read_table_spec(name), set(read_presets(FILE))
    assert table.rows and table.groups and table.columns and table.seeds
    assert table.name == name
    assert len({row.labels for row in table.rows}) == len(table.rows)
    used = {part for row in (table, *table.rows) for part in row.preset.split("+") if part}
    assert used <= known


@pytest.mark.parametrize("name", NAMES)
def test_settings_of_each_row_are_valid_for_its_corpora(name):
    table = read_table_spec(name)
    for row, group in table.pairs():
        corpus = cell_training_corpus(row, group)
        words = [str(FILE), f"--preset={'+'.join(r for r in (table.preset, row.preset) if r)}"]
        words = [word for word in words if word != "--preset="]
        options = [f"--{key}={value}" for key, value in {**group.options, **row.options}.items()]
        tree = read_command([*words, *options], corpus=corpus).tree
        assert all(key in tree for key in {**group.options, **row.options})
        assert group.folds == 1 or "fold" in reader_settings(corpus)


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_a_table_are_different_runs(name):
    table = read_table_spec(name)
    contents = [
        repr((plain_tree(table, row), sorted(row.options.items()), row.corpus))
        for row in table.rows
    ]
    assert len(set(contents)) == len(contents) == len(table.rows)


def plain_tree(table, row):
    return sorted(
        (k, repr(tagged_value(v))) for k, v in tree_of(table, row).items() if k != "preset"
    )


@pytest.mark.parametrize("name", list(PAPER))
def test_rows_columns_and_published_scores_match_the_paper(name):
    table = read_table_spec(name)
    assert [(row.labels, row.published) for row in table.rows] == PAPER[name]
    columns = [n for c in table.columns for n, column in COLUMNS.items() if column is c]
    count = max(len(scores) for _, scores in PAPER[name])
    assert columns[:count] == [*REGRESSION, "head_f1", "head_accuracy"][:count]
    assert table.preset == "published" and len(table.seeds) > 1
    (group,) = table.groups
    assert (group.corpus, group.set) == ("MSP-Podcast", "test")  # the in-house test set


def test_published_averages_match_published_scores():
    rows = [scores for table in PAPER.values() for _, scores in table]
    assert len(rows) == 11
    for valence, arousal, dominance, mean, *_ in rows:
        assert mean == pytest.approx((valence + arousal + dominance) / 3, abs=1e-4)


@pytest.mark.parametrize("name", list(PAPER))
def test_rows_have_the_settings_of_the_paper(name):
    table = read_table_spec(name)
    proposed = merge(Arguments(FILE, ["published"]))
    assert proposed["partition"] == "paper"
    for row, expected, regions in zip(table.rows, CONTENT[name], REGIONS[name], strict=True):
        tree = tree_of(table, row)
        pooling, task, weighting = (class_of(tree[k]) for k in ("pooling", "task", "weighting"))
        assert (pooling, task, weighting, set(tree["drop_train"])) == expected, row.name
        if regions is not None:
            assert (tree["region_angle"], tree["region_class_weights"]) == regions, row.name
        # All rows are tested on the same utterances.
        assert set(tree["drop_test"]) == set(tree["drop_valid"]) == {"no_agreement", "other"}
        allowed = {
            "pooling", "task", "weighting", "drop_train", "auxiliary_head", "region_angle",
            "region_class_weights",
        }  # fmt: skip
        assert differing(tree, proposed) <= allowed, row.name


def test_reference_row_is_the_proposed_model():
    proposed = merge(Arguments(FILE, ["published"]))
    for name in PAPER:
        table = read_table_spec(name)
        row = next(row for row in table.rows if row.name == table.reference)
        assert differing(tree_of(table, row), proposed) == set()
        assert (
            row.published == (PAPER["paper_table_1"][0][1] + (36.27, 59.51))[: len(row.published)]
        )


def test_constant_weight_equals_initial_dynamic_weight():
    table = read_table_spec("paper_table_2")
    first, *_, last = (tree_of(table, row) for row in table.rows)
    assert first["weighting"]["weight"].value == "<aux_weight_start>"
    keys = ("aux_weight_start", "aux_weight_end", "aux_decay_epochs", "aux_after_decay")
    assert [last[key] for key in keys] == [1.0, 0.01, 5, "drop"]
    assert first["aux_weight_start"] == 1.0


def test_emotion_task_has_eight_classes():
    table = read_table_spec("paper_table_2")
    task = tree_of(table, table.rows[1])["task"]
    classes, weights = task["emotions"], task["class_weights"]
    eight = {"angry", "sad", "happy", "surprise", "fear", "disgust", "contempt", "neutral"}
    assert set(classes) == eight and len(classes) == 8
    assert weights == WEIGHTED


def test_region_angles_range_from_180_to_30_degrees():
    table = read_table_spec("regions")
    steps = {row.name: tree_of(table, row)["region_angle"] for row in table.rows}
    assert steps == {
        "2 (180°)": 180, "8 (90°)": 90, "18 (60°)": 60, "32 (45°)": 45, "72 (30°)": 30,
    }  # fmt: skip
    for name, step in steps.items():  # N = (360 / step)·(180 / step)
        assert int(name.split()[0]) == (360 // step) * (180 // step)


def test_tables_in_the_docs_exist(root):
    pages = [root / "docs" / "evaluation.md", root / "docs" / "reproducing.md"]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    named = re.findall(r"emosphere table ((?:[a-z_\d]+ ?)+)", text)
    assert named
    assert {word for words in named for word in words.split()} <= set(NAMES)
