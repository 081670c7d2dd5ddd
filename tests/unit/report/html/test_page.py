"""Tests of the pages of runs and tables: content, escaping, no external resources."""

import base64
import html
import re
import struct

import pytest
from markupsafe import Markup
from matplotlib.figure import Figure

from emosphere_sb.report.html.page import image_view, run_page, write_plots
from emosphere_sb.report.html.table_page import table_page
from emosphere_sb.report.plots.all import plot_table, render_png
from tests.helpers.html import EVIL, Reader


@pytest.fixture(scope="module")
def page(made_report, made_log):
    return Reader(run_page(*made_report, made_log))


def short(value):
    """Three decimals without a leading zero, implemented independently."""
    return re.sub(r"^(-?)0\.", r"\1.", format(value, ".3f"))


def test_scores_and_intervals_are_in_table(page, made_report):
    found = made_report[0]["sets"]["test1"]["metrics"]
    row = next(row for row in page.cells if row[:2] == ["test1", "120"])
    ccc = [found[d]["ccc"] for d in ("valence", "arousal", "dominance")] + [found["mean_ccc"]]
    assert row[2:] == [f"{short(v)}[{short(v - 0.05)}, {short(v + 0.05)}]" for v in ccc]


def test_synthetic_banner_and_warnings_precede_results(page):
    places = [page.text.index("Synthetic speech:")]
    for text in ("row <smoke>", "More than half of the predictions", "95% confidence intervals"):
        places.append(page.text.index(text, places[0]))
    assert places == sorted(places)


def test_real_speech_has_no_banner(made_report):
    report = {**made_report[0], "synthetic": False}
    assert "Synthetic speech" not in run_page(report, {})


def test_interval_method_is_described(page):
    assert "test1: 95% confidence intervals from a bootstrap over 40 speakers" in page.text
    assert "40 speakers, 10,000 resamples. A note & more." in page.text


def test_comparison_shows_differences_with_p_values(page):
    assert ["Valence", ".012", "[.001, .023]", "< .001"] in page.cells


def test_subgroups_show_counts_and_available_intervals(page, made_report):
    parts = made_report[0]["sets"]["test1"]["slices"]["gender"]
    for part in parts:
        row = next(row for row in page.cells if row[:1] == [part["value"]])
        assert row[1] == str(part["utterances"])
        assert ("[" in row[2]) is (part["value"] == "Female")
    assert "No breakdown by number of raters" in page.text


def test_calibration_shows_corrected_and_uncorrected(page, made_report):
    mean = made_report[0]["sets"]["test1"]["metrics"]["mean_ccc"]
    assert ["slope of prediction on truth", ".625", ".625", ".625"] in page.cells
    assert ["ratio of SDs", ".750", ".750", ".750"] in page.cells
    assert next(row for row in page.cells if row[:1] == ["none"])[-1] == short(mean)
    assert next(row for row in page.cells if row[:1] == ["affine"])[-1] == ".432"


def test_shrinkage_is_a_ratio_of_sds_below_1_and_the_slope_is_the_conditional_bias(page):
    text = " ".join(page.text.split())
    for sentence in (
        "If the ratio of SDs is below 1, predictions shrink towards their mean.",
        "The slope of prediction on truth is the conditional bias: below 1, low values are on "
        "average overestimated and high values underestimated.",
        "It equals Pearson correlation times ratio of SDs, so it does not measure shrinkage.",
    ):
        assert sentence in text, sentence
    assert text.count("shrink") == 2


def test_cap_protocol_and_run(page):
    assert ["test1", ".909", ".909", ".909"] in page.cells
    for text in ("84,030", "2.14.1", "2 h 00 min", "ab12", "python t.py --preset=a<b"):
        assert text in page.text


def test_unlabelled_sets_are_listed(page):
    assert "Predictions only, no labels: test3." in page.text


