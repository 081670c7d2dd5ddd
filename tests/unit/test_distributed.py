"""Two and three real processes (gloo, CPU) take the same steps as a single process.

All processes are started once; what they found is read from files by the tests.
"""

import copy
import datetime
import json
import math
import os
import socket
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from types import SimpleNamespace

import pytest
import soundfile
import torch
from speechbrain.core import Stage

from emosphere_sb import distributed
from emosphere_sb.data.dataset import CollateStep, SpeechDataset, collate, eval_loader
from emosphere_sb.recipe.arguments import HPARAMS
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.training.batch_outputs import Labels, Output
from emosphere_sb.training.optimisation import seed_all
from tests.helpers.brain import (
    assert_close,
    gradients,
    largest_error,
    make_brain,
    no_dropout,
    utterances,
)

WORLDS = (2, 3)
LENGTHS = (5000, 900, 4200, 3100, 700, 2600, 1800)  # 7 is not divisible by 2 or 3
STEPS = (7, 5, 7, 2, 6, 7, 1, 4, 7, 3)  # utterances per step; 2 and 1 give empty shares
IMPORTS = ["tests.unit.test_distributed", "hyperpyyaml", "transformers.models.wavlm.modeling_wavlm"]
ONE_BATCH = 99  # micro_batch of the single process


def no_dominance(items: list[dict]) -> None:
    """Remove dominance of all utterances and arousal of every second one (one of two shares)."""
    for number, item in enumerate(items):
        item["vad"][2] = math.nan
        item["vad"][1] = math.nan if number % 2 else item["vad"][1]


def no_vad(items: list[dict]) -> None:
    """Remove all labels of every second utterance."""
    for item in items[1::2]:
        item["vad"][:], item["target"] = math.nan, -1


BUILT: dict[str, tuple] = {}


def fresh(rows=("smoke",), opt_class=None, still=True, **options):
    """Return a Brain before its first step; cached, because reading the YAML file is slow."""
    key = repr((rows, opt_class, still, options))
    if key not in BUILT:
        brain = make_brain(rows, opt_class=opt_class, **options)
        if still:
            no_dropout(brain)
        BUILT[key] = brain, copy.deepcopy(brain.modules.state_dict())
    brain, state = BUILT[key]
    brain.modules.load_state_dict(state)
    brain.zero_grad(set_to_none=True)
    brain.init_optimizers()
    brain.step = brain.optimizer_step = 0
    brain.on_stage_start(Stage.TRAIN, 1)
    brain.modules.train()
    return brain


@dataclass(frozen=True)
class Case:
    """Model, utterances and micro-batch size of a first step."""

    rows: tuple = ("smoke",)
    options: dict = field(default_factory=dict)
    deep: bool = False  # three layers instead of one
    epoch: int = 1
    count: int = len(LENGTHS)
    micro: int = 2
    change: Callable | None = None

    def brain(self, folder):
        """Return the Brain at its first step, deterministic, with unequal class weights."""
        deep = {"backbone": folder / "deep.json"} if self.deep else {}
        brain = fresh(self.rows, **deep, **self.options)
        brain.on_stage_start(Stage.TRAIN, self.epoch)
        brain.hparams.task.weights.copy_(torch.linspace(0.3, 3.0, brain.hparams.task.size))
        return brain

    def items(self) -> list[dict]:
        """Return the utterances of the step."""
        items = utterances(LENGTHS[: self.count])
        if self.change is not None:
            self.change(items)
        return items


CASES = {
    "effective": Case(),
    "one micro-batch each": Case(micro=ONE_BATCH),
    "an empty share": Case(count=2),
    "one utterance": Case(count=1),
    "no auxiliary task": Case(rows=("smoke", "no_regions")),
    "soft regions": Case(rows=("smoke", "soft_regions")),
    "learned loss weights": Case(rows=("smoke", "uncertainty")),
    "head left out": Case(epoch=6),
    "frozen part": Case(options={"freeze": "all_but_top_1"}, deep=True),
    "frozen in this epoch": Case(options={"freeze_schedule": "{1: all, 2: none}"}),
    "missing dimension": Case(change=no_dominance),
    "missing labels": Case(change=no_vad),
    "clipped": Case(options={"max_grad_norm": 0.1}),
}
MICRO = Case(options={"ccc_window": "micro"})
MICRO_UNCERTAIN = Case(rows=("smoke", "uncertainty"), options={"ccc_window": "micro"})
MICRO_CASES = {"micro": MICRO, "micro, learned loss weights": MICRO_UNCERTAIN}
# Dropout, layerdrop and SpecAugment are on.
RANDOM = Case(options={"layerdrop": 0.5, "freeze": "none"}, deep=True)


