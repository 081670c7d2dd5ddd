"""Test backbones in DistributedDataParallel with two processes, layerdrop and frozen parts."""

import socket

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from emosphere_sb.lobes import SSLEncoder
from tests.helpers.forked import CONTEXT

FAMILIES = (
    "wavlm", "wav2vec2", "hubert", "data2vec-audio", "unispeech-sat", "wav2vec2-conformer",
    "wav2vec2-bert", "whisper",
)  # fmt: skip
CASES = [
    *((family, {"freeze": "feature_encoder"}) for family in FAMILIES),
    ("wavlm", {"freeze_schedule": {1: "all_but_top_1", 2: "none", 3: "all_but_top_1"}}),
    ("wavlm", {"freeze": "feature_encoder", "layers": "weighted"}),
    ("wavlm", {"freeze": "feature_encoder", "layers": "1"}),
    ("wavlm", {"freeze": "none", "gradient_checkpointing": False, "spec_augment": False}),
]


def run_steps(rank: int, port: int, folders: dict, errors) -> None:
    """Run three steps of each case in one process and compare gradients between processes."""
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    for family, options in CASES:
        torch.manual_seed(0)
        encoder = SSLEncoder(folders[family], **{"layerdrop": 0.5, **options}).train()
        wrapped = DistributedDataParallel(encoder, find_unused_parameters=True)
        torch.manual_seed(rank)  # processes drop different layers and mask different frames
        for epoch in (1, 2, 3):
            encoder.set_epoch(epoch)
            signals = torch.randn(2, 9000 - 1000 * rank)
            frames, _ = wrapped(signals, torch.tensor([signals.shape[1], 5000]))
            (frames * torch.linspace(-1, 1, frames.shape[-1])).sum().backward()
            for name, parameter in encoder.named_parameters():
                if not parameter.requires_grad:
                    continue
                grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                both = [torch.zeros_like(grad) for _ in range(2)]
                dist.all_gather(both, grad)
                if not torch.equal(*both):
                    errors.put(f"{family} {options}: {name} differs in step {epoch}")
            encoder.zero_grad(set_to_none=True)
    dist.destroy_process_group()


def test_gradients_with_layerdrop_agree_between_processes(save_any):
    errors = CONTEXT.SimpleQueue()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = (port, {family: save_any(family) for family in FAMILIES}, errors)
    torch.multiprocessing.start_processes(run_steps, arguments, nprocs=2, start_method="forkserver")
    found = []
    while not errors.empty():
        found.append(errors.get())
    assert found == []