def test_images_are_embedded_with_alt_text_and_scores(page, made_report):
    images = page.of("img")
    assert len(images) == 5  # points, sphere, confusion, gender, training
    for image in images:
        data = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"), validate=True)
        assert data.startswith(b"\x89PNG")
        assert re.search(r"\d", image["alt"])
    valence = made_report[0]["sets"]["test1"]["metrics"]["valence"]["ccc"]
    assert f"valence CCC {short(valence)}" in images[0]["alt"]
    assert "Epoch 2 was tested" in images[-1]["alt"]


def test_accuracy_in_caption_matches_counts(page, made_report):
    counts = made_report[0]["sets"]["test1"]["confusion"]["region_point"]["counts"]
    right = sum(counts[n][n] for n in range(8)) / sum(map(sum, counts))
    assert any(f"accuracy {100 * right:.1f}%" in image["alt"] for image in page.of("img"))


def test_page_has_no_external_resources_or_scripts(made_report, made_log):
    text = run_page(*made_report, made_log)
    assert not re.search(r"(src|href|action|data)\s*=\s*[\"']?\s*(https?:)?//", text)
    assert not re.search(r"url\(|@import|<script|<iframe|<object|\son\w+=", text)
    for attrs in Reader(text).of("a"):
        assert attrs["href"].startswith("#")


def test_content_security_policy_allows_embedded_content_only(page):
    policy = next(attrs["content"] for attrs in page.of("meta") if "http-equiv" in attrs)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_links_have_targets(page):
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    targets = {attrs["href"][1:] for attrs in page.of("a")}
    assert targets == {
        "results", "comparison", "set-test1", "training", "protocol", "run", "explanations",
    }  # fmt: skip
    assert targets <= ids


def folded(text):
    """Ids of the contents of folded sections, and whether each is open."""
    found = re.findall(r'<details class="fold level-\d"( open)?>.*?<div id="([^"]+)">', text, re.S)
    return {name: bool(is_open) for is_open, name in found}


def test_sections_are_folded_except_results_and_a_single_set(made_report, made_log):
    report, tables = made_report
    found = folded(run_page(report, tables, made_log))
    assert found.pop("set-test1") is True  # the only set
    assert not any(found.values())
    assert set(found) == {
        "baselines", "test1-classes", "test1-calibration", "test1-subgroups", "training",
        "explanations", "protocol", "run",
    }  # fmt: skip
    several = {"valid": report["sets"]["test1"], **report["sets"]}
    found = folded(run_page({**report, "sets": several}, tables, made_log))
    assert (found["set-valid"], found["set-test1"]) == (False, False)


def test_each_note_and_explanation_is_shown_once(made_report):
    report, tables = made_report
    evaluation = report["sets"]["test1"]
    slices = {**evaluation["slices"], "region": evaluation["slices"]["gender"]}
    several = {name: {**evaluation, "slices": slices} for name in ("valid", "test1", "test2")}
    text = " ".join(Reader(run_page({**report, "sets": several}, tables)).text.split())
    for note in (
        "valid, test1, test2: 95% confidence intervals from a bootstrap over 40 speakers",
        "valid, test1, test2: No breakdown by number of raters: not recorded.",
        "valid, test1, test2: More than half of the predictions lie off the scale.",
        "Within the subgroups of an emotion or a region, the range of the true values",
        "The slope of prediction on truth is the conditional bias",
        "CCC within each subgroup; n: number of utterances.",
        "Subgroups of fewer than 20 utterances have no bar.",
    ):
        assert text.count(note) == 1, note
    assert "Restricted range" not in text
    assert text.count("More than half") == 1


def test_small_subgroups_have_a_table_but_no_plot(made_report):
    report, tables = made_report
    evaluation = report["sets"]["test1"]
    gender = evaluation["slices"]["gender"]
    small = [{**gender[0], "value": "<2", "utterances": 19}, {**gender[0], "utterances": 5}]
    slices = {"duration": small, "gender": gender}
    page = run_page({**report, "sets": {"test1": {**evaluation, "slices": slices}}}, tables)
    read = Reader(page)
    assert [i["alt"].split(":")[0] for i in read.of("img") if "Mean CCC" in i["alt"]] == [
        "Mean CCC of test1 by gender"
    ]
    rows = [row for row in read.cells if row[0] == "<2"]
    assert len(rows) == 1 and rows[0][1] == "19"
    assert "By duration (s): table" in read.text


