"""Where a run's things are on disk: demo corpus, manifests, corpus statistics, output folder."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ruamel.yaml.comments import CommentedMap

from data_prep.manifest import LEARNED_FROM, Summary, prepare, read_rows
from emosphere_sb.data.dataset import corpus_statistics
from emosphere_sb.distributed import is_main_process
from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.fileio.lock import file_lock
from emosphere_sb.fileio.yaml_tree import dump, read_tree
from emosphere_sb.recipe.corpora import corpus_module, reader_settings
from emosphere_sb.recipe.hparams import SAVED, differences
from emosphere_sb.recipe.renamed_keys import LAST_VERSION_WITH_OLD_NAMES, renamed_in

logger = logging.getLogger(__name__)

STAMP = "demo.json"
LOCK = "in_use.lock"
SECONDS = 15
"""How long a killed run's loader processes may outlive it, and keep its folder."""
DATA = "data.json"  # in a run's folder: digests of its manifests
_OWN_FOLDER = (
    "Give this one a folder of its own with --output_folder=… (with --fold=all: "
    "--results_folder=…), or delete the old one."
)


def find_corpus(settings: dict, corpus: str) -> Path:
    """The corpus's folder; without one, if ``synthetic_corpus`` is set, the demo corpus is made."""
    if settings["data_folder"] is not None:
        return Path(str(settings["data_folder"]))
    from data_prep.synthetic import write as synthetic

    if settings["synthetic_corpus"] is None or corpus not in synthetic.LAYOUTS:
        hint = " Without data, --preset=demo trains on synthetic speech that it makes first."
        raise ValueError(
            f"Say where {corpus} is: --data_folder=/path/to/it."
            + (hint if corpus in synthetic.LAYOUTS else "")
        )
    folder = (
        Path(settings["results_folder"])
        / "demo_corpus"
        / corpus
        / str(settings["synthetic_corpus"])
    )
    logger.info("Synthetic speech in the layout of %s: %s", corpus, folder)
    synthetic.write(corpus, folder, size=settings["synthetic_corpus"])
    return folder


def prepare_corpus(
    settings: dict, corpus: str, *, needed: tuple[str, ...] = LEARNED_FROM
) -> Summary:
    """Write the manifests, or find them unchanged.

    A reader is given those settings that its ``read`` takes; each set of settings has a folder.
    ``needed`` names the sets that must not be empty.
    """
    folder = find_corpus(settings, corpus)
    takes = reader_settings(corpus)
    options = {  # null means the reader's own default
        key: value for key, value in settings.items() if key in takes and value is not None
    }
    if settings["data_folder"] is None:
        from data_prep.synthetic import write as synthetic

        options |= synthetic.LAYOUTS[corpus].options
        if "release" in takes:
            options["release"] = "synthetic"  # so that no release is looked for
    limits = {key: settings[key] for key in ("min_duration", "max_duration", "out_of_range_labels")}
    key = json.dumps([str(folder.absolute()), limits, needed, options], sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:12]
    return prepare(
        corpus_module(corpus),
        folder,
        Path(settings["results_folder"]) / corpus / "manifests" / name,
        skip=settings["reuse_manifests"],
        needed=needed,
        **limits,
        **options,
    )


def training_statistics(summary: Summary, *, workers: int = 2) -> tuple[float, float]:
    """Mean and deviation over the samples of the training files, kept beside the manifest.

    They are computed again when the manifest or the audio has changed.
    """
    manifest = summary.sets["train"]
    # Other audio of the same lengths leaves the manifest as it is.
    audio = summary.facts.get("fingerprint", {}).get("audio", "")
    digest = hashlib.sha256(manifest.read_bytes() + audio.encode()).hexdigest()
    path = manifest.with_name("statistics.json")
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["manifest"] == digest:
            return kept["mean"], kept["deviation"]
    logger.info("Mean and deviation over all training files (once; kept in %s)", path)
    mean, deviation = corpus_statistics(
        read_rows(manifest, data_root=summary.data_root), workers=workers
    )
    atomic_write(path, json.dumps({"manifest": digest, "mean": mean, "deviation": deviation}))
    return mean, deviation


@contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Keep a run's folder for this run, as long as its process lives.

    Raises
    ------
    ValueError
        If another run uses it.
    """
    if not is_main_process():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(folder / LOCK, timeout=SECONDS))
        except TimeoutError as error:
            raise ValueError(
                f"Another run uses {folder} at this moment. Wait for it, or give this one a folder "
                f"of its own with --output_folder=…."
            ) from error
        yield


def claim_folder(tree: CommentedMap, settings: dict, summary: Summary) -> Path:
    """Create the run's folder and save the merged hyperparameters in it.

    Raises
    ------
    ValueError
        If the folder holds a trained run whose hyperparameters differ in anything that changes
        the result (in a given ``output_folder`` the number of epochs may grow), or one on other
        data: its weights must not be reported as this run's.
    """
    given = settings["output_folder"]
    folder = run_folder(settings, summary)
    saved, seen = folder / SAVED, folder / DATA
    digests = data_digests(summary)
    trained = any((folder / "save").glob("CKPT*"))  # a run that never began binds nobody
    before = read_tree(saved) if trained and saved.is_file() else tree
    check_version(before, folder)
    different = differences(tree, before)
    if given:  # the one thing that may grow in a folder of one's own
        different = [key for key in different if key != "number_of_epochs"]
    if different:
        raise ValueError(
            f"{folder} holds a run with other values of {', '.join(different)}. {_OWN_FOLDER}"
        )
    used = json.loads(seen.read_text(encoding="utf-8")) if seen.is_file() else digests
    if trained and any(used[name] != digests[name] for name in LEARNED_FROM):
        raise ValueError(
            f"{folder} holds a run on other data: its manifests of {' and '.join(LEARNED_FROM)} "
            f"were not those in {summary.folder}. If audio has gone since (rejected.csv there "
            f"names it), bring it back and start the same command again. {_OWN_FOLDER}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(saved, dump(tree))
    atomic_write(seen, json.dumps(digests))
    return folder


def check_version(saved: CommentedMap, folder: Path) -> None:
    """Raise ``ValueError`` if a folder's saved hyperparameters were written by version 0.1."""
    if renamed_in(saved):
        raise ValueError(
            f"{folder} holds a run of version {LAST_VERSION_WITH_OLD_NAMES}, which is the last "
            f"version that can resume it (pip install "
            f"emosphere-sb=={LAST_VERSION_WITH_OLD_NAMES}). {_OWN_FOLDER}"
        )


def data_digests(summary: Summary) -> dict[str, str]:
    """What tells one state of the data from another, for each set; a corpus may move."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in summary.sets.items()
    }


def is_on(folder: Path, summary: Summary) -> bool:
    """Whether the run in a folder was trained and tested on exactly these data."""
    seen = folder / DATA
    return seen.is_file() and json.loads(seen.read_text(encoding="utf-8")) == data_digests(summary)


def is_synthetic(summary: Summary) -> bool:
    """Whether the corpus is the demo's speech, which carries its stamp."""
    return (summary.data_root / STAMP).is_file()


def run_folder(settings: dict, summary: Summary) -> Path:
    """``output_folder`` where it is given, otherwise :func:`default_folder`."""
    given = settings["output_folder"]
    return Path(str(given)) if given else default_folder(settings, summary)


def default_folder(settings: dict, summary: Summary) -> Path:
    """``<results_folder>/<corpus>[-<release>]/<preset>/<partition>[-<fold>]/<seed>``."""
    release = summary.release or ("synthetic" if is_synthetic(summary) else "")
    corpus = summary.corpus + (f"-{release}" if release else "")
    partition = str(summary.protocol.get("partition", "given"))
    if summary.protocol.get("folds", 1) > 1:
        partition += f"-{summary.protocol['fold']}"
    return Path(
        settings["results_folder"], corpus, settings["preset"], partition, str(settings["seed"])
    )
