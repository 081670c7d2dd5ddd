"""Steps of a training run: prepare, build, train, test, report."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from functools import partial
from pathlib import Path

import speechbrain as sb
import torch
from ruamel.yaml.comments import CommentedMap

from data_prep.manifest import (
    TRAINING_SETS,
    Summary,
    preparation_summary_lines,
    read_manifest_rows,
)
from emosphere_sb import distributed
from emosphere_sb.fileio.json_file import read_json_mapping
from emosphere_sb.fileio.yaml_tree import scalars
from emosphere_sb.lobes.heads import label_statistics
from emosphere_sb.recipe.build import (
    evaluation_loader,
    make_brain,
    make_datasets,
    training_loaders,
)
from emosphere_sb.recipe.command_line import RunRequest, read_command
from emosphere_sb.recipe.console_logging import LOG_CONFIG
from emosphere_sb.recipe.cross_corpus import metrics_file, prepare_other_corpus
from emosphere_sb.recipe.folds import run_folds
from emosphere_sb.recipe.hparams import ALL_FOLDS, SAVED, build_objects
from emosphere_sb.recipe.progress import log_finished
from emosphere_sb.recipe.protocol import demo_upper_bound, protocol_metadata
from emosphere_sb.recipe.workspace import (
    initialise_run_folder,
    prepare_corpus,
    run_folder,
    run_lock,
    training_statistics,
)
from emosphere_sb.results.metrics_json import (
    is_modified,
    machine_description,
    peak_memory,
    prediction_digests,
    write_and_score_sets,
    write_metrics,
)
from emosphere_sb.results.predictions import predictions_table
from emosphere_sb.results.provenance import git_commit
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.training.brain import EmoSphereBrain
from emosphere_sb.training.feature_extraction import use_cached_features
from emosphere_sb.training.head_tests import HEAD_WEIGHTS, auxiliary_head_metrics
from emosphere_sb.training.learnability import check_emotions

logger = logging.getLogger(__name__)


def run_recipe(arguments: list[str], *, corpus: str) -> dict:
    """Run a recipe: prepare the corpus, train, evaluate all test sets, write the results.

    Arguments
    ---------
    arguments : list of str
        Command-line arguments: ``[HPARAMS.yaml, --preset=NAME, --key=value, …]``.
    corpus : str
        Name of the corpus, a key of ``emosphere_sb.recipe.corpora.CORPORA``.

    Returns
    -------
    dict
        Content of ``metrics.json``.

    Raises
    ------
    ValueError, OSError
        If the command line, the hyperparameters or the data are invalid. Raised before training.
    """
    return run_request(read_command(arguments, corpus=corpus))


def run_request(request: RunRequest) -> dict:
    """Run a recipe from a parsed command line (see :func:`run_recipe`)."""
    tree, options = request.tree, request.run_options
    check_device(options)
    distributed.init_distributed(options)
    if not distributed.is_main_process():
        logging.getLogger().setLevel(logging.ERROR)  # warnings of the main process are enough
    if options.get("debug"):
        tree["preset"] += "+debug"  # separate folder: a debug run is not a complete run
    if tree["fold"] == ALL_FOLDS:
        one_fold = partial(run_one, command=request.command)
        return run_folds(tree, options, corpus=request.corpus, run=one_fold)
    return run_one(tree, options, corpus=request.corpus, command=request.command)


def run_one(tree: CommentedMap, options: dict, *, corpus: str, command: str = "") -> dict:
    """Run a recipe on one fold."""
    started = time.time()
    settings = {**scalars(tree), "command": command}
    with distributed.local_rank_first() as first:
        settings["reuse_manifests"] |= not first
        summary = prepare_corpus(settings, corpus)
        other = prepare_other_corpus(settings, summary)  # before training, to find errors early
        hparams = build_objects(tree)  # before the folder is created, in case it fails
    folder = run_folder(settings, summary)
    with run_lock(folder):
        if distributed.is_main_process():
            initialise_run_folder(tree, settings, summary)
        distributed.check_shared_disk(folder / SAVED)
        sb.create_experiment_directory(str(folder), log_config=str(LOG_CONFIG), save_env_desc=False)
        for line in preparation_summary_lines(summary):
            logger.info("%s", line)
        rows = read_sets(summary, settings)
        sets = make_datasets(rows, summary, hparams)
        brain = make_brain(hparams, options, sets, folder)
        with brain.stop.handle_signals():
            fit(brain, hparams, sets, summary)
            own_sets, tested_head = sets, {}
            tables = predict(brain, hparams, sets, rows, summary, tested_head)
            external = None
            if other is not None:
                sets = make_datasets(other.rows, other.summary, hparams)
                read_from_cache(brain, hparams, sets, other.summary)
                external = predict(brain, hparams, sets, other.rows, other.summary)
            heads = score_auxiliary_head(brain, hparams, own_sets, tested_head, folder)
        metrics = None
        if distributed.is_main_process():
            metrics = report(
                brain, folder, settings, options, summary, rows, tables, heads, started
            )
            brain.checkpointer.remove_weights(HEAD_WEIGHTS)
            if other is not None:
                metrics |= report_other(folder, other, summary, metrics, external)
            log_finished(metrics)
        return distributed.broadcast_from_main(metrics)


def report(brain, folder, settings, options, summary, rows, tables, heads, started) -> dict:
    """Write the predictions and ``metrics.json``."""
    results = write_and_score_sets(folder, tables)
    for name in results.keys() & heads.keys():
        results[name]["auxiliary_head"] = heads[name]
    baselines = {"cap": demo_upper_bound(summary, rows)}
    if settings["acoustic_baseline"]:
        baselines["acoustic_baseline"] = acoustic_baseline(summary, settings["channel"])
    protocol = {**protocol_metadata(summary, settings, brain, rows), "run_options": options}
    if brain.missing.reasons:
        protocol["left_out"] = brain.missing.reasons
    cost = {
        "training_seconds": round(brain.seconds, 1),
        "process_seconds": round(time.time() - started, 1),
        "processes": distributed.world_size(),
        **peak_memory(),
        "machine": machine_description(),
        "folder": str(folder),
        "command": settings["command"],
        "commit": git_commit(),
        "predictions": prediction_digests(folder, tables),
    }
    return write_metrics(folder / "metrics.json", results, protocol, cost, baselines)


def report_other(folder: Path, other, summary: Summary, metrics: dict, tables: dict) -> dict:
    """Write predictions and metrics of a cross-corpus test; return the metrics by set."""
    external = write_and_score_sets(folder, tables)
    corpora = {"trained_on": summary.corpus, "tested_on": other.metadata()}
    protocol = {**metrics["protocol"], **corpora, "scale": other.summary.scale.to_dict()}
    cost = {**metrics["run"], "predictions": prediction_digests(folder, tables)}
    write_metrics(metrics_file(folder, other.name), external, protocol, cost, {})
    return external


def check_device(options: dict) -> None:
    """Check that the requested device is available.

    Raises
    ------
    ValueError
        If it is not available.
    """
    try:
        torch.empty(0, device=options.get("device"))
    except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch without CUDA
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"--device={options['device']} is not available ({reason}). Choose an available "
            f"device, such as cpu."
        ) from error


def read_sets(summary: Summary, settings: dict) -> dict[str, dict]:
    """Read the manifest rows of all sets."""
    root = summary.data_root
    rows = {name: read_manifest_rows(path, data_root=root) for name, path in summary.sets.items()}
    if settings["shuffle_labels"]:
        shuffle_labels(rows["train"], settings["seed"])
    return rows


def shuffle_labels(rows: dict[str, dict], seed: int) -> None:
    """Shuffle the labels of the training utterances in place."""
    labels = [{key: row[key] for key in (*DIMENSIONS, "emotion")} for row in rows.values()]
    random.Random(seed).shuffle(labels)
    for row, other in zip(rows.values(), labels, strict=True):
        row.update(other)
    logger.warning("shuffle_labels: the training labels were shuffled; expect a CCC close to 0.")


def fit(brain: EmoSphereBrain, hparams: dict, sets: dict, summary: Summary) -> None:
    """Compute class weights and waveform statistics on the training set, then train."""
    train_set = sets["train"]
    check_emotions(hparams["task"], train_set.emotions)
    hparams["task"].set_targets(train_set.targets())
    if getattr(hparams["vad_head"], "standardise_labels", False):
        hparams["vad_head"].set_label_statistics(*label_statistics(train_set.labels()))
    if hparams["normaliser"].mode == "corpus":
        if advice := getattr(hparams["encoder"].backbone, "advice", ""):
            logger.warning("%s", advice)
        with distributed.local_rank_first(), brain.stop.interrupt_immediately():
            statistics = training_statistics(summary, channel=hparams["channel"])
        hparams["normaliser"].set_statistics(*statistics)
    read_from_cache(brain, hparams, sets, summary)
    train, valid = training_loaders(brain, hparams, sets)
    with brain.checkpointer.recoverables["loggers"].close_at_end():
        brain.fit(hparams["epoch_counter"], train, valid)
    if distributed.broadcast_from_main(brain.checkpointer.find_checkpoint()) is None:
        raise ValueError(
            f"No checkpoint found in {brain.checkpointer.checkpoints_dir}. Train first, without "
            f"--test_only."
        )


def read_from_cache(brain: EmoSphereBrain, hparams: dict, sets: dict, summary: Summary) -> None:
    """Make the sets return cached features if ``feature_cache`` is set."""
    if not hparams["feature_cache"]:
        return
    results = Path(hparams["results_folder"])
    old = results / summary.corpus / "features"
    if old.is_dir():
        logger.info(
            "%s contains features in the format of an older version, which are no longer used. To "
            "free disk space, delete this folder.",
            old,
        )
    root = Path(hparams["feature_cache_folder"] or results / "feature_cache")
    with distributed.local_rank_first():
        use_cached_features(brain, hparams, sets, root)


def predict(
    brain, hparams: dict, sets: dict, rows: dict, summary: Summary, heads: dict | None = None
) -> dict:
    """Predict all sets except the training set with the best checkpoint; return tables by set.

    The metrics of the auxiliary head are added to ``heads`` by set.
    """
    task = hparams["task"]
    tables = {}
    for name in (name for name in rows if name != "train"):
        vad, probabilities = brain.predict(evaluation_loader(sets[name], hparams))
        if heads is not None:
            heads[name] = brain.head_metrics_of_test()
        tables[name] = predictions_table(
            rows[name], vad, scale=summary.scale, regions=task.regions,
            probabilities=probabilities, classes=task.names, head=task.kind,
        )  # fmt: skip
    return tables


def score_auxiliary_head(
    brain, hparams: dict, sets: dict, tested: dict, folder: Path
) -> dict[str, dict]:
    """Return the metrics of the auxiliary head on the test sets (see ``auxiliary_head_metrics``).

    The weights of the last epoch in which the head was trained are deleted after a test. Another
    test of the run then takes their metrics from ``metrics.json``.
    """
    names = [name for name in tested if name not in TRAINING_SETS]
    loaders = {name: partial(evaluation_loader, sets[name], hparams) for name in names}
    earlier = {}
    if (folder / "metrics.json").is_file():
        with contextlib.suppress(ValueError):  # damaged: tested again without it
            written = read_json_mapping(folder / "metrics.json", remedy="", keys=["run"])
            if not is_modified(written):
                earlier = {name: written.get(name, {}).get("auxiliary_head") for name in names}
    return auxiliary_head_metrics(brain, loaders, {n: tested[n] for n in names}, earlier)


def acoustic_baseline(summary: Summary, channel: str = "mix") -> dict[str, dict]:
    """Return the metrics of the acoustic baseline (see ``evaluate_baseline``) on the same sets."""
    from emosphere_sb.results.acoustic_baseline import evaluate_baseline

    labelled = {
        name: read_manifest_rows(summary.sets[name], data_root=summary.data_root)
        for name in summary.labelled
    }
    tables = evaluate_baseline(labelled, channel=channel)
    return {name: prediction_metrics(table) for name, table in tables.items() if name != "train"}