def test_contents_list_the_explanations(page):
    links = re.search(r"Results\s.*?Run\b", page.text, re.S)[0].split()
    assert links == [
        "Results",
        "Comparison",
        "test1",
        "Training",
        "Explanations",
        "Protocol",
        "Run",
    ]


def test_page_has_language_and_scoped_headings(page):
    assert page.of("html") == [{"lang": "en"}]
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.of("th"))
    assert len(page.of("h1")) == 1


def test_values_from_files_are_escaped(made_table, made_evaluation):
    table = made_table(60)
    evaluation = made_evaluation(table)
    evaluation["warnings"] = [EVIL]
    evaluation["slices"]["gender"][0]["value"] = EVIL
    evaluation["confusion"]["region_point"]["classes"][0] = EVIL
    report = {
        "title": EVIL, "protocol": {EVIL: EVIL}, "run": {"command": EVIL}, "synthetic": False,
        "sets": {EVIL: evaluation}, "comparison": {EVIL: {"note": EVIL}},
        "beside": {"other": {EVIL: [EVIL]}}, EVIL: EVIL,
    }  # fmt: skip
    text = run_page(report, {EVIL: table})
    assert "<script" not in text
    read = Reader(text)
    assert read.text.count(EVIL) > 10
    assert [EVIL in attrs["alt"] for attrs in read.of("img")] == [True] * 3
    assert sum(EVIL in attrs.get("aria-label", "") for attrs in read.of("div")) >= 2
    assert html.unescape(re.search(r"<title>(.*)</title>", text)[1]) == EVIL


def test_unknown_keys_are_shown(made_report):
    report, tables = made_report
    report = {**report, "only_common": {"left_out": 17}}
    text = Reader(run_page(report, tables)).text
    assert "only common" in text and "left out17" in text


def test_undefined_scores_are_dashes(made_report):
    report, _ = made_report
    found = {d: {"ccc": None, "n": 0} for d in ("valence", "arousal", "dominance")}
    bare = {"metrics": {**found, "mean_ccc": float("nan"), "utterances": 3}, "intervals": None}
    read = Reader(run_page({**report, "sets": {"test9": bare}, "comparison": None}, {}))
    assert ["test9", "3", "–", "–", "–", "–"] in read.cells
    assert "test9: no confidence intervals." in read.text
    assert "No predictions to plot." in read.text


def test_results_without_scale_explain_missing_sphere(made_report):
    report, tables = made_report
    protocol = {key: value for key, value in report["protocol"].items() if key != "scale"}
    read = Reader(run_page({**report, "protocol": protocol}, tables))
    assert len(read.of("img")) == 3
    assert "label scale is not recorded" in read.text


def test_page_is_reproducible(made_report, made_log):
    assert run_page(*made_report, made_log) == run_page(*made_report, made_log)


def test_plots_are_written_as_png_and_pdf(made_report, made_log, tmp_path):
    written = write_plots(*made_report, tmp_path / "report", made_log)
    names = ["test1_predicted_against_true", "test1_sphere", "test1_confusion_region_point",
             "test1_by_gender", "training"]  # fmt: skip
    assert [path.name for path in written] == [f"{n}.{e}" for n in names for e in ("png", "pdf")]
    for path in written:
        assert path.read_bytes()[:4] in (b"\x89PNG", b"%PDF")
    again = write_plots(*made_report, tmp_path / "again", made_log)
    assert [a.read_bytes() for a in again] == [b.read_bytes() for b in written]


@pytest.fixture
def facts():
    run = {"row": "mean <pooling>", "corpus": "MSP-Podcast", "seed": 1, "fold": None,
           "status": "finished", "mean_ccc": 0.6884, "valence": 0.6952, "arousal": 0.7482,
           "dominance": 0.622, "folder": "results/a", "commit": "ab12", "seconds": 7200,
           "command": "python train.py --preset=mean_pooling"}  # fmt: skip
    missing = {**run, "seed": 2, "status": "missing", "mean_ccc": None, "valence": None,
               "arousal": None, "dominance": None, "seconds": None, "commit": None}  # fmt: skip
    return {"name": "pooling", "caption": "Pooling & more", "synthetic": True, "notes": ["a < b"],
            "html_table": Markup("<table><tr><td>.688</td></tr></table>"), "runs": [run, missing],
            "origin": "Made by `emosphere table pooling`."}  # fmt: skip