def shares(items: list[dict], world: int, micro: int) -> list[list]:
    """Return the micro-batches of each process, split as by sampler and loader."""
    return [CollateStep(micro)(items[rank::world]) for rank in range(world)]


def take_step(brain, batches) -> dict:
    """Take one step; return its result with the gradients before the optimiser step."""
    seen = {}
    hook = brain.optimizer.register_step_pre_hook(lambda *_: seen.update(gradients(brain)))
    loss = float(brain.fit_batch(batches))
    hook.remove()
    return {"gradients": seen, "loss": loss, "figures": brain.train_metrics(loss)}


def train(folder, rank: int, world: int, micro: int, opt_class=None, **options) -> dict:
    """Take ten steps; return the weights, and predictions for other utterances."""
    torch.manual_seed(0)
    brain = fresh(opt_class=opt_class, **options)
    for number, count in enumerate(STEPS):
        items = utterances(LENGTHS[-count:], seed=number + 1)
        brain.fit_batch(shares(items, world, micro)[rank])
    brain.modules.eval()
    with torch.no_grad():
        output = brain.compute_forward(collate(utterances(LENGTHS, seed=99)), Stage.VALID)
    weights = {n: p.detach().clone() for n, p in brain.modules.named_parameters()}
    return {"weights": weights, "predictions": dict(zip("vl", output.tensors, strict=True))}


SGD = partial(torch.optim.SGD, lr=0.05)
RUNS = {
    "sgd": {"opt_class": SGD, "lr_backbone": 0.05},
    "sgd, clipped": {"opt_class": SGD, "lr_backbone": 0.05, "max_grad_norm": 0.5},
    "adamw": {"lr": 1e-3},
}


@contextmanager
def factor(number: float):
    """Return a function that sums and scales gradients, an error that tests must detect."""
    right = distributed.sum_gradients

    def wrong(parameters):
        right(parameters)
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad *= number

    distributed.sum_gradients = wrong
    try:
        yield
    finally:
        distributed.sum_gradients = right


def evaluate(folder, count: int) -> dict:
    """Predict a set with two utterances per batch and compute its metrics."""
    brain = Case().brain(folder)
    brain.noprogressbar = True
    brain.tested_checkpoints = [SimpleNamespace(meta={"head": {}})]
    rows = dict(list(json.loads((folder / "rows.json").read_text()).items())[:count])
    dataset = SpeechDataset(rows, scale=Scale(1, 7), task=brain.hparams.task)
    own = [name for batch in eval_loader(dataset, batch_size=2) for name in batch.ids]
    vad, scores = brain.predict(eval_loader(dataset, batch_size=2))
    brain.hparams.epoch_counter.current = 1
    tensors = {name: torch.from_numpy(value) for name, value in vad.items()}
    classes = {name: torch.from_numpy(value) for name, value in scores.items()}
    return {"own": own, "vad": tensors, "classes": classes, "figures": brain.metrics()}


def not_finite(folder, rank: int, world: int, window: str) -> dict:
    """Take two steps in which the audio of the last process has a NaN."""
    brain = fresh(ccc_window=window)
    brain.nonfinite_patience = 1
    before = {name: p.detach().clone() for name, p in brain.modules.named_parameters()}
    items = utterances(LENGTHS)
    items[world - 1]["signal"][0] = math.nan
    batches = shares(items, world, 2)[rank]
    loss = float(brain.fit_batch(batches))
    after = {name: p.detach() for name, p in brain.modules.named_parameters()}
    same = all(torch.equal(before[name], after[name]) for name in before)
    figures = brain.train_metrics(0.0)
    try:
        brain.fit_batch(batches)
    except ValueError as error:
        return {"loss": loss, "same": same, "figures": figures, "error": str(error)}
    return {}


