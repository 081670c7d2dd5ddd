"""Identity of training data: equal names of corpora do not mean equal data."""

from types import SimpleNamespace

from emosphere_sb.inference.evaluation import training_note
from emosphere_sb.recipe.data_identity import SAMPLE, count_shared, training_data
from emosphere_sb.release.model import ModelInfo
from emosphere_sb.scale import Scale


def rows(ids, seconds=1.0):
    return {f"u{n}": {"duration": f"{seconds + n / 100:.4f}"} for n in ids}


def summary(digest, corpus="OwnData"):
    inputs = {"/data/labels.csv": digest, "/data/optional.csv": None}
    return SimpleNamespace(corpus=corpus, facts={"fingerprint": {"inputs": inputs}})


def model(identity):
    protocol = {"corpus": "OwnData", "release": None, "training_data": identity}
    return ModelInfo("m", Scale(1, 7), facts={"protocol": protocol})


SETS = {"train": rows(range(60)), "valid": rows(range(60, 80)), "test": rows(range(80, 100))}


def test_all_utterances_of_a_small_corpus_are_compared():
    identity = training_data(summary("a"), SETS)
    assert identity["utterances"] == 80 and identity["label_files"] == ["a"]
    assert count_shared(identity, SETS["test"]) == (0, 20)
    assert count_shared(identity, rows(range(70, 90))) == (10, 20)
    assert count_shared(identity, rows(range(80), seconds=2.0)) == (0, 80)  # other audio


def test_sample_of_a_large_corpus_estimates_the_shared_part():
    identity = training_data(summary("a"), {"train": rows(range(20_000))})
    assert len(identity["sample"].split()) == SAMPLE
    assert count_shared(identity, rows(range(20_000))) == (SAMPLE, SAMPLE)
    shared, compared = count_shared(identity, rows(range(10_000, 30_000)))
    assert 0 < shared < compared and abs(shared / compared - 0.5) < 0.15
    assert count_shared(identity, rows(range(20_000, 40_000)))[0] == 0


def test_another_folder_of_own_data_is_not_the_training_data():
    found = training_note(
        model(training_data(summary("a"), SETS)), summary("b"), {"test": rows(range(20), 5.0)}
    )
    assert found == ""


def test_training_utterances_in_another_label_file_are_found():
    identity = training_data(summary("a"), SETS)
    note = training_note(model(identity), summary("b"), {"test": rows(range(50, 90))})
    assert note == (
        "The model was trained on OwnData. Results on test do not show how well it generalises, "
        "because training or model selection used 30 of the 40 utterances of test compared."
    )


def test_test_set_of_the_same_label_file_is_named():
    identity = training_data(summary("a"), SETS)
    note = training_note(model(identity), summary("a"), {"test": SETS["test"]})
    assert note.endswith("The label files are the same, but the tested utterances are different.")
