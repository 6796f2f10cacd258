"""Tell the model where a token stands: positions, ALiBi and RoPE, as pure functions."""

import math

from falcon_edu.model.layers import Tensor

from keras import ops


def token_positions(padding_mask) -> Tensor:
    """Return the position of every token among the real tokens of its sequence.

    Args:
        padding_mask: `(b, t)`, true at real tokens, false at padding.

    Returns:
        `(b, t)` int32: 0 at the first real token wherever padding stands, and 0 at padding.

    Example:

    >>> token_positions([[0, 0, 1, 1, 1]]).tolist()
    [[0, 0, 0, 1, 2]]
    """
    mask = ops.cast(ops.cast(padding_mask, "bool"), "int32")
    return (ops.cast(ops.cumsum(mask, axis=-1), "int32") - 1) * mask  # (b, t)


def alibi_slopes(num_heads: int) -> list[float]:
    """Return the slope of each head's ALiBi bias, a list of `n` floats.

    For a power of two the slopes are a geometric series: `ratio ** (i + 1)` for head `i`. Any other
    count takes the slopes of the power of two below, then every other slope of twice that power.

    Args:
        num_heads: number of heads, `n`.

    Example:

    >>> alibi_slopes(4)
    [0.25, 0.0625, 0.015625, 0.00390625]
    >>> alibi_slopes(3)
    [0.0625, 0.00390625, 0.25]

    Press et al. 2022, https://arxiv.org/abs/2108.12409, section 3.
    """
    power = 2 ** math.floor(math.log2(num_heads))
    ratio = 2 ** (-8 / power)
    slopes = [ratio ** (head + 1) for head in range(power)]
    if power < num_heads:
        slopes += alibi_slopes(2 * power)[::2][: num_heads - power]
    return slopes


def alibi_bias(num_heads: int, key_positions, dtype: str = "float32") -> Tensor:
    """Return ALiBi's bias for every head and key: slope times position.

    The paper subtracts a distance; Falcon adds the key's position. The two differ by a constant
    for each query, which the softmax removes.

    Args:
        num_heads: number of heads, `n`.
        key_positions: `(b, k)` int, from `token_positions`.
        dtype: precision of the computation. The transformers library uses bfloat16 always.

    Returns:
        `(b, n, 1, k)` in `dtype`, to be added to the scores before they are scaled.

    Example:

    >>> alibi_bias(2, [[0, 1, 2]])[0, :, 0].tolist()
    [[0.0, 0.0625, 0.125], [0.0, 0.00390625, 0.0078125]]

    Press et al. 2022, https://arxiv.org/abs/2108.12409, section 3.
    """
    slopes = ops.cast(ops.convert_to_tensor(alibi_slopes(num_heads), "float32"), dtype)  # (n,)
    positions = ops.cast(key_positions, dtype)  # (b, k)
    return slopes[None, :, None, None] * positions[:, None, None, :]  # (b, n, 1, k)


def rotary_embedding(x, positions, max_wavelength: float = 10_000) -> Tensor:
    """RoPE: turns the pairs `(x[i], x[i + h/2])` by an angle that grows with the position.

    Args:
        x: `(b, t, n, h)` queries or keys; `h` is even.
        positions: `(b, t)` int, from `token_positions`.
        max_wavelength: base of the frequencies; 10,000 for Falcon, 500,042 for Falcon2-11B.

    Returns:
        `(b, t, n, h)` in the dtype of `x`; the angles are computed in float32.

    Example:

    >>> x = ops.ones((1, 2, 1, 4))
    >>> rotary_embedding(x, [[0, 1]])[0, 0, 0].tolist()  # position 0 is not turned
    [1.0, 1.0, 1.0, 1.0]

    Su et al. 2021, https://arxiv.org/abs/2104.09864, section 3.2; halves as in GPT-NeoX.
    """
    half = x.shape[-1] // 2
    base = float(max_wavelength)  # JAX takes no integers above 31 bits
    frequencies = base ** (-ops.arange(half, dtype="float32") / half)  # (h/2,)
    angles = ops.cast(positions, "float32")[:, :, None] * frequencies  # (b, t, h/2)
    # Both halves turn by the same angles, and all heads too: theirs is the axis of size 1.
    angles = ops.concatenate([angles, angles], axis=-1)[:, :, None, :]  # (b, t, 1, h)
    cos, sin = ops.cast(ops.cos(angles), x.dtype), ops.cast(ops.sin(angles), x.dtype)
    turned = ops.concatenate([-x[..., half:], x[..., :half]], axis=-1)  # (b, t, n, h)
    return x * cos + turned * sin
