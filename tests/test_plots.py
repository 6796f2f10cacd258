"""The pictures show the numbers they are given, and their alt texts say what they show."""

import re
import subprocess
import sys

from falcon_edu import plots
from falcon_edu.plots import attention, style
from falcon_edu.plots.next_token import DARK_GREY
from falcon_edu.plots.style import BLUE

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

TOKENS = ["<|endoftext|>", "Mia", " met", " Tom", ".", "\n", "Mia"]


def causal(*shape, seed=0):
    """Attention weights `(*shape, q, k)` for `TOKENS`, random and causal."""
    size = len(TOKENS)
    weights = np.random.default_rng(seed).random((*shape, size, size)) ** 4
    weights *= np.tril(np.ones((size, size)))
    return (weights / weights.sum(-1, keepdims=True)).astype("float32")


def image_of(axes):
    return next(child for child in axes.get_children() if isinstance(child, AxesImage))


@pytest.fixture
def written(monkeypatch):
    """The texts that are written into a picture."""
    texts = []

    def write(ax, lines, *args, **kwargs):
        texts.extend(text for _, _, text in lines)
        style.write(ax, lines, *args, **kwargs)

    monkeypatch.setattr(attention, "write", write)
    return texts


# === One head ===


def test_map_shows_the_weights_on_a_fixed_scale():
    weights = causal() / 4
    image = image_of(plots.attention_map(weights, TOKENS))
    shown = image.get_array()
    assert image.get_clim() == (0, 1)
    np.testing.assert_array_equal(shown.mask, np.triu(np.ones_like(weights), k=1) > 0)
    np.testing.assert_array_equal(shown.filled(0), weights)  # row: query, column: key
    assert image.axes.get_xlim() == (-0.5, len(TOKENS) - 0.5)
    assert image.axes.get_ylim() == (len(TOKENS) - 0.5, -0.5)  # the first query is on top


def test_map_does_not_hide_what_must_not_be_there():
    """A weight on a later token is a bug of the model, not of the picture."""
    weights = causal()
    weights[1, 4] = 0.3
    shown = image_of(plots.attention_map(weights, TOKENS)).get_array()
    assert shown[1, 4] == np.float32(0.3)
    assert shown.mask[1, 3]


def test_map_writes_every_token_twice(written):
    plots.attention_map(causal(), TOKENS)
    labels = ["[start]", "Mia", "·met", "·Tom", ".", "↵", "Mia"]
    assert written == [*labels, *labels, "1", "0"]


def test_large_map_writes_only_labels_that_have_room(written):
    tokens = TOKENS * 30
    plots.attention_map(np.eye(len(tokens)), tokens)
    assert 2 * 60 < len(written) < 2 * 120


def test_map_of_the_last_queries(written):
    weights = causal()[-2:]
    axes = plots.attention_map(weights, TOKENS, query=-1)
    assert image_of(axes).get_array().shape == (2, 7)
    assert not image_of(axes).get_array().mask[1].any()
    assert written == [*plots.token_labels(TOKENS), "↵", "Mia", "1", "0"]


@pytest.mark.parametrize("seed", range(5))
def test_alt_text_of_a_map_names_the_strongest_weight(seed):
    weights, words = causal(seed=seed), ["zero", "one", "two", "three", "four", "five", "six"]
    alt = plots.attention_map(weights, words, title="Layer 0, head 3").alt_text
    weight, looks, seen = re.fullmatch(
        r"Layer 0, head 3 over 7 tokens; the strongest weight, (\S+), goes from "
        r'"(\w+)" to "(\w+)"\.',
        alt,
    ).groups()
    assert float(weight) == round(float(weights[1:].max()), 2)
    assert weights[words.index(looks), words.index(seen)] == weights[1:].max()


def test_alt_text_of_a_map_of_one_token():
    alt = plots.attention_map_alt([[1.0]], ["<|endoftext|>"])
    assert alt.endswith(
        "over 1 token; the strongest weight, 1.00, goes from the start to the start."
    )


