"""Test runs in several processes: torchrun, two nodes on one machine, Slurm script, SIGTERM."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from emosphere_sb.scale import DIMENSIONS
from tests.helpers.forked import ForkedProcess

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
PREDICTED = [f"{name}_predicted" for name in DIMENSIONS]
# Runs the recipe like recipes/MSP-Podcast/train.py. Logs the rank of each process that reads the
# labels of the corpus, and the threads of the process group that are alive after the run.
COUNTING = """
import functools, os, sys
from pathlib import Path
from data_prep.msp_podcast import reader

read = reader.read

@functools.wraps(read)
def counted(*arguments, **options):
    with open("{log}", "a") as log:
        log.write(os.environ["RANK"] + chr(10))
    return read(*arguments, **options)

reader.read = counted
from emosphere_sb.recipe.main import main

status = main(sys.argv[1:], corpus="MSP-Podcast")
names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
Path("{log}." + os.environ["RANK"]).write_text(" ".join(n for n in names if "gloo" in n))
sys.exit(status)
"""
# Replacements of Slurm's commands that simulate two nodes on this machine.
SRUN = """
while [[ "$1" == --* ]]; do shift; done
trap 'kill -TERM $first $second' TERM
SLURM_NODEID=0 "$@" & first=$!
SLURM_NODEID=1 "$@" & second=$!
wait -n || status=$?
wait $first $second
exit ${status:-0}
"""
SCONTROL = """
if [ "$1 $2" = "show hostnames" ]; then printf '127.0.0.1\\n127.0.0.1\\n'; exit; fi
echo "$@" >> "$CALLS"
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def torchrun(count: int, *words, script="recipes/MSP-Podcast/train.py") -> list:
    """Return the command for several processes on one machine."""
    port = free_port()  # tests may run concurrently
    return [*TORCHRUN, f"--nproc_per_node={count}", f"--master_port={port}", script, *words]


@pytest.fixture(scope="module")
def options(smoke_corpus, tmp_path_factory, root):
    """Options without randomness in the steps; the batch size is not divisible by two processes."""
    folder = tmp_path_factory.mktemp("model")
    settings = json.loads((root / "hparams" / "backbones" / "wavlm_smoke.json").read_text())
    (folder / "still.json").write_text(json.dumps({**settings, "hidden_dropout": 0.0}))
    return [
        "hparams/emosphere.yaml", "--preset=smoke+mean_pooling", "--noprogressbar", "--device=cpu",
        f"--data_folder={smoke_corpus}", "--release=synthetic", f"--backbone={folder}/still.json",
        "--head_dropout=0", "--spec_augment=False", "--batch_size=15", "--micro_batch=4",
        "--number_of_epochs=6",  # the last epoch does not use the auxiliary head
    ]  # fmt: skip


