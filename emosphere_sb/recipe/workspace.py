"""Files of a run: demo corpus, manifests, waveform statistics and output folder."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ruamel.yaml.comments import CommentedMap

from data_prep.manifest import TRAINING_SETS, Summary, prepare_manifests, read_manifest_rows
from emosphere_sb.data.waveform_statistics import corpus_statistics
from emosphere_sb.distributed import is_main_process
from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.fileio.json_file import (
    check_is_file,
    check_is_folder,
    make_folder,
    read_json_mapping,
)
from emosphere_sb.fileio.lock import file_lock
from emosphere_sb.fileio.yaml_tree import dump, read_tree
from emosphere_sb.recipe.corpora import corpus_module, reader_settings
from emosphere_sb.recipe.hparams import SAVED, check_folder_name, differences
from emosphere_sb.recipe.renamed_keys import LAST_VERSION_WITH_OLD_NAMES, renamed_in

logger = logging.getLogger(__name__)

STAMP = "demo.json"
LOCK = "in_use.lock"
LOCK_TIMEOUT = 15
"""Seconds to wait for the lock: data loader processes of a killed run may hold it for a while."""
DATA_FILE = "data.json"  # file in a run's folder with the digests of its data
AUDIO = "audio"  # key of that file with the digests of the audio by set
_USE_ANOTHER_FOLDER = (
    "use another folder with --output_folder=… (with --fold=all: --results_folder=…), or delete "
    "the old run."
)


def find_corpus(settings: dict, corpus: str) -> Path:
    """Return the folder of a corpus; generate it first if ``synthetic_corpus`` applies.

    Raises
    ------
    ValueError
        If no folder is given and the corpus cannot be generated.
    """
    if settings["data_folder"] is not None:
        return Path(str(settings["data_folder"]))
    from data_prep.synthetic import write as synthetic

    if settings["synthetic_corpus"] is None or corpus not in synthetic.LAYOUTS:
        hint = " To train on generated synthetic speech, use --preset=demo."
        raise ValueError(
            f"--data_folder is required, e.g. --data_folder=/path/to/{corpus}."
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
    settings: dict, corpus: str, *, needed: tuple[str, ...] = TRAINING_SETS
) -> Summary:
    """Write the manifests of a corpus, or reuse them if nothing has changed.

    Each combination of settings has its own manifest folder.

    Arguments
    ---------
    settings : dict
        All settings. The corpus reader receives only those that it accepts as arguments.
    corpus : str
        Name of the corpus.
    needed : tuple of str
        Sets that must not be empty.
    """
    folder = find_corpus(settings, corpus)
    takes = reader_settings(corpus)
    options = {  # null selects the default of the reader
        key: value for key, value in settings.items() if key in takes and value is not None
    }
    if settings["data_folder"] is None:
        from data_prep.synthetic import write as synthetic

        options |= synthetic.LAYOUTS[corpus].options
        if "release" in takes:
            options["release"] = "synthetic"  # disables the detection of the release
    keys = ("min_duration", "max_duration", "out_of_range_labels", "channel")
    limits = {key: settings[key] for key in keys}
    key = json.dumps([str(folder.absolute()), limits, needed, options], sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:12]
    return prepare_manifests(
        corpus_module(corpus),
        folder,
        Path(settings["results_folder"]) / corpus / "manifests" / name,
        reuse=settings["reuse_manifests"],
        required_sets=needed,
        **limits,
        **options,
    )


def training_statistics(
    summary: Summary, *, workers: int = 2, channel: str = "mix"
) -> tuple[float, float]:
    """Return the mean and SD of all samples in the training set.

    They are cached next to the manifest and recomputed if the manifest or the audio has changed.
    """
    manifest = summary.sets["train"]
    # Changes to the audio that preserve its length do not change the manifest.
    audio = summary.facts.get("fingerprint", {}).get("audio", "")
    suffix = b"" if channel == "mix" else channel.encode()
    digest = hashlib.sha256(manifest.read_bytes() + audio.encode() + suffix).hexdigest()
    path = manifest.with_name("statistics.json")
    if path.is_file():
        cached = read_statistics(path)
        if cached["manifest"] == digest and "sha256" in cached:
            return cached["mean"], cached["deviation"]
    logger.info(
        "Computing waveform mean and standard deviation over the training set (cached in %s)", path
    )
    mean, deviation = corpus_statistics(
        read_manifest_rows(manifest, data_root=summary.data_root),
        workers=workers,
        channel=channel,
    )
    content = {"manifest": digest, "mean": mean, "deviation": deviation}
    atomic_write(path, json.dumps(content | {"sha256": content_digest(content)}))
    return mean, deviation


def read_statistics(path: Path) -> dict:
    """Read cached waveform statistics and compare them with their checksum.

    Raises
    ------
    ValueError
        If the file is damaged or was modified.
    """
    remedy = f"Delete {path.name}, and re-run the same command to compute it again."
    found = read_json_mapping(path, remedy=remedy, keys=("manifest", "mean", "deviation"))
    content = {key: value for key, value in found.items() if key != "sha256"}
    # Without a checksum, it was written by an earlier version and is computed again.
    if found.get("sha256", content_digest(content)) != content_digest(content):
        raise ValueError(f"{path} was modified: its checksum does not match. {remedy}")
    return found


def content_digest(content: Mapping) -> str:
    """Return the SHA-256 of a mapping of plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Lock a run's folder until the context exits or the process ends.

    Raises
    ------
    ValueError
        If another run has locked the folder.
    """
    if not is_main_process():
        yield
        return
    make_folder(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(folder / LOCK, timeout=LOCK_TIMEOUT))
        except TimeoutError as error:
            raise ValueError(
                f"{folder} is locked by another run. Wait until it has finished, or use another "
                f"folder with --output_folder=…."
            ) from error
        yield


def initialise_run_folder(tree: CommentedMap, settings: dict, summary: Summary) -> Path:
    """Create the folder of a run and save the merged hyperparameters in it.

    A run with a checkpoint can be resumed only with the same data and with hyperparameters that
    lead to the same results. If ``output_folder`` is given, the number of epochs may grow.

    Raises
    ------
    ValueError
        If the folder contains a run of version 0.1, or a run with other data or hyperparameters,
        or one of its files is damaged.
    """
    folder = run_folder(settings, summary)
    saved = folder / SAVED
    for name in ("save", "predictions"):
        check_is_folder(folder / name)
    for name in (SAVED, DATA_FILE, "metrics.json"):
        check_is_file(folder / name)
    trained = any((folder / "save").glob("CKPT*"))  # without a checkpoint the folder can be reused
    before = read_tree(saved) if trained and saved.is_file() else tree
    check_version(before, folder)
    check_number_of_epochs(tree, before, folder)
    different = differences(tree, before)
    if settings["output_folder"]:  # allows training for more epochs
        different = [key for key in different if key != "number_of_epochs"]
    if different:
        raise ValueError(
            f"{folder} contains a run with different values of {', '.join(different)}. To start "
            f"another run, {_USE_ANOTHER_FOLDER}"
        )
    digests = data_digests(summary)
    if trained:
        check_same_data(folder, summary, digests)
    make_folder(folder)
    atomic_write(saved, dump(tree))
    atomic_write(folder / DATA_FILE, json.dumps(digests))
    return folder


def check_number_of_epochs(tree: Mapping, before: Mapping, folder: Path) -> None:
    """Check that a run is not resumed with fewer epochs than it was started with.

    Raises
    ------
    ValueError
        If it is.
    """
    now, earlier = tree.get("number_of_epochs"), before.get("number_of_epochs")
    if isinstance(now, int) and isinstance(earlier, int) and now < earlier:
        raise ValueError(
            f"number_of_epochs of the run in {folder} can only grow; it is {earlier}, found {now}. "
            f"Use --number_of_epochs={earlier} or more, {_USE_ANOTHER_FOLDER}"
        )


def check_same_data(folder: Path, summary: Summary, digests: Mapping) -> None:
    """Check that the run in a folder was trained on these data.

    Raises
    ------
    ValueError
        If it was trained on other data, or the file with the digests of its data is damaged.
    """
    used = read_data_file(folder, keys=TRAINING_SETS)
    if used is None:
        logger.warning("%s is missing; assuming that the data are the same.", folder / DATA_FILE)
        return
    if any(used[name] != digests[name] for name in TRAINING_SETS):
        raise ValueError(
            f"{folder} contains a run on other data: its {' and '.join(TRAINING_SETS)} manifests "
            f"differ from those in {summary.folder}. If audio files have since been removed "
            f"(see rejected.csv there), restore them and re-run the same command. Otherwise, "
            f"{_USE_ANOTHER_FOLDER}"
        )
    if changed := [name for name in digests[AUDIO] if _other_audio(used, digests, name)]:
        raise ValueError(
            f"{folder} contains a run on other data: audio files of {' and '.join(changed)} were "
            f"replaced, although their names and durations are the same. Restore them and re-run "
            f"the same command, {_USE_ANOTHER_FOLDER}"
        )


def _other_audio(used: Mapping, digests: Mapping, name: str) -> bool:
    """Return whether the audio of a training set differs; False if a run did not record it."""
    before = used.get(AUDIO, {}).get(name)
    return name in TRAINING_SETS and before not in (None, digests[AUDIO][name])


def read_data_file(folder: Path, *, keys: Iterable[str] = ()) -> dict | None:
    """Read the digests of a run's data; return None if the file is missing.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    path = folder / DATA_FILE
    if not path.is_file():
        return None
    remedy = (
        f"Restore it, or delete it and re-run the same command, if you know that the data have not "
        f"changed. Otherwise, {_USE_ANOTHER_FOLDER}"
    )
    return read_json_mapping(path, remedy=remedy, keys=keys)