def test_text_is_one_row_of_the_map(written):
    weights = causal()
    axes = plots.attention_text(weights, TOKENS, query=3)
    chips = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.fill]
    red = [
        1 - patch.get_facecolor()[0] for patch in chips
    ]  # of blue on white: none of it is in BLUE
    np.testing.assert_allclose(red, weights[3], atol=1e-6)
    assert sorted(written[:7]) == sorted(["[start]", "Mia", "met", "Tom", ".", "↵", "Mia"])
    assert written[7:] == [f"{weight:.2f}" for weight in weights[3] if weight >= 0.05]


def test_text_breaks_lines_and_stays_inside():
    places, height = attention._lay_out(["Mia", " met", "\n", "Tom", *[" again"] * 40])
    heights = [y for _, y, _, _ in places]
    assert heights[0] == heights[2] < heights[3] < heights[-1] < height
    assert all(x + width <= attention.LINE_WIDTH for x, _, width, _ in places)


def test_alt_text_of_a_text_names_the_largest_weights():
    weights = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0.1, 0.2, 0.05, 0.65]])
    assert plots.attention_text_alt(weights, ["a", " b", " c", " d"], title="Here") == (
        'Here: "d", token 3, looks at "d" with 0.65, at "b" with 0.20, at "a" with 0.10.'
    )


@pytest.mark.parametrize("draw", [plots.attention_map, plots.attention_text])
@pytest.mark.parametrize(
    ("weights", "query", "message"),
    [
        (np.eye(6), 0, r"for 7 tokens. Received: \(6, 6\)"),
        (np.eye(7)[None], 0, r"Received: \(1, 7, 7\)"),
        (np.zeros((0, 7)), 6, r"Received: \(0, 7\)"),
        (np.eye(7), 7, "one of 0 to 6. Received: 7"),
        (np.eye(7)[-2:], 1, "one of 5 to 6. Received: 1"),
    ],
)
def test_wrong_weights_are_refused(draw, weights, query, message):
    with pytest.raises(ValueError, match=message):
        draw(weights, TOKENS, query=query)


# === All heads ===


