"""The picture of the logit lens: guesses, ranks or probabilities, and what comes next."""

from falcon_edu import plots
from falcon_edu.plots import lens

import numpy as np
import pytest

GUESSES = [[" a", " a"], [" ran", "."]]
TOKENS = ["Mia", " ran", " off"]


@pytest.fixture
def written(monkeypatch):
    """What is written, from left to right and from top to bottom."""
    lines = []
    monkeypatch.setattr(lens, "_write", lambda ax, texts, *rest: lines.extend(texts))
    return lines


def test_ranks_are_colored_by_their_logarithm(written):
    axes = plots.lens_map(GUESSES, [[1000, 10], [1, np.nan]], TOKENS)
    colors = axes.images[0].get_array()
    np.testing.assert_allclose(colors.filled(-1), [[0, 2 / 3], [1, -1]])
    assert axes.images[0].get_clim() == (0, 1)
    texts = [text for _, _, text in written]
    assert {"·a", "·ran", ".", "1000", "10", "1", "Mia", "·off"} == set(texts)


def test_probabilities_are_their_own_color(written):
    axes = plots.lens_map(GUESSES, [[0, 0.5], [1, 0.25]], TOKENS, show="probability")
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0, 0.5], [1, 0.25]])
    assert {"50%", "25%", "100%", "0%"} <= {text for _, _, text in written}


def test_a_guess_stands_in_its_cell():
    """Also stretched: the cells are wider than they are high."""
    axes = plots.lens_map([["a", "b"], ["c", "d"]], np.full((2, 2), np.nan), ["x", "y"])
    extents = [p.get_path().get_extents() for p in axes.artists + axes.patches]
    letters = extents[0]
    assert -0.5 < letters.x0 < 0.1
    assert 0.9 < letters.x1 < 1.5
    assert -0.5 < letters.y0 < 0
    assert 0.9 < letters.y1 < 1.5


def test_selected_position_is_framed_and_said():
    axes = plots.lens_map(GUESSES, [[7, 9], [1, 2]], TOKENS, selected=-1, title="T")
    assert axes.alt_text == (
        'T: ranks over 2 tokens after 2 layers; after "ran" it says "." in the end, '
        'and "off", which comes, has 9, 2.'
    )


def test_nothing_known_of_what_comes():
    values = [[7, np.nan], [1, np.nan]]
    axes = plots.lens_map(GUESSES, values, TOKENS[:2], selected=1)
    assert axes.alt_text.endswith('after "ran" it says "." in the end.')
    axes = plots.lens_map(GUESSES, values, TOKENS[:2])
    assert axes.alt_text.endswith("1 of 1 next token comes first in the end.")


@pytest.mark.parametrize(
    ("guesses", "values", "tokens", "show", "message"),
    [
        (GUESSES, [[1, 2]], TOKENS, "rank", "must both be"),
        (GUESSES, [[1, 2], [3, 4]], ["a"], "rank", "must be 2 strings"),
        (GUESSES, [[1, 2], [3, 4]], TOKENS, "logit", '"rank" or "probability"'),
    ],
)
def test_impossible_lens_is_refused(guesses, values, tokens, show, message):
    with pytest.raises(ValueError, match=message):
        plots.lens_map(guesses, values, tokens, show=show)