@pytest.fixture(scope="module")
def environment(root):
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def launch(root, environment):
    """Start a command in the root folder; remaining processes are terminated after the tests."""
    started = []

    def start(words, **variables):
        process = subprocess.Popen(
            [str(word) for word in words], cwd=root, env={**environment, **variables},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait()


@pytest.fixture
def run_forked(root, environment, tmp_path):
    """Run the recipe in two forks of a process that has imported the large packages.

    torchrun would start three interpreters; the forks get the environment variables that it sets.
    """

    def run(*words) -> str:
        variables = {
            **environment, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
            "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0",
        }  # fmt: skip
        command = [sys.executable, "recipes/MSP-Podcast/train.py", *words]
        logs = [tmp_path / f"rank_{rank}.txt" for rank in range(2)]
        processes, end = [], time.monotonic() + 300
        try:
            for rank, log in enumerate(logs):
                own = {**variables, "RANK": str(rank), "LOCAL_RANK": str(rank)}
                with log.open("w") as output:
                    processes.append(ForkedProcess(command, cwd=root, env=own, stdout=output))
            statuses = [None]
            # If one fails, the other one may wait for it.
            while None in statuses and not any(statuses) and time.monotonic() < end:
                time.sleep(0.05)
                statuses = [process.poll() for process in processes]
        finally:
            for process in processes:
                process.kill()
        output = "\n".join(log.read_text() for log in logs)
        assert statuses == [0, 0], output
        return output

    return run


def finish(process) -> str:
    """Wait for a process, assert that it succeeded, and return its output."""
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def single_process(options, root, tmp_path_factory):
    """The folder of a run in one process."""
    return run_here(options, tmp_path_factory.mktemp("single_process"), root)


def run_here(words, results, root):
    """Run the recipe in this process and return the folder of the run."""
    from emosphere_sb.recipe.run import run_recipe

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run_recipe([*words, f"--results_folder={results}"], corpus="MSP-Podcast")
    return folder_in(results)


def folder_in(results):
    (metrics,) = results.rglob("metrics.json")
    return metrics.parent


def assert_same_run(found, expected) -> None:
    """Assert the same metrics and predictions, with one prediction per utterance."""
    metrics, reference = (json.loads((f / "metrics.json").read_text()) for f in (found, expected))
    for name in ("valid", "test1", "test2"):
        assert metrics[name]["mean_ccc"] == pytest.approx(reference[name]["mean_ccc"], abs=2e-4)
        for dimension in DIMENSIONS:
            scores = reference[name][dimension]
            assert metrics[name][dimension] == pytest.approx(scores, abs=2e-3, rel=2e-3)
    for name in ("valid", "test1", "test2", "test3"):
        a, b = (pd.read_csv(f / "predictions" / f"{name}.csv") for f in (found, expected))
        assert list(a["ID"]) == list(b["ID"]) and a["ID"].is_unique
        assert float((a[PREDICTED] - b[PREDICTED]).abs().max().max()) < 1e-3
    assert metrics["protocol"]["best_epoch"] == reference["protocol"]["best_epoch"]
    logs = [(f / "train_log.txt").read_text().splitlines() for f in (found, expected)]
    assert len(logs[0]) == len(logs[1]) == 6
    assert "auxiliary_loss" in logs[0][4] and "auxiliary_loss" not in logs[0][5]


def test_distributed_run_on_two_processes_matches_single_process(
    run_forked, options, single_process, tmp_path
):
    output = run_forked(*options, f"--results_folder={tmp_path}")
    folder = folder_in(tmp_path)
    assert_same_run(folder, single_process)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["run"]["processes"] == 2
    assert output.count("test1") == output.count("test2") > 0  # the results table is printed once
    assert output.count("Epoch 1/") == output.count("Run complete: ") == 1


def test_distributed_statistics_of_layers_match_single_process(run_forked, options, tmp_path, root):
    words = [
        *options, "--layers=concat", "--layer_normalisation=standardise", "--number_of_epochs=1",
        "--standardise_labels=True", "--eval_batch=3",
    ]  # fmt: skip
    run_forked(*words, f"--results_folder={tmp_path}/2")
    folders = [run_here(words, tmp_path / "1", root), folder_in(tmp_path / "2")]
    states = [newest_weights(folder) for folder in folders]
    for name in ("mean", "sd"):
        one, two = (state[f"encoder.states.normalisation.{name}"] for state in states)
        assert one.abs().min() > 0
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)
    for name in ("vad_head.label_mean", "vad_head.label_sd"):
        assert torch.equal(states[0][name], states[1][name])


def test_distributed_training_from_the_cache_matches_single_process(
    run_forked, options, tmp_path, root
):
    words = [word.replace("smoke+mean_pooling", "frozen+smoke") for word in options]
    words += ["--freeze=all", "--normalisation=utterance", "--number_of_epochs=2"]
    words = list({word.partition("=")[0]: word for word in words}.values())  # the last one counts
    run_forked(*words, f"--results_folder={tmp_path}/2")
    folders = [run_here(words, tmp_path / "1", root), folder_in(tmp_path / "2")]
    tables = [pd.read_csv(folder / "predictions" / "test1.csv") for folder in folders]
    one, two = (table.set_index("ID")[PREDICTED] for table in tables)
    # 1e-5 on the scale from -1 to 1, which is the corpus's scale from 1 to 7.
    assert float((one - two.loc[one.index]).abs().max().max()) < 3e-5
    assert one.std().min() > 0


