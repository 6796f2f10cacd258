"""Share among all pictures: colors, the figure with its alt text, how tokens are written."""

import base64
import functools
import io
import itertools
import unicodedata

import matplotlib.figure
import numpy as np
from matplotlib import colormaps, font_manager, ft2font, patches
from matplotlib.colors import to_rgb
from matplotlib.path import Path
from matplotlib.textpath import TextPath

COLORS = colormaps["viridis"].with_extremes(bad="#eeeeee")  # grey where nothing can be
BLUE, ORANGE, GREY, INK = "#0072b2", "#d55e00", "#c4c4c4", "#222222"  # Okabe and Ito's, and greys
SERIES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]  # Okabe and Ito's
DIVERGING = colormaps["PuOr"]  # safe for color-blind readers too
DPI = 120  # one and a quarter pixels for each of a page's: sharp, and light enough for a notebook
BOUNDARY = "<|endoftext|>"
MOST_UNKNOWN = 3  # letters that the font lacks, each written by its code point


# === Figures ===


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook shows, with its alt text. Unlike pyplot's, it leaves nothing behind.

    Args:
        width, height: in inches.

    Example:

    >>> axes = Figure(3, 2).add_subplot()
    >>> axes.alt_text = "Nothing yet."
    >>> axes.figure.alt_text
    'Nothing yet.'
    """

    def __init__(self, width, height):
        super().__init__(figsize=(width, height), dpi=DPI, facecolor="white")

    @property
    def alt_text(self):
        """Return what the figure shows, in words."""
        return visible(" ".join(ax.alt_text for ax in self.axes if hasattr(ax, "alt_text")))

    @property
    def page_width(self):
        """Return its width on a page, in the pixels of the page."""
        return round(self.get_figwidth() * 96)

    def to_png(self):
        """Return the figure as the bytes of a PNG."""
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {"image/png": base64.b64encode(self.to_png()).decode(), "text/plain": self.alt_text}
        return data, {"image/png": {"alt": self.alt_text, "width": self.page_width}}


def prepare(ax, title, width, height, left=0.1, right=0.1, top=0.4, bottom=0.1):
    """Return the Axes to draw on, bare but for a title.

    Args:
        ax: Axes, or `None` for new ones; the sizes and margins, in inches, are for new ones.
    """
    title = legible(title)
    if ax is None:
        right = max(right, text_width(title, 11 / 72) + 0.1 - width)  # room for a long title
        total_width, total_height = left + width + right, top + height + bottom
        box = left / total_width, bottom / total_height, width / total_width, height / total_height
        # No layout engine: it draws twice, and a slider should answer at once.
        ax = Figure(total_width, total_height).add_axes(box)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=9, colors=INK)
    ax.set_title(title, loc="left", fontsize=11, color=INK, parse_math=False)
    return ax


def number_axes(ax, x_label, y_label):
    """Give bare Axes two scales of numbers, with what they mean."""
    ax.spines[["left", "bottom"]].set_visible(True)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(length=3, color=GREY)
    ax.set_xlabel(legible(x_label), fontsize=9, color=INK)
    ax.set_ylabel(legible(y_label), fontsize=9, color=INK)


def blank(width, height, title="", alt=""):
    """Empty Axes for a drawing of one's own, in the style of the course.

    Args:
        width, height: of what is drawn, in inches; one unit of the data is one inch.
        title: what stands above it.
        alt: what the drawing shows, in words.

    Returns:
        Axes without ticks, from (0, 0) at the lower left to (width, height).

    >>> blank(4, 2, alt="An empty road.").alt_text
    'An empty road.'
    """
    ax = prepare(None, title, width, height)
    ax.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    ax.alt_text = alt
    return ax


def ink_on(color):
    """Black or white, whichever is easier to read on a color: at least 4.5 to 1 on every one.

    WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
    """
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "white" if linear @ [0.2126, 0.7152, 0.0722] < 0.179 else "black"


def frame(ax, x, y, width, height):
    """Frame what is selected, in the units of the data."""
    rectangle = patches.Rectangle((x, y), width, height, color=ORANGE, linewidth=1.5)
    rectangle.set(fill=False, clip_on=False)
    ax.add_artist(rectangle)


# === Text that is drawn in the units of the data ===


def write(ax, lines, size, color=INK, align=0.0, upwards=False):
    """Write many short texts as one shape: with tick labels a map would take three times as long.

    Args:
        lines: `(x, y, text)`; y grows downwards, and is that of the base line.
        size: of the font.
        align: 0 if the texts start at x, 0.5 if x is their middle, 1 if they end there.
        upwards: whether the texts are turned by 90 degrees.
    """
    shapes, codes = [], []
    for x, y, text in lines:
        if not text.strip():
            continue
        vertices, kinds, width = _shape(text)
        along, across = (vertices[:, 0] - align * width) * size, -vertices[:, 1] * size
        shape = np.stack((across, -along) if upwards else (along, across), axis=1)
        shapes.append(shape + np.array([x, y]))
        codes.append(kinds)
    if shapes:
        path = Path(np.concatenate(shapes), np.concatenate(codes))
        # `add_artist`, for `add_patch` would measure every curve.
        ax.add_artist(patches.PathPatch(path, color=color, linewidth=0, clip_on=False))


def text_width(text, size):
    """Return the width that `write` gives a text."""
    return _shape(text)[2] * size if text.strip() else 0.3 * size


@functools.lru_cache(4096)
def _shape(text):
    if all(map(_is_blank, text)):  # matplotlib has no path without a point
        return np.zeros((0, 2)), np.zeros(0, Path.code_type), 0.3
    path = TextPath((0, 0), text.replace("$", r"\$"), size=1)
    return np.array(path.vertices), np.array(path.codes), float(path.get_extents().x1)


# === Tokens ===


def token_labels(tokens):
    """Return tokens as a picture writes them: white space visible, the mark between texts in words.

    Args:
        tokens: a list of strings, as `record` gives them.

    Returns:
        A list of strings.

    >>> token_labels(["<|endoftext|>", "Once", " upon", "\\n"])
    ['[start]', 'Once', '·upon', '↵']
    """
    return [token_label(token, is_first=i == 0) for i, token in enumerate(tokens)]


def token_label(token, is_first=False):
    """One of `token_labels`."""
    if token == BOUNDARY:
        return "[start]" if is_first else "[end]"
    word = token.lstrip(" ")
    token = "·" * (len(token) - len(word)) + word.replace("\n", "↵").replace("\t", "→")
    return legible(token) or "∅"


def spoken(token, is_first=False):
    """Quote a token as an alt text does."""
    if token == BOUNDARY:
        return "the start" if is_first else "the end"
    if word := token.strip(" \n\t"):
        return f'"{visible(word)}"'
    return "a new line" if "\n" in token else "a space" if token else "nothing"


def legible(text):
    """Return a text as the font can write it: `visible`, with code points for what it lacks.

    Of many such letters in a row the first stands for all: a picture has no room for more.

    >>> legible("a\u200bb 好 こんにちは")
    'aU+200Bb U+597D U+3053…'
    """
    letters = visible(str(text))
    runs = itertools.groupby(letters, key=lambda c: c == "\n" or ord(c) in _glyphs())
    return "".join("".join(run) if is_known else _points(*run) for is_known, run in runs)


def _points(*letters):
    """Write letters by their code points; a box would be the same for all, on every machine."""
    if len(letters) > MOST_UNKNOWN:
        return f"U+{ord(letters[0]):04X}…"
    return "".join(f"U+{ord(letter):04X}" for letter in letters)


def visible(text):
    """Return a text in which everything is to be seen, but spaces and line breaks.

    Characters that show nothing stand by their code points. A mark that stands on no letter gets a
    dotted circle to stand on.

    >>> visible("\ufeffe\u0301"), visible("\u0301")
    ('U+FEFFe\u0301', '◌\u0301')
    """
    written = ""
    for character in text:
        if character in " \n" or (character.isascii() and character.isprintable()):
            written += character
        elif _is_blank(character):
            written += f"U+{ord(character):04X}"
        elif unicodedata.category(character) in ("Mn", "Mc", "Me") and written[-1:] in (
            "",
            " ",
            "\n",
        ):
            written += "◌" + character
        else:
            written += character
    return written


def count(number, noun):
    """Write a number of things: "1 token", "2 tokens"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def list_words(words):
    """Several things in a sentence.

    >>> list_words(["one"]), list_words(["one", "two", "three"])
    ('one', 'one, two and three')
    """
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def percent(probability):
    """Write a probability as whole percents; 0% is nothing at all, and 100% leaves less than 0.01%.

    >>> [percent(p) for p in (0, 0.001, 0.42, 0.999, 1)]
    ['0%', '<1%', '42%', '>99%', '100%']
    """
    text = f"{probability:.0%}"
    if text == "0%" and probability > 0:
        return "<1%"
    return ">99%" if text == "100%" and probability < 0.9999 else text


@functools.lru_cache(4096)
def _is_blank(character):
    """True if a character shows nothing, by what Unicode says of it or by the font."""
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs"):
        return True
    if ord(character) not in _glyphs():
        return False
    _font().load_char(ord(character), flags=ft2font.LoadFlags.NO_HINTING)
    return not len(_font().get_path()[0])


@functools.cache
def _font():
    return ft2font.FT2Font(font_manager.findfont("DejaVu Sans"))


@functools.cache
def _glyphs():
    """Return what the font can write; of anything else matplotlib would warn."""
    return frozenset(_font().get_charmap())