def talk(folder, rank: int, world: int) -> dict:
    """Call the communication functions, without a model."""
    sizes = [3, 0, 2][:world]
    rows = torch.full((sizes[rank], 4), float(rank))
    unshared = folder / f"{world}-only-0"
    if rank == 0:
        unshared.touch()
    try:
        distributed.check_shared_disk(unshared if rank == 0 else folder / "absent")
        refusal = ""
    except ValueError as error:
        refusal = str(error)
    distributed.check_shared_disk(unshared)  # all see it
    return {
        "gathered": distributed.all_gather_object(f"of {rank}"),
        "from main": distributed.broadcast_from_main(f"of {rank}"),
        "numbers": distributed.gather_numbers([rank, 0.5], "cpu"),
        "rows": distributed.gather_rows(rows, sizes),
        "targets": distributed.gather_rows(rows[:, 0].long(), sizes),
        "refusal": refusal,
        "sums": sums(rank),
    }


def sums(rank: int) -> list:
    """Sum gradients of several dtypes and sizes in small buckets, some missing."""
    kinds = (torch.float32, torch.float32, torch.float64, torch.bfloat16, torch.float32)
    parameters = [torch.nn.Parameter(torch.zeros(2, n + 1, dtype=k)) for n, k in enumerate(kinds)]
    nowhere = torch.nn.Parameter(torch.zeros(3))
    bucket_size = distributed.BUCKET_SIZE
    distributed.BUCKET_SIZE = 7
    for number, parameter in enumerate(parameters):
        if number or rank == 1:
            parameter.grad = torch.full_like(parameter, float(10**rank))
    parameters[4].grad = parameters[4].grad.t().contiguous().t()  # another memory layout
    distributed.sum_gradients([nowhere, *parameters])
    distributed.BUCKET_SIZE = bucket_size
    return [nowhere.grad, *(parameter.grad for parameter in parameters)]


def take_turns(folder, rank: int, world: int) -> list:
    """Simulate two nodes, of which the first has all processes but the last one."""
    os.environ["LOCAL_RANK"] = str(rank if rank < world - 1 else 0)
    os.environ["GROUP_RANK"] = str(int(rank == world - 1))
    with distributed.local_rank_first() as first:
        with (folder / f"{world}-turns").open("a") as log:
            log.write(f"{rank} comes\n")
        if first:
            with (folder / f"{world}-turns").open("a") as log:
                log.write(f"{rank} goes\n")
    distributed.barrier()
    return (folder / f"{world}-turns").read_text().splitlines()


def shared_state(rank: int) -> dict:
    """Return the state of a module that was initialised differently in each process."""
    brain = fresh()
    with torch.no_grad():
        for value in brain.modules.state_dict().values():
            value += rank
    distributed.broadcast_state(brain.modules)
    return copy.deepcopy(brain.modules.state_dict())


def findings(folder, rank: int, world: int) -> dict:
    """Collect the results of one of several processes."""
    found = {}
    for name, case in {**CASES, **MICRO_CASES}.items():
        found[name] = take_step(case.brain(folder), shares(case.items(), world, case.micro)[rank])
    for number in (world, 1 / world):
        with factor(number):
            batches = shares(CASES["effective"].items(), world, 2)[rank]
            found[f"times {number}"] = take_step(CASES["effective"].brain(folder), batches)
    brain = random_brain(folder)
    found["random"] = take_step(brain, shares(RANDOM.items(), world, RANDOM.micro)[rank])
    found |= {name: train(folder, rank, world, 2, **options) for name, options in RUNS.items()}
    found |= {f"evaluate {count}": evaluate(folder, count) for count in (11, 2)}
    for window in ("micro", "effective"):
        found[f"{window}, not finite"] = not_finite(folder, rank, world, window)
    found["state"] = shared_state(rank)
    found["talk"] = talk(folder, rank, world)
    found["turns"] = take_turns(folder, rank, world)
    return found