def start_nodes(launch, script, words):
    """Start torchrun for two nodes on one machine, as in docs/distributed.md."""
    port = free_port()
    return [
        launch(
            [
                *TORCHRUN, "--nnodes=2", f"--node_rank={rank}", "--nproc_per_node=1",
                "--master_addr=127.0.0.1", f"--master_port={port}", script, *words,
            ]
        )
        for rank in range(2)
    ]  # fmt: skip


def test_distributed_run_on_two_nodes_prepares_data_once(launch, options, single_process, tmp_path):
    (tmp_path / "train.py").write_text(COUNTING.format(log=tmp_path / "readers"))
    words = [*options, f"--results_folder={tmp_path}/results"]
    for process in start_nodes(launch, tmp_path / "train.py", words):
        finish(process)
    assert_same_run(folder_in(tmp_path / "results"), single_process)
    assert (tmp_path / "readers").read_text().split() == ["0"]
    # A thread that is alive while the interpreter shuts down can abort the process.
    assert [(tmp_path / f"readers.{rank}").read_text() for rank in (0, 1)] == ["", ""]


@pytest.mark.slow
def test_distributed_forced_preparation_runs_once_per_node(launch, options, tmp_path):
    (tmp_path / "train.py").write_text(COUNTING.format(log=tmp_path / "readers"))
    words = [*options, f"--results_folder={tmp_path}/results", "--number_of_epochs=1"]
    finish(launch(torchrun(3, *words, "--reuse_manifests=False", script=tmp_path / "train.py")))
    assert (tmp_path / "readers").read_text().split() == ["0"]


@pytest.mark.slow
def test_distributed_fault_of_one_process_stops_all_with_one_message(launch, options, tmp_path):
    """Only the first process of a node prepares the data; the others wait for it."""
    process = launch(torchrun(3, *options, f"--results_folder={tmp_path}", "--min_duration=50"))
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert output.count("error: The set") == 1
    assert "Connection closed by peer" not in output


@pytest.mark.slow
def test_distributed_nodes_without_shared_file_system_raise(launch, options, tmp_path):
    """Each node has a separate results folder."""
    script = tmp_path / "train.py"
    script.write_text(
        "import os, sys\n"
        "from emosphere_sb import distributed\n"
        "from emosphere_sb.recipe.main import main\n"
        "distributed.DISK_SECONDS = 0\n"
        f"own = '{tmp_path}/' + os.environ['GROUP_RANK']\n"
        "sys.exit(main([*sys.argv[1:], f'--results_folder={own}'], corpus='MSP-Podcast'))\n"
    )
    outputs = [
        process.communicate(timeout=300)[0] for process in start_nodes(launch, script, options)
    ]
    assert any("must be on a disk shared by all nodes" in output for output in outputs)


@pytest.mark.slow
def test_distributed_slurm_script_requeues_job_after_sigterm(
    launch, options, single_process, tmp_path, root
):
    programs = {"srun": SRUN, "scontrol": SCONTROL, "torchrun": f'exec {" ".join(TORCHRUN)} "$@"\n'}
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}")
        (tmp_path / name).chmod(0o755)
    words = ["bash", "docs/multi_node.sbatch", *options, f"--results_folder={tmp_path}/results"]
    variables = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_GPUS_ON_NODE": "1", "CALLS": str(tmp_path / "calls"),
        "MASTER_PORT": str(free_port()),
    }  # fmt: skip
    process = launch(words, **variables)
    log = wait_for(tmp_path / "results", "train_log.txt")
    process.send_signal(signal.SIGTERM)  # as Slurm does before the time limit
    output, _ = process.communicate(timeout=300)
    assert (tmp_path / "calls").read_text() == "requeue 7\n", output
    assert len(log.read_text().splitlines()) < 6
    finish(launch(words, **{**variables, "MASTER_PORT": str(free_port())}))
    assert_same_run(folder_in(tmp_path / "results"), single_process)
    assert (tmp_path / "calls").read_text() == "requeue 7\n"


