"""Independent reference implementation of the style pooling layer in NumPy, for tests.

It processes one utterance in float64, without batches, padding or masks. Dropout factors are given
by the caller, so that training can be compared as well. Its loops follow
the published description instead of being fast. It shares no code with the library and does not
import torch, so agreement between the two is evidence that both are correct.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

LINEAR_AFTER_TEMPORAL = ("query", "key", "value", "attention_output", "output")


def parameter_shapes(feature: int, width: int, *, kernel: int = 5) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of all parameters of `style_pooling`.

    Arguments
    ---------
    feature : int
        Size of one input frame.
    width : int
        Width of every layer after the input (1024 in the paper); d_model of the attention.
    kernel : int
        Number of taps of the temporal convolutions.

    Returns
    -------
    shapes : dict
        Shape by name: (out, in) for linear weights, (2 * width, width, kernel) for convolutions.

    Example
    -------
    >>> shapes = parameter_shapes(3, 4)
    >>> shapes["spectral.0.weight"], shapes["temporal.1.weight"], len(shapes)
    ((4, 3), (8, 4, 5), 18)
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, inputs in enumerate((feature, width)):
        shapes[f"spectral.{layer}.weight"] = (width, inputs)
        shapes[f"spectral.{layer}.bias"] = (width,)
    for layer in range(2):
        shapes[f"temporal.{layer}.weight"] = (2 * width, width, kernel)
        shapes[f"temporal.{layer}.bias"] = (2 * width,)
    for name in LINEAR_AFTER_TEMPORAL:
        shapes[f"{name}.weight"] = (width, width)
        shapes[f"{name}.bias"] = (width,)
    return shapes


def style_pooling(
    frames: np.ndarray,
    parameters: Mapping[str, np.ndarray],
    *,
    heads: int = 2,
    scale: float | None = None,
    dropout: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Pool the frames of one utterance into one vector, in evaluation mode.

    The layers are two fully connected layers, each followed by Mish; two gated convolutions over
    time, each with a residual connection; self-attention over time with a residual connection; one
    fully connected layer; and the mean over time.

    The paper leaves some points open. They are interpreted as follows:

    - every linear layer and convolution has a bias;
    - attention has its own linear output layer after the heads are concatenated, inside the
      residual connection, and head h uses the consecutive columns h * d_head to (h + 1) * d_head of
      the query, key and value;
    - query, key and value each have size width, so d_head = width / heads;
    - `scale` multiplies the scores before the softmax, which runs over the keys of one query;
    - in the GLU, the first half of the channels is the content and the second half, through a
      sigmoid, is the gate; the convolution has no other activation;
    - a residual connection is a plain sum without rescaling, after the GLU;
    - the taps are applied in time order (cross-correlation, as usual in convolution layers): tap k
      of K is applied to the frame k - (K - 1) / 2 frames ahead, and frames outside the utterance
      are zeros in both convolutions;
    - there is no layer norm, no position encoding and no activation after attention or after the
      last fully connected layer;
    - the last fully connected layer preserves the width and precedes the mean;
    - there is no residual connection around the spectral layers; the first one maps the feature
      size to width.

    Arguments
    ---------
    frames : np.ndarray
        Shape (time, feature), at least one frame.
    parameters : Mapping[str, np.ndarray]
        Arrays with the names and shapes returned by `parameter_shapes`.
    heads : int
        Number of attention heads, a divisor of the width.
    scale : float, optional
        Factor for the attention scores. None means 1 / sqrt(width), as in the paper: the square
        root of d_model instead of the size of one head.
    dropout : Mapping[str, np.ndarray], optional
        Factors of dropout, 0 or 1 / (1 - p): `spectral.0`, `spectral.1` (after Mish), `temporal.0`,
        `temporal.1` (after the GLU) and `attention_output` (before the residual sum), each of shape
        (time, width); and `attention` for the attention weights, of shape (heads, time, time) with
        queries before keys. None means evaluation.

    Returns
    -------
    pooled : np.ndarray
        Shape (width,).

    Raises
    ------
    ValueError
        If the frames, the parameters and the number of heads do not match.

    Example
    -------
    >>> zeros = {name: np.zeros(shape) for name, shape in parameter_shapes(3, 2).items()}
    >>> zeros["output.bias"] = np.array([1.0, -2.0])
    >>> style_pooling(np.ones((4, 3)), zeros)
    array([ 1., -2.])
    """
    hidden = np.asarray(frames, dtype=np.float64)
    weights = {name: np.asarray(array, dtype=np.float64) for name, array in parameters.items()}
    factors = dropout or {}
    _check(hidden, weights, heads)
    for layer in range(2):
        hidden = mish(_linear(hidden, weights, f"spectral.{layer}"))
        hidden = hidden * factors.get(f"spectral.{layer}", 1.0)
    for layer in range(2):
        name = f"temporal.{layer}"
        signal = convolve_same(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"])
        hidden = hidden + gated_linear_unit(signal) * factors.get(name, 1.0)
    width = hidden.shape[1]
    factor = 1.0 / np.sqrt(width) if scale is None else float(scale)
    attended = _self_attention(hidden, weights, heads, factor, factors.get("attention"))
    hidden = hidden + attended * factors.get("attention_output", 1.0)
    return _linear(hidden, weights, "output").mean(axis=0)


def mish(values: np.ndarray) -> np.ndarray:
    """Compute x * tanh(softplus(x)) without overflow for large values.

    Example
    -------
    >>> mish(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [-0.0, 0.0, 1000.0]
    """
    return values * np.tanh(np.logaddexp(0.0, values))


def gated_linear_unit(values: np.ndarray) -> np.ndarray:
    """Multiply the first half of the last axis by the sigmoid of the second half.

    Example
    -------
    >>> gated_linear_unit(np.array([[3.0, 4.0, 0.0, 0.0]])).round(12).tolist()
    [[1.5, 2.0]]
    """
    half = values.shape[-1] // 2
    # exp(-softplus(-x)) is the sigmoid of x, without overflow for large |x|.
    gate = np.exp(-np.logaddexp(0.0, -values[..., half:]))
    return values[..., :half] * gate


def convolve_same(frames: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Convolve over time with zero padding on both sides, so that the length is preserved.

    Arguments
    ---------
    frames : np.ndarray
        Shape (time, in).
    weight : np.ndarray
        Shape (out, in, kernel) with an odd kernel size.
    bias : np.ndarray
        Shape (out,).

    Returns
    -------
    signal : np.ndarray
        Shape (time, out).

    Example
    -------
    >>> delay = np.array([[[1.0, 0.0, 0.0]]])
    >>> convolve_same(np.array([[1.0], [2.0], [3.0]]), delay, np.zeros(1)).ravel().tolist()
    [0.0, 1.0, 2.0]
    """
    time, (outputs, _, kernel) = len(frames), weight.shape
    signal = np.zeros((time, outputs))
    for position in range(time):
        signal[position] = bias
        for tap in range(kernel):
            source = position + tap - (kernel - 1) // 2
            if 0 <= source < time:
                signal[position] += weight[:, :, tap] @ frames[source]
    return signal


def numerical_gradient(
    function: Callable[[np.ndarray], np.ndarray],
    array: np.ndarray,
    upstream: np.ndarray,
    indices: Iterable[int],
    *,
    step: float = 1e-5,
) -> np.ndarray:
    """Compute the gradient of sum(upstream * function(array)) by central differences in float64.

    Arguments
    ---------
    function : Callable
        Function from an array like `array` to one with the shape of `upstream`. It must not modify
        its input.
    array : np.ndarray
        Point at which the gradient is computed. It is copied and not modified.
    upstream : np.ndarray
        Weights of the outputs.
    indices : Iterable[int]
        Flat (row-major) positions in `array` for which the gradient is computed.
    step : float
        Distance to either side, multiplied by |value| if that is above 1. With the default, the
        error is about 1e-10 if values and derivatives are of the order of 1.

    Returns
    -------
    gradient : np.ndarray
        One value per index, in the order of `indices`.

    Raises
    ------
    ValueError
        If the function's output does not have the shape of `upstream`.
    IndexError
        If an index is not in 0 .. array.size - 1.

    Example
    -------
    >>> cube = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> numerical_gradient(lambda x: x**2, cube, np.ones((2, 2)), [3, 1]).round(6).tolist()
    [8.0, 4.0]
    """
    point = np.array(array, dtype=np.float64, order="C")
    upstream = np.asarray(upstream, dtype=np.float64)
    return np.array([_slope(function, point, upstream, index, step) for index in indices])


def _slope(
    function: Callable[[np.ndarray], np.ndarray],
    point: np.ndarray,
    upstream: np.ndarray,
    index: int,
    step: float,
) -> float:
    if not 0 <= index < point.size:
        raise IndexError(f"index must be in 0..{point.size - 1}; found {index}. Use flat indices.")
    outputs, positions = [], []
    for sign in (1.0, -1.0):
        moved = point.copy()
        moved.flat[index] += sign * step * max(1.0, abs(point.flat[index]))
        positions.append(moved.flat[index])
        outputs.append(np.asarray(function(moved), dtype=np.float64))
        if outputs[-1].shape != upstream.shape:
            raise ValueError(
                f"upstream must have the output's shape {outputs[-1].shape}; found "
                f"{upstream.shape}. Pass one weight per output."
            )
    # Dividing by the distance as stored eliminates the rounding error of the step.
    return float(np.sum(upstream * (outputs[0] - outputs[1])) / (positions[0] - positions[1]))


def _linear(frames: np.ndarray, weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return frames @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _self_attention(
    frames: np.ndarray,
    weights: Mapping[str, np.ndarray],
    heads: int,
    scale: float,
    dropout: np.ndarray | None,
) -> np.ndarray:
    query, key, value = (_linear(frames, weights, name) for name in ("query", "key", "value"))
    size = frames.shape[1] // heads
    joined = np.zeros_like(value)
    for head in range(heads):
        columns = slice(head * size, (head + 1) * size)
        for position in range(len(frames)):
            scores = scale * (key[:, columns] @ query[position, columns])
            # Subtracting the maximum does not change any ratio and keeps the exponentials finite.
            share = np.exp(scores - scores.max())
            share /= share.sum()
            if dropout is not None:
                share *= dropout[head, position]
            joined[position, columns] = share @ value[:, columns]
    return _linear(joined, weights, "attention_output")


def _check(frames: np.ndarray, weights: Mapping[str, np.ndarray], heads: int) -> None:
    if frames.ndim != 2 or 0 in frames.shape:
        raise ValueError(
            f"frames must be (time, feature) and not empty; found {frames.shape}. "
            "Pass one utterance without a batch axis."
        )
    width = weights["output.bias"].size if "output.bias" in weights else 0
    temporal = weights.get("temporal.0.weight", np.zeros((0, 0, 5)))
    kernel = temporal.shape[-1] if temporal.ndim == 3 else 0
    wanted = parameter_shapes(frames.shape[1], width, kernel=kernel)
    if set(wanted) != set(weights):
        raise ValueError(
            f"parameters must have the names returned by parameter_shapes; missing: "
            f"{sorted(set(wanted) - set(weights))}; unknown: {sorted(set(weights) - set(wanted))}"
        )
    for name, shape in wanted.items():
        if weights[name].shape != shape:
            raise ValueError(f"{name} must have shape {shape}; found {weights[name].shape}")
    if kernel % 2 == 0:
        raise ValueError(f"the kernel must be odd to preserve the length; found {kernel}")
    if heads < 1 or width % heads:
        raise ValueError(f"heads must divide the width {width}; found {heads}")
