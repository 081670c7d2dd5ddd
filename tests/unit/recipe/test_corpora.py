"""Settings of each corpus."""

import pytest

from emosphere_sb.recipe.corpora import CORPORA, check_corpus_keys, corpus_module, reader_settings


@pytest.mark.parametrize("corpus", CORPORA)
def test_corpus_has_a_module_that_reads(corpus):
    module = corpus_module(corpus)
    assert module.NAME
    assert callable(module.read)


def test_unknown_corpus_lists_the_known_corpora():
    with pytest.raises(
        ValueError, match=r"Unknown corpus 'X'. Allowed: MSP-Podcast, IEMOCAP, MSP-IMPROV, OwnData"
    ):
        corpus_module("X")


OWNERS = {  # copied from the comments of emosphere.yaml
    "four_classes": {"IEMOCAP"},
    "flip_arousal": {"MSP-IMPROV"},
    "conditions": {"MSP-IMPROV"},
    "raters": {"MSP-Podcast"},
    "label_low": {"OwnData"},
    "folds": {"OwnData"},
    "labels_file": {"MSP-Podcast", "MSP-IMPROV", "OwnData"},
    "partition": set(CORPORA),
    "drop_test": set(CORPORA),
}


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("key", OWNERS)
def test_setting_of_other_corpora_is_rejected(key, corpus):
    assert (key in reader_settings(corpus)) == (corpus in OWNERS[key])
    if corpus in OWNERS[key]:
        check_corpus_keys([key], corpus)
    else:
        with pytest.raises(ValueError, match=rf"^--{key} is a setting of .* for {corpus}\. Remove"):
            check_corpus_keys([key], corpus)


def test_general_settings_are_allowed_for_all_corpora():
    check_corpus_keys(["batch_size", "seed"], "IEMOCAP")
