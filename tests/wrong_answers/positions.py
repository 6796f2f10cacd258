"""What learners plausibly answer in notebook 04, and should not get away with."""

import numpy as np


def counted(text_ids):
    """Counts in each text from 1, whatever the text's number."""
    together = text_ids[:, :, None] == text_ids[:, None, :]
    return (np.arange(text_ids.shape[1]) - together.argmax(axis=-1) + 1) * (text_ids > 0)


def rope(first, second, join, speed=lambda half: np.arange(half) / half, sign=1):
    def answer(x, positions):
        half = x.shape[-1] // 2
        angles = positions[:, None] * 10_000 ** -speed(half)
        cos, sin = np.cos(angles), sign * np.sin(angles)
        a, b = first(x), second(x)
        return join(a * cos - b * sin, b * cos + a * sin)

    return answer


def halves(a, b):
    return np.concatenate([a, b], axis=1)


def woven(a, b):
    return np.stack([a, b], axis=-1).reshape(len(a), -1)


def even(x):
    return x[:, 0::2]


def odd(x):
    return x[:, 1::2]


WRONG = {
    "half_life": {
        "the paper's, without the root": lambda slope, h: np.log(2) / slope,
        "the root the wrong way": lambda slope, h: np.log(2) / slope / np.sqrt(h),
        "to 1/e": lambda slope, h: np.sqrt(h) / slope,
        "h instead of its root": lambda slope, h: np.log(2) * h / slope,
        "the inverse": lambda slope, h: slope / np.sqrt(h) / np.log(2),
        "a text": lambda slope, h: str(np.log(2) * np.sqrt(h) / slope),
        "base-two logarithm": lambda slope, h: np.log2(2) * np.sqrt(h) / slope,
    },
    "packed_positions": {
        "counts on": lambda ids: (np.cumsum(ids > 0, axis=1) - 1) * (ids > 0),
        "places in the row": lambda ids: np.tile(np.arange(ids.shape[1]), (len(ids), 1)),
        "from 1": counted,
        "padding at -1": lambda ids: counted(ids) - 1,
        "padding counts as a text": lambda ids: (
            np.arange(ids.shape[1]) - (ids[:, :, None] == ids[:, None, :]).argmax(axis=-1)
        ),
        "no more than seven texts": lambda ids: sum(
            (np.cumsum(ids == number, axis=1) - 1) * (ids == number) for number in range(1, 8)
        ),
        "only the first row": lambda ids: ((counted(ids) - 1) * (ids > 0))[:1],
    },
    "rope_of_neighbours": {
        "halves": rope(lambda x: x[:, :3], lambda x: x[:, 3:], halves),
        "not put back": rope(even, odd, halves),
        "the other way round": rope(even, odd, woven, sign=-1),
        "speeds of h numbers": rope(
            even, odd, woven, speed=lambda half: np.arange(half) / half / 2
        ),
        "fastest last": rope(even, odd, woven, speed=lambda half: np.arange(half)[::-1] / half),
        "counts from 1": lambda x, positions: rope(even, odd, woven)(x, positions + 1),
    },
    "stretched_wavelength": {
        "times the factor": lambda wavelength, h, factor: wavelength * factor,
        "divided": lambda wavelength, h, factor: wavelength / factor,
        "h instead of half": lambda wavelength, h, factor: wavelength * factor ** (h / (h - 1)),
        "upside down": lambda wavelength, h, factor: wavelength * factor ** ((h - 2) / h),
        "pair 1": lambda wavelength, h, factor: wavelength * factor ** (h // 2),
        "unchanged": lambda wavelength, h, factor: wavelength,
    },
}
