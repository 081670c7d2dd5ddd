"""A trained model on another corpus, on that corpus's scale, for every pair."""

import pandas as pd
import pytest

from emosphere_sb.corpora import CORPORA


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    pytest.importorskip("espeakng_loader", reason="the extra 'demo' is not installed")
    from data_prep import demo

    folder = tmp_path_factory.mktemp("demo")
    for corpus in CORPORA:
        demo.write(corpus, folder / corpus, size="smoke")
    return folder


@pytest.mark.parametrize("trained", CORPORA)
def test_every_other_corpus_is_tested_on_its_own_scale(trained, corpora, root, tmp_path):
    from emosphere_sb.recipe import run

    options = [
        str(root / "hparams" / "emosphere.yaml"), "--row=smoke", "--noprogressbar",
        "--number_of_epochs=1", "--normalisation=none",
        f"--data_folder={corpora / trained}", f"--results_folder={tmp_path}",
        f"--output_folder={tmp_path}/run",
    ]  # fmt: skip
    ends = ["--label_low=1", "--label_high=7"]  # own data alone has to be told
    options += ends if trained == "OwnData" else []
    plain = run(options, corpus=trained)
    for other in (name for name in CORPORA if name != trained):
        more = [f"--test_corpus={other}", f"--test_data_folder={corpora / other}"]
        more += ends if other == "OwnData" else []
        metrics = run([*options, *more], corpus=trained)
        names = [name for name in metrics if name.startswith(f"{other}-")]
        assert names
        assert (
            metrics["test" if "test" in plain else "test1"]
            == plain["test" if "test" in plain else "test1"]
        )
        table = pd.read_csv(tmp_path / "run" / "predictions" / f"{names[0]}.csv")
        high = 7 if other in ("MSP-Podcast", "OwnData") else 5
        assert table["valence"].between(1, high).all()
        assert (table["valence"] > 0.6 * high).any()
