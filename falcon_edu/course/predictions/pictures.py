"""Small pictures of guesses and truths, as SVG and HTML: they need no kernel and no other file.

Orange is what was guessed, blue is what is true. Every picture has its words beside it.
"""

import html
from collections import Counter
from collections.abc import Sequence
from typing import Any

from falcon_edu.course.predictions.questions import Question

GUESS, TRUTH = "#d55e00", "#0072b2"
LEFT, RIGHT, WIDTH = 60, 330, 420  # of the line, and of the picture
BINS = 10


def line(question: Question, guess: Any = None, truth: Any = None) -> str:
    """Draw a guess over the truth: on a line of numbers, or in the row of the choices."""
    if question.between is None:
        return _choices(question, guess, truth)
    low, high = question.between
    marks = [
        f'<path d="M{LEFT} 24H{RIGHT}" stroke="currentColor"/>',
        _text(LEFT - 4, 28, f"{low:,}", "end"),
        _text(RIGHT + 4, 28, f"{high:,}", "start"),
    ]
    if truth is not None:
        x = _x(question, truth)
        marks.append(f'<path d="M{x} 16v16" stroke="{TRUTH}" stroke-width="4"/>')
        marks.append(_text(x, 46, "truth", "middle"))
    if guess is not None:
        x = _x(question, guess)
        marks.append(f'<circle cx="{x}" cy="24" r="6" fill="{GUESS}"/>')
        marks.append(_text(x, 12, "you", "middle"))
    said = [f"you {question.told(guess)}"] if guess is not None else []
    said += [f"the truth {question.told(truth)}"] if truth is not None else []
    return _picture(50, ", ".join(said), marks)


def told(yours: str, question: Question, guess: Any, truth: Any) -> str:
    """Return a truth and a guess in words, and the picture of both below."""
    said = html.escape(f"The truth: {question.told(truth)}. {yours}")
    return f"<p>{said}</p>{line(question, guess, truth)}"


def row(question: Question, guess: Any, truth: Any) -> str:
    """Return the row of a table: the picture, and the words that go with it."""
    words = f"You: {question.told(guess)}. The truth: {question.told(truth)}."
    asked = f"<b>{html.escape(question.name)}</b> {html.escape(question.text)}"
    picture = line(question, guess, truth)
    return f"<tr><td>{asked}<br>{html.escape(words)}</td><td>{picture}</td></tr>"


def histogram(question: Question, guesses: Sequence[Any], truth: Any = None) -> str:
    """Draw how often each choice was made, or how many numbers lie in each tenth of the line."""
    if question.between is None:
        counted = Counter(guesses)
        rows = [
            f"<tr><td>{html.escape(choice)}{_true(choice == truth)}</td><td>{_bar(counted[choice])}"
            f" {counted[choice]}</td></tr>"
            for choice in question.choices
        ]
        return f"<table>{''.join(rows)}</table>"
    bins = Counter(min(int(question.place(guess) * BINS), BINS - 1) for guess in guesses)
    most, width = max(bins.values(), default=1), (RIGHT - LEFT) / BINS
    marks = []
    for at, count in sorted(bins.items()):
        tall, x = 60 * count / most, LEFT + at * width
        marks.append(
            f'<rect x="{x + 1:.0f}" y="{74 - tall:.0f}" width="{width - 2:.0f}" '
            f'height="{tall:.0f}" fill="{GUESS}"/>'
        )
        marks.append(_text(round(x + width / 2), round(70 - tall), str(count), "middle"))
    low, high = question.between
    marks.append(f'<path d="M{LEFT} 74H{RIGHT}" stroke="currentColor"/>')
    marks += [_text(LEFT, 90, f"{low:,}", "middle"), _text(RIGHT, 90, f"{high:,}", "middle")]
    if truth is not None:
        x = _x(question, truth)
        marks.append(f'<path d="M{x} 4v74" stroke="{TRUTH}" stroke-width="3"/>')
        marks.append(_text(x, 102, "truth", "middle"))
    counts = ", ".join(str(bins[at]) for at in range(BINS))
    return _picture(106, f"guesses in each tenth from {low:,} to {high:,}: {counts}", marks)


def page(title: str, body: str) -> str:
    """Return a page of HTML that needs nothing else."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        "<style>:root { color-scheme: light dark } h2 { font-size: 1em; margin: 2em 0 0 }\n"
        "body { font: 16px/1.5 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }\n"
        "td { padding-right: 1em }"
        f"</style></head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )


def _choices(question, guess, truth):
    """Return the choices in a row: the true one in bold, the guessed one framed."""
    row = []
    for choice in question.choices:
        text = html.escape(choice)
        text = f"<b>{text}</b>{_true(True)}" if choice == truth else text
        frame = f"border:2px solid {GUESS};padding:0 4px"
        row.append(f'<span style="{frame}">{text}</span> (you)' if choice == guess else text)
    return f"<span>{' · '.join(row)}</span>"


def _true(is_true):
    return " ✓" if is_true else ""


def _bar(count):
    width = min(10 * count, 300)
    style = f"display:inline-block;height:0.8em;width:{width}px;background:{GUESS}"
    return f'<span style="{style}"></span>'


def _x(question, number):
    return round(LEFT + (RIGHT - LEFT) * question.place(number))


def _text(x, y, text, anchor):
    look = f'font-size="12" fill="currentColor" text-anchor="{anchor}"'
    return f'<text x="{x}" y="{y}" {look}>{html.escape(text)}</text>'


def _picture(height, said, marks):
    frame = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    said = html.escape(said, quote=True)
    return f'<svg {frame} role="img" aria-label="{said}">{"".join(marks)}</svg>'