def wait_for(folder, name: str):
    """Wait for a non-empty file and return its path."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        found = [path for path in folder.rglob(name) if path.stat().st_size]
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"{name} did not appear in {folder}")


def newest_weights(results) -> dict:
    newest = max(results.rglob("CKPT*/model.ckpt"), key=lambda path: path.parent.name)
    return torch.load(newest, weights_only=True)["weights"]


@pytest.mark.slow
def test_distributed_run_resumes_after_sigterm_with_bit_identical_weights(
    launch, options, tmp_path
):
    def start(name):
        words = [*options, f"--results_folder={tmp_path}/{name}", "--head_dropout=0.3"]
        return launch(torchrun(2, *words))

    finish(start("uninterrupted"))
    process = start("resumed")
    log = wait_for(tmp_path / "resumed", "train_log.txt")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "What was trained is saved" in output
    assert len(log.read_text().splitlines()) < 6
    finish(start("resumed"))
    expected = newest_weights(tmp_path / "uninterrupted")
    weights = newest_weights(tmp_path / "resumed")
    assert all(torch.equal(expected[name], weights[name]) for name in expected)
    assert log.read_text() == wait_for(tmp_path / "uninterrupted", "train_log.txt").read_text()


@pytest.mark.slow
def test_distributed_run_resumes_with_another_number_of_processes(
    launch, options, single_process, tmp_path, root
):
    words = [*options, f"--output_folder={tmp_path}/run", f"--results_folder={tmp_path}"]
    for count, epochs in ((3, 2), (1, 4), (2, 6)):
        finish(launch(torchrun(count, *words, f"--number_of_epochs={epochs}")))
    assert_same_run(tmp_path / "run", single_process)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        ["--preset=published+smoke", "--partition=official"],
        ["--preset=smoke+uncertainty", "--layerdrop=0.5"],
        ["--freeze=all", "--feature_cache=True"],
        ["--debug"],
        ["--average_checkpoints=2"],
        ["--precision=bf16"],
    ],
)
def test_distributed_runs_of_other_settings_succeed(changes, launch, options, tmp_path):
    plain = [word for word in options if not word.startswith(("--preset", "--backbone"))]
    preset = [] if any(word.startswith("--preset") for word in changes) else ["--preset=smoke"]
    words = [*plain, *preset, *changes, f"--results_folder={tmp_path}", "--number_of_epochs=2"]
    finish(launch(torchrun(3, *words)))
    for path in (folder_in(tmp_path) / "predictions").glob("*.csv"):
        table = pd.read_csv(path)
        assert table["ID"].is_unique
        assert "--debug" in changes or table[PREDICTED].notna().all(axis=None)


@pytest.mark.slow
def test_distributed_folds_run_sequentially(launch, tmp_path):
    pytest.importorskip("espeakng_loader", reason="the 'demo' extra is not installed")
    words = ["hparams/emosphere.yaml", "--preset=smoke", "--fold=all", "--device=cpu"]
    words += ["--noprogressbar", "--number_of_epochs=1", f"--results_folder={tmp_path}"]
    finish(launch(torchrun(2, *words, script="recipes/IEMOCAP/train.py")))
    (path,) = tmp_path.rglob("session-all/*/summary.json")  # not the manifests'
    facts = json.loads(path.read_text())["by_fold"]["test"]
    assert list(facts["folds"]) == ["1", "2", "3", "4", "5"]
    tables = [pd.read_csv(path) for path in tmp_path.rglob("predictions/test.csv")]
    ids = pd.concat(tables)["ID"]
    assert len(tables) == 5 and ids.is_unique and len(ids) == facts["utterances"]
