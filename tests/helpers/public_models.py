"""Tiny checkpoints in the layouts of public models, and reference computations for them.

The SSL models are those of transformers, applied to one utterance without padding. All later layers
are computed in float64 with NumPy, independently of the package.
"""

import json

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel

OLD = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
LENGTHS = (8000, 16000, 5233)


def ssl_model(settings):
    """Build a small random model, including random biases and norm weights."""
    torch.manual_seed(3)
    model = AutoModel.from_config(AutoConfig.for_model(**settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def signals():
    """Generate utterances with different lengths, levels and offsets."""
    generator = torch.Generator().manual_seed(5)
    loud = zip(LENGTHS, (0.1, 0.4, 0.02), (0.0, 0.01, -0.02), strict=True)
    return [level * torch.randn(n, generator=generator) + shift for n, level, shift in loud]


def saved(folder, configuration, weights, *, name="model.safetensors", old=True):
    """Write a checkpoint; ``old`` selects the former parameter names of weight norm."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(configuration))
    state = {}
    for key, value in weights.items():
        for new, before in OLD.items():
            key = key.replace(new, before) if old else key
        state[key] = value.detach().clone().contiguous()
    if name.endswith(".safetensors"):
        save_file(state, folder / name)
    else:
        torch.save(state, folder / name)
    return folder


def add_prefix(model, prefix):
    """Return the state dict of a model with a prefix before each name."""
    return {f"{prefix}{name}": value for name, value in model.state_dict().items()}


def random_layers(sizes, seed=11):
    """Generate ``NAME.weight`` and ``NAME.bias`` for ``{NAME: shape of the weight}``."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in sizes.items():
        found[f"{name}.weight"] = torch.randn(*shape, generator=generator) / shape[1] ** 0.5
        found[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=generator)
    return found


def all_hidden_states(model, signal):
    """Compute all hidden states, shape (layers + 1, frames, size), float64.

    The last one includes the final norm, as in transformers 4, with which these checkpoints were
    trained. In transformers 5, it does not include this norm.
    """
    with torch.no_grad():
        found = model(signal[None].float(), output_hidden_states=True)
    states = [*found.hidden_states[:-1], found.last_hidden_state]
    return np.stack([state[0].double().numpy() for state in states])


def last_hidden_state(model, signal):
    """Compute the last hidden state, shape (frames, size), float64."""
    with torch.no_grad():
        return model(signal[None].float()).last_hidden_state[0].double().numpy()


def normalise_utterance(signal):
    """Normalise to zero mean and unit variance like the transformers feature extractor."""
    values = signal.double().numpy()
    return torch.from_numpy((values - values.mean()) / np.sqrt(values.var() + 1e-7))


def affine(weights, name, x):
    """Apply a linear layer; convolution kernels over one frame are matrices."""
    weight = weights[f"{name}.weight"].double().numpy()
    return x @ weight.reshape(weight.shape[:2]).T + weights[f"{name}.bias"].double().numpy()


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))