def test_grid_holds_every_map_in_its_place():
    weights = causal(2, 3)
    axes = plots.attention_grid(list(weights), selected=(1, 2))
    mosaic, step = image_of(axes).get_array(), 8  # seven tokens and a gap
    for layer, head in np.ndindex(2, 3):
        cell = mosaic[layer * step :, head * step :][:7, :7]
        expected = style.COLORS(np.ma.masked_equal(weights[layer, head], 0))
        np.testing.assert_allclose(cell, expected)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["head 0", "head 1", "head 2"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["layer 0", "layer 1"]
    (frame,) = axes.patches
    assert frame.get_xy() == (15.5, 7.5)
    assert axes.alt_text.endswith(
        "2 layers with 3 heads each, over 7 tokens; layer 1, head 2 is framed."
    )


def test_grid_refuses_one_map():
    with pytest.raises(ValueError, match=r"\(layers, heads, q, k\). Received: \(7, 7\)"):
        plots.attention_grid(causal())


def test_head_scores_show_numbers_and_name_the_extremes():
    axes = plots.head_scores([[0.1, 0.25], [0.874, 0.3]], title="Copying", selected=[(1, 0)])
    assert [text.get_text() for text in axes.texts] == ["0.10", "0.25", "0.87", "0.30"]
    assert image_of(axes).get_clim() == (0, 1)
    assert axes.alt_text == (
        "Copying: 2 layers with 2 heads each; "
        "from 0.10 for layer 0, head 0 to 0.87 for layer 1, head 0."
    )
    assert len(axes.patches) == 1


@pytest.mark.parametrize("scores", [[0.1, 0.2], [[]], [[1.2]], [[-0.1]], [[np.nan]]])
def test_wrong_scores_are_refused(scores):
    with pytest.raises(ValueError, match="`scores` must be"):
        plots.head_scores(scores)


# === The next token ===

PROBABILITIES = [0.05, 0.5, 0.15, 0.2, 0.1]
WORDS = [" a", " b", " c", " d", "<|endoftext|>"]


def bars_of(container):
    return [round(float(bar.get_width()), 4) for bar in container]


def test_bars_show_the_most_probable_and_all_others():
    axes = plots.next_token_bars(PROBABILITIES, WORDS, bars=3)
    (bars,) = axes.containers
    assert bars_of(bars) == [0.5, 0.2, 0.15, 0.15]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["·b", "·d", "·c", "2 others"]
    assert [text.get_text() for text in axes.texts] == ["50%", "20%", "15%", "15%"]
    assert axes.get_xlim() == (0, 1)
    assert axes.alt_text == ('The next token: "b" 50%, "d" 20%, "c" 15%; the other 2 together 15%.')


def test_bars_stay_in_their_places_when_compared():
    after = [0, 0.25, 0, 0.75, 0]
    axes = plots.next_token_bars(after, WORDS, before=PROBABILITIES, names=("all", "kept"))
    grey, blue = axes.containers
    assert bars_of(grey) == [0.5, 0.2, 0.15, 0.1, 0.05]
    assert bars_of(blue) == [0.25, 0.75, 0, 0, 0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["all", "kept"]
    # Beside each pair of bars stand the numbers of both, each in the color of its bar.
    said = [(text.get_text(), text.get_color()) for text in axes.texts]
    assert said[:4] == [("25%", BLUE), ("50%", DARK_GREY), ("75%", BLUE), ("20%", DARK_GREY)]
    assert axes.alt_text == (
        'The next token, kept (all): "b" 25% (50%), "d" 75% (20%), "c" 0% (15%), '
        'the end 0% (10%), "a" 0% (5%).'
    )


@pytest.mark.parametrize("count", [1, 2, 5, 8, 30, 200])
def test_the_names_of_a_map_s_axes_are_inside_the_figure(count):
    for tokens in (["a"] * count, ["<|endoftext|>"] * count):
        axes = plots.attention_map(np.eye(count), tokens)
        axes.figure.to_png()
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) == 2
        for box in boxes:
            assert axes.figure.bbox.x0 <= box.x0 < box.x1 <= axes.figure.bbox.x1
            assert axes.figure.bbox.y0 <= box.y0 < box.y1 <= axes.figure.bbox.y1


def test_nothing_lies_over_a_bar_and_all_is_inside_the_figure():
    """Whatever is long: the last bar, both bars, the names."""
    for after in ([0, 0, 1], [1, 0, 0]):
        names = ("Falcon", "temperature 0.5, top-k 10, top-p 0.9")
        for before in ([1, 0, 0], [0, 0, 1]):
            axes = plots.next_token_bars(after, list("abc"), before=before, names=names)
            axes.figure.to_png()
            legend = axes.get_legend().get_window_extent()
            bars = [bar.get_window_extent() for bars in axes.containers for bar in bars]
            assert not any(legend.overlaps(box) for box in bars if box.width > 1)
            texts = [text.get_window_extent() for text in axes.texts]
            assert not any(a.overlaps(b) for i, a in enumerate(texts) for b in texts[:i])
            for box in [*texts, legend]:
                assert axes.figure.bbox.x0 <= box.x0 < box.x1 <= axes.figure.bbox.x1
                assert axes.figure.bbox.y0 <= box.y0 < box.y1 <= axes.figure.bbox.y1


def test_all_bars_in_the_order_given():
    axes = plots.next_token_bars([0.2, 0.8, 0], ["a child", "b", "c"], bars=None)
    assert bars_of(axes.containers[0]) == [0.2, 0.8, 0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a child", "b", "c"]
    assert axes.alt_text == 'The next token: "a child" 20%, "b" 80%, "c" 0%.'


def test_long_labels_of_bars_are_inside_the_figure():
    tokens = [" a token of so many letters", "w" * 40]
    axes = plots.next_token_bars([0.4, 0.6], tokens)
    axes.figure.to_png()
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels] == ["w" * 27 + "…", "·a token of so many letters"]
    assert min(label.get_window_extent().x0 for label in labels) >= 0


def test_alt_text_of_bars_leaves_out_what_is_negligible():
    """Its order differs between machines; what is left is said as one sum."""
    probabilities = np.array([0.004, 0.6, 0.003, 0.39, 0.003])
    assert plots.next_token_bars_alt(probabilities, WORDS) == (
        'The next token: "b" 60%, "d" 39%; the other 3 together 1%.'
    )
    flat = np.full(200, 1 / 200)
    assert plots.next_token_bars_alt(flat, ["a"] * 200) == (
        "The next token: the other 200 together 100%."
    )


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [([0.5, 0.5], r"must have shape \(5,\)"), ([0.5] * 5, "must sum to 1. Received: 2.5")],
)
def test_wrong_probabilities_are_refused(probabilities, message):
    with pytest.raises(ValueError, match=message):
        plots.next_token_bars(probabilities, WORDS)


