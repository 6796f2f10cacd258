"""Solutions to notebook 04: positions."""

import numpy as np


# 4.1: Falcon adds ALiBi to the scores and then divides both by $\sqrt{h}$, so each step back
# multiplies the weight by $e^{-\mathrm{slope} / \sqrt{h}}$. It is down to a half where
# `steps * slope / sqrt(h)` is $\ln 2$. The paper adds its bias behind the division; with its
# formula, $\ln 2$ / slope, the root is missing.
def half_life(slope, h):
    return np.log(2) * np.sqrt(h) / slope


# 4.2: `together` says which tokens are of one text, and `argmax` finds the first of them, where
# the text begins. The place in the row less that is the position; the last factor sets padding to
# 0. A running count over the row, which does for a single text, would count on from one text into
# the next.
def packed_positions(text_ids):
    together = text_ids[:, :, None] == text_ids[:, None, :]  # (b, t, t)
    begin = together.argmax(axis=-1)  # (b, t): where each token's text begins
    return (np.arange(text_ids.shape[1]) - begin) * (text_ids > 0)


# 4.3: The even places are the first numbers of the pairs, the odd ones the second, and after the
# turn each goes back to where it came from. Angles and rotation are those of the halves: only the
# partners differ. Joining the turned numbers as two halves would hand back a vector in another
# order.
def rope_of_neighbours(x, positions):
    half = x.shape[-1] // 2
    angles = positions[:, None] * 10_000 ** (-np.arange(half) / half)  # (t, h/2)
    cos, sin = np.cos(angles), np.sin(angles)
    first, second = x[:, 0::2], x[:, 1::2]
    turned = np.empty_like(x)
    turned[:, 0::2] = first * cos - second * sin
    turned[:, 1::2] = second * cos + first * sin
    return turned


# 4.4: The slowest pair, number `half - 1`, turns by `wavelength ** (-(half - 1) / half)` for each
# token, and this must become smaller by the factor. So the new wavelength to the power of
# `(half - 1) / half` is `factor` times the old one to that power, and the exponent moves over to
# the factor upside down. The wavelength times `factor` alone would slow that pair a little too
# little.
def stretched_wavelength(wavelength, h, factor):
    half = h // 2
    return wavelength * factor ** (half / (half - 1))