@pytest.fixture(scope="module")
def figure_png():
    row = {"label": "a", "mean": 0.5, "interval": None, "seeds": [0.5], "published": None}
    return render_png(plot_table([{**row, "reference": False}], "CCC"))


def test_table_page_links_scores_to_runs(facts, figure_png):
    read = Reader(table_page(facts, figure_png))
    assert [
        "mean <pooling>", "MSP-Podcast", "1", "finished", ".688", ".695", ".748", ".622",
        "2 h 00 min", "python train.py --preset=mean_pooling", "results/a", "ab12",
    ] in read.cells  # fmt: skip
    assert ["mean <pooling>", "MSP-Podcast", "2", "missing", *"–––––"] in [
        row[:9] for row in read.cells
    ]
    assert "2 runs: 1 finished, 1 missing." in read.text
    assert read.text.index("Synthetic speech") < read.text.rindex("a < b")
    for text in ("a < b", "Made by `emosphere table pooling`."):
        assert text in read.text
    assert [".688"] in read.cells
    (image,) = read.of("img")
    assert "seed 1: .688" in image["alt"] and "seed 2" not in image["alt"]


def test_empty_run_columns_are_hidden(facts, figure_png):
    facts["runs"][0] |= {"fold": 3, "set": "test2"}
    heads = [row for row in Reader(table_page(facts, figure_png)).cells if "command" in row]
    assert heads[0][:6] == ["row", "corpus", "set", "seed", "fold", "status"]


def test_table_page_without_runs(facts, figure_png):
    read = Reader(table_page({**facts, "runs": [], "notes": [], "synthetic": False}, figure_png))
    assert "0 runs." in read.text
    assert "Synthetic speech" not in read.text


def test_missing_key_raises(facts, figure_png):
    del facts["origin"]
    with pytest.raises(KeyError, match="origin"):
        table_page(facts, figure_png)


def test_table_page_escapes_values(facts, figure_png):
    named = ("row", "corpus", "set", "seed", "fold", "status", "folder", "commit", "command")
    facts |= {"name": EVIL, "caption": EVIL, "notes": [EVIL], "origin": EVIL, "html_table": EVIL}
    facts["runs"] = [{**facts["runs"][0], **dict.fromkeys(named, EVIL)}]
    text = table_page(facts, figure_png)
    assert "<script" not in text
    read = Reader(text)
    # title, heading, name, table, note, count of statuses, cells of the run, origin
    assert read.text.count(EVIL) == 7 + len(named)
    assert EVIL in read.of("img")[0]["alt"]
    assert read.of("div")[0]["aria-label"] == EVIL


def test_command_is_shown_unchanged(facts, figure_png):
    line = 'python train.py  --a-b="c < d"'
    facts["runs"] = [{**facts["runs"][0], "command": line}]
    text = table_page(facts, figure_png)
    assert Reader(re.search(r"<pre>.*</pre>", text)[0]).text == line


def test_image_embeds_file_at_its_size():
    file = render_png(Figure((3, 2)))
    shown = image_view(file, "Alt", "c")
    assert base64.b64decode(shown["data"]) == file
    assert struct.unpack(">II", file[16:24]) == (432, 288)  # 144 dots an inch
    assert (shown["width"], shown["height"]) == (288, 192)  # 96 browser's pixels an inch
    assert (shown["alt"], shown["caption"]) == ("Alt", "c")


def test_image_requires_alt_text_and_png():
    with pytest.raises(ValueError, match="must have alternative text"):
        image_view(render_png(Figure((1, 1))), " ", "caption")
    with pytest.raises(ValueError, match="must be a PNG file; found b'GIF89a'"):
        image_view(b"GIF89a", "alt", "caption")