# === What they share ===


@pytest.mark.filterwarnings("error")
def test_any_token_can_be_drawn():
    """No formula is read into dollars, and no glyph is missed."""
    tokens = ["$x", "$^_", "\\xf0", "🦅", "漢字", "\t", " ", "", "\x00", "\\$"]
    weights = np.eye(len(tokens))
    for draw in (plots.attention_map, plots.attention_text):
        draw(weights, tokens, title="$x$ and 5$").figure.to_png()
    uniform = np.full(len(tokens), 1 / len(tokens))
    plots.next_token_bars(uniform, tokens, title="$x$").figure.to_png()
    assert plots.token_labels(["🦅", "漢字", "  a b\t"]) == ["U+1F985", "U+6F22U+5B57", "··a b→"]


def test_figure_is_a_png_with_its_alt_text():
    figure = plots.attention_map(causal(), TOKENS).figure
    data, metadata = figure._repr_mimebundle_()
    assert figure.to_png().startswith(b"\x89PNG")
    assert data["image/png"].startswith("iVBORw0KGgo")
    assert data["text/plain"] == figure.alt_text == metadata["image/png"]["alt"]
    assert 200 < metadata["image/png"]["width"] < 800


def test_long_title_is_inside_the_figure():
    axes = plots.head_scores([[0.5]], title="A title that is much wider than the picture under it")
    axes.figure.draw_without_rendering()
    extent = axes._left_title.get_window_extent()
    assert 2 * axes.bbox.width < extent.x1 < axes.figure.bbox.x1


def test_drawing_on_given_axes():
    """Two maps side by side in a figure of one's own."""
    left, right = Figure().subplots(1, 2)
    assert plots.attention_map(causal(), TOKENS, ax=left) is left
    assert plots.attention_grid(causal(1, 1), ax=right) is right
    assert left.alt_text != right.alt_text


def test_nothing_leaks_into_pyplot():
    code = (
        "import sys; import numpy as np; from falcon_edu import plots;"
        "plots.attention_map(np.eye(2), ['a', 'b']).figure.to_png();"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("weight", np.linspace(0, 1, 41))
def test_letters_can_be_read_on_every_color(weight):
    """Numbers on the scale and words on blue keep a contrast of at least 4.5 to 1."""

    def luminance(rgb):
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    blue = 1 - weight * (1 - np.array(to_rgb(style.BLUE)))
    for paper in (style.COLORS(weight)[:3], blue):
        lights = sorted((luminance(paper), luminance(to_rgb(style.ink_on(paper)))))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) > 4.5