def check_version(saved: CommentedMap, folder: Path) -> None:
    """Check that the saved hyperparameters of a folder were not written by version 0.1.

    Raises
    ------
    ValueError
        If they were.
    """
    if renamed_in(saved):
        raise ValueError(
            f"{folder} contains a run created by version {LAST_VERSION_WITH_OLD_NAMES}; later "
            f"versions cannot resume it. To start another run, {_USE_ANOTHER_FOLDER} To resume it, "
            f"install that version: pip install emosphere-sb=={LAST_VERSION_WITH_OLD_NAMES}"
        )


def data_digests(summary: Summary) -> dict:
    """Return a digest of each set's manifest and, under ``audio``, of the content of its files.

    They do not depend on the path of the corpus.
    """
    return {**manifest_digests(summary), AUDIO: summary.audio_digests}


def manifest_digests(summary: Summary) -> dict[str, str]:
    """Return a digest of each set's manifest. It does not depend on the path of the corpus."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in summary.sets.items()
    }


def matches_data(folder: Path, summary: Summary) -> bool:
    """Return whether the run in a folder was trained and tested on exactly these data.

    Raises
    ------
    ValueError
        If the file with the digests of its data is damaged.
    """
    used = read_data_file(folder)
    if used is None:
        return False
    recorded = used.pop(AUDIO, None)  # not recorded by earlier versions
    same = used == manifest_digests(summary)
    return same and (recorded is None or recorded == summary.audio_digests)


def is_synthetic(summary: Summary) -> bool:
    """Return whether the corpus is synthetic speech generated by this package."""
    return (summary.data_root / STAMP).is_file()


def run_folder(settings: dict, summary: Summary) -> Path:
    """Return ``output_folder`` if it is given, otherwise :func:`default_run_folder`."""
    given = settings["output_folder"]
    return Path(str(given)) if given else default_run_folder(settings, summary)


def default_run_folder(settings: dict, summary: Summary) -> Path:
    """Return ``<results_folder>/<corpus>[-<release>]/<preset>/<partition>[-<fold>]/<seed>``."""
    release = summary.release or ("synthetic" if is_synthetic(summary) else "")
    corpus = summary.corpus + (f"-{release}" if release else "")
    partition = str(summary.protocol.get("partition", "given"))
    if summary.protocol.get("folds", 1) > 1:
        partition += f"-{summary.protocol['fold']}"
    names = {"release": corpus, "preset": settings["preset"], "partition": partition}
    for key, name in names.items():  # the release and the partition may come from the corpus
        check_folder_name(key, name)
    return Path(settings["results_folder"], *names.values(), str(settings["seed"]))