def random_brain(folder):
    """Return the Brain of RANDOM with dropout, layerdrop and SpecAugment."""
    brain = fresh(still=False, backbone=folder / "deep.json", **RANDOM.options)
    assert any(m.p for m in brain.modules.modules() if isinstance(m, torch.nn.Dropout))
    return brain


def work(rank: int, folder, ports: dict[int, int]) -> None:
    """Run one process in each of its process groups."""
    torch.set_num_threads(1)
    distributed.DISK_SECONDS = 0
    distributed.TIMEOUT = datetime.timedelta(minutes=3)  # do not wait forever for a failed process
    for world, port in ports.items():
        if rank < world:
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_PORT": port}
            os.environ.update({name: str(value) for name, value in place.items()})
            os.environ["MASTER_ADDR"] = "127.0.0.1"
            distributed.init_distributed({"device": "cpu"})
            torch.save(findings(folder, rank, world), folder / f"{world}-{rank}.pt")
            distributed.destroy_distributed()


def free_ports(count: int) -> list[int]:
    """Return unused ports."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with the files that all processes read: a deeper model and an evaluation set."""
    folder = tmp_path_factory.mktemp("distributed")
    settings = json.loads((HPARAMS / "backbones" / "wavlm_smoke.json").read_text())
    settings |= {"num_hidden_layers": 3, "num_feat_extract_layers": 2}
    (folder / "deep.json").write_text(json.dumps(settings))
    rows = {}
    for item in utterances([700 + 431 * (number * 5 % 11) for number in range(11)], seed=5):
        path = folder / f"{item['id']}.wav"
        soundfile.write(path, item["signal"].numpy() / 10, 16000)
        labels = dict(zip(DIMENSIONS, (4 + 3 * item["vad"]).tolist(), strict=True))
        seconds = len(item["signal"]) / 16000
        rows[item["id"]] = {"duration": seconds, "wav": str(path), "emotion": "", **labels}
    (folder / "rows.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="module")
def several(folder):
    """Results of each process by world size and rank: ``several[world][rank]``."""
    ports = dict(zip(WORLDS, free_ports(len(WORLDS)), strict=True))
    # The processes are forks of one that has imported all modules, which saves most of the time.
    torch.multiprocessing.get_context("forkserver").set_forkserver_preload(IMPORTS)
    start = partial(torch.multiprocessing.start_processes, start_method="forkserver")
    start(work, (folder, ports), nprocs=max(WORLDS))
    load = partial(torch.load, weights_only=False)
    return {w: [load(folder / f"{w}-{rank}.pt") for rank in range(w)] for w in WORLDS}


@pytest.fixture(scope="module")
def one(folder):
    """Results of a single process with the entire effective batch."""
    steps = {
        name: take_step(case.brain(folder), shares(case.items(), 1, ONE_BATCH)[0])
        for name, case in CASES.items()
    }
    runs = {name: train(folder, 0, 1, ONE_BATCH, **options) for name, options in RUNS.items()}
    return {**steps, **runs, **{f"evaluate {count}": evaluate(folder, count) for count in (11, 2)}}


@pytest.fixture(params=WORLDS)
def world(request):
    return request.param


@pytest.mark.parametrize("name", CASES)
def test_distributed_first_step_matches_one_process(name, world, several, one):
    expected = one[name]
    for found in several[world]:
        assert_close(found[name]["gradients"], expected["gradients"])
        assert found[name]["loss"] == pytest.approx(expected["loss"], abs=1e-5)
        assert found[name]["figures"] == pytest.approx(expected["figures"], abs=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_distributed_gradients_have_the_scale_of_one_process(name, world, several, one):
    expected = torch.cat([value.flatten() for value in one[name]["gradients"].values()]).double()
    found = several[world][0][name]["gradients"]
    found = torch.cat([found[n].flatten() for n in one[name]["gradients"]]).double()
    assert float(found @ expected / (expected @ expected)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("power", [1, -1])  # summed twice; averaged as by DDP
def test_distributed_check_detects_wrongly_scaled_gradients(power, world, several, one):
    found = several[world][0][f"times {world**power if power > 0 else 1 / world}"]
    assert largest_error(found["gradients"], one["effective"]["gradients"]) > 0.4
    with pytest.raises(AssertionError):
        assert_close(found["gradients"], one["effective"]["gradients"])


def test_distributed_processes_are_bit_identical(world, several):
    first, *others = several[world]
    for name in (*CASES, *MICRO_CASES, "random"):
        for other in others:
            assert other[name]["gradients"].keys() == first[name]["gradients"].keys()
            pairs = ((other[name]["gradients"][n], g) for n, g in first[name]["gradients"].items())
            assert all(torch.equal(a, b) for a, b in pairs)
            assert other[name]["figures"] == first[name]["figures"]
    for name in RUNS:
        for other in others:
            weights = first[name]["weights"]
            assert all(torch.equal(other[name]["weights"][n], w) for n, w in weights.items())


def test_distributed_cases_have_the_properties_of_their_names(one):
    names = {name: set(found["gradients"]) for name, found in one.items() if name in CASES}
    head = {name for name in names["effective"] if name.startswith("auxiliary_head.")}
    assert head and not head & names["head left out"] and not head & names["no auxiliary task"]
    assert "weighting.log_variances" in names["learned loss weights"]
    assert not [name for name in names["frozen in this epoch"] if name.startswith("encoder.")]
    layers = [name for name in names["frozen part"] if "model.encoder.layers." in name]
    assert layers and all(".layers.2." in name for name in layers)
    assert one["missing dimension"]["figures"]["undefined_ccc"] == 1
    assert one["one utterance"]["figures"]["undefined_ccc"] == 3
    norm = math.sqrt(sum(g.square().sum() for g in one["clipped"]["gradients"].values()))
    assert norm == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("name", MICRO_CASES)
def test_distributed_micro_window_matches_one_process_with_all_micro_batches(
    name, world, several, folder
):
    """A single process with the micro-batches of all processes takes the same step."""
    case = MICRO_CASES[name]
    everything = list(chain(*shares(case.items(), world, case.micro)))
    expected = take_step(case.brain(folder), everything)
    for found in several[world]:
        assert_close(found[name]["gradients"], expected["gradients"])
        assert found[name]["loss"] == pytest.approx(expected["loss"], abs=1e-5)
        assert found[name]["figures"] == pytest.approx(expected["figures"], abs=1e-5)


def test_distributed_step_with_random_layers_matches_one_graph(world, several, folder):
    """Compare with one graph over all micro-batches, each with its random state."""
    brain, parts = random_brain(folder), shares(RANDOM.items(), world, RANDOM.micro)
    outputs = []
    for rank, batches in enumerate(parts):
        for number, batch in enumerate(batches):
            seed_all(brain.hparams.seed, 0, number, rank)
            outputs.append(brain.compute_forward(batch, Stage.TRAIN))
    joined = Output.join(outputs, brain.hparams.task.size, "cpu")
    labels = Labels.join(list(chain(*parts)), "cpu")
    brain.compute_objectives(joined, labels, Stage.TRAIN).backward()
    expected = gradients(brain)
    for found in several[world]:
        assert_close(found["random"]["gradients"], expected)


@pytest.mark.parametrize("name", ["sgd", "sgd, clipped"])
def test_distributed_weights_match_after_ten_sgd_steps(name, world, several, one):
    weights = several[world][0][name]["weights"]
    for parameter, expected in one[name]["weights"].items():
        torch.testing.assert_close(weights[parameter], expected, rtol=0, atol=1e-5)


def test_distributed_predictions_match_after_ten_adamw_steps(world, several, one):
    found, expected = several[world][0]["adamw"], one["adamw"]["predictions"]
    for part in expected:
        torch.testing.assert_close(found["predictions"][part], expected[part], rtol=0, atol=1e-4)


@pytest.mark.parametrize("count", [11, 2])  # 6 batches; 1 batch gives empty shares
def test_distributed_evaluation_counts_each_utterance_once(count, world, several, one):
    expected = one[f"evaluate {count}"]
    parts = [found[f"evaluate {count}"] for found in several[world]]
    assert sorted(chain(*(part["own"] for part in parts))) == sorted(expected["own"])
    assert len(expected["own"]) == count
    for part in parts:
        assert list(part["vad"]) == sorted(expected["own"])
        assert_close(part["vad"], expected["vad"], tolerance=1e-6)
        assert_close(part["classes"], expected["classes"], tolerance=1e-6)
        assert part["figures"] == pytest.approx(expected["figures"], abs=1e-6, nan_ok=True)
        assert part["figures"] == pytest.approx(parts[0]["figures"], abs=0, nan_ok=True)


@pytest.mark.parametrize("window", ["micro", "effective"])
def test_distributed_fault_nonfinite_loss_skips_the_step_in_all_processes(window, world, several):
    for found in (found[f"{window}, not finite"] for found in several[world]):
        assert math.isnan(found["loss"]) and found["same"]
        assert found["figures"]["regression_loss"] == 0  # not part of the epoch's mean
        assert "not finite in 2 steps" in found["error"]
        assert all(f"u0-{number}" in found["error"] for number in range(len(LENGTHS)))


def test_distributed_processes_start_with_the_weights_of_the_main_process(world, several):
    expected = several[world][0]["state"]
    for found in several[world][1:]:
        assert all(torch.equal(found["state"][name], value) for name, value in expected.items())


def test_distributed_communication_functions(world, several):
    for found in (found["talk"] for found in several[world]):
        assert found["gathered"] == [f"of {rank}" for rank in range(world)]
        assert found["from main"] == "of 0"
        assert found["numbers"].tolist() == [[rank, 0.5] for rank in range(world)]
        column = [0, 0, 0] + ([2, 2] if world > 2 else [])
        assert found["rows"].tolist() == [[float(number)] * 4 for number in column]
        assert found["targets"].tolist() == column
        assert str(list(range(1, world))) in found["refusal"]
        assert "must be on a disk shared by all nodes" in found["refusal"]


def test_distributed_gradient_sums_use_buckets_of_one_dtype(world, several):
    total = sum(10.0**rank for rank in range(world))
    for nowhere, in_one, *everywhere in (found["talk"]["sums"] for found in several[world]):
        assert nowhere is None
        assert in_one.tolist() == [[10.0], [10.0]]
        assert [tuple(grad.shape) for grad in everywhere] == [(2, 2), (2, 3), (2, 4), (2, 5)]
        for grad in everywhere:
            assert grad.double().eq(torch.tensor(total, dtype=grad.dtype).double()).all()


def test_distributed_nodes_run_local_rank_first_in_turn(world, several):
    lines = several[world][0]["turns"]
    last = world - 1
    assert lines[:4] == ["0 comes", "0 goes", f"{last} comes", f"{last} goes"]
    assert sorted(lines[4:]) == [f"{rank} comes" for rank in range(1, last)]


def test_single_process_needs_no_process_group(monkeypatch):
    for name in (*distributed.TORCHRUN_VARIABLES, "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    options = {}
    distributed.init_distributed(options)
    assert options == {} and distributed.world_size() == 1 and distributed.is_main_process()
    assert distributed.all_gather_object(3) == [3] and distributed.broadcast_from_main(3) == 3
    assert distributed.gather_rows(torch.ones(2, 3), [2]).tolist() == [[1.0] * 3] * 2
    with distributed.local_rank_first() as first:
        assert first


def test_distributed_launch_without_torchrun_raises(monkeypatch):
    for name in distributed.TORCHRUN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match=r"WORLD_SIZE is 4, but .*: RANK, LOCAL_RANK.*torchrun"):
        distributed.init_distributed({})


@pytest.mark.parametrize("backend", ["mpi", "nccl"])
def test_distributed_unsupported_backend_raises(backend, monkeypatch):
    for name in distributed.TORCHRUN_VARIABLES:
        monkeypatch.setenv(name, "0")
    with pytest.raises(ValueError, match=f"found {backend} on the CPU"):
        distributed.init_distributed({"device": "cpu", "distributed_backend": backend})


def test_distributed_more_processes_than_gpus_raise(monkeypatch):
    for name in distributed.TORCHRUN_VARIABLES:
        monkeypatch.setenv(name, "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=r"this machine has 2\. Reduce --nproc_per_node to 2"):
        distributed.init_distributed({})
