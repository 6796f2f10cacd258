"""Measures how well models tell tales of the open world, on what they were never trained on.

    python tools/evaluate_tales.py                      # the presets that ship
    python tools/evaluate_tales.py FOLDER [FOLDER ...]  # presets in folders
    python tools/evaluate_tales.py FOLDER --tell 20     # and shows continuations of beginnings
    python tools/evaluate_tales.py --milestones         # the RW on its way, and where that leads

The columns are models, the rows what they shall do, beside each what is aimed at.
"""

import argparse
import json
import random
from functools import cache
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import falcon_edu
from falcon_edu import FalconCausalLM, patterns
from falcon_edu.corpora import (
    HELD_OUT_NAMES,
    names_in,
    sentences_told,
    tale_stream,
    tales,
    words,
)
from falcon_edu.evaluation import evaluate_on_tales, read_tales, spans_right
from falcon_edu.inside.milestones import milestones

import numpy as np

SHIPPED = ("falcon_tales_rw_en", "falcon_tales_7b_en", "falcon_tales_40b_en")
BEGINNINGS = Path(__file__).with_name("beginnings.txt")
OF_PEOPLE = {"name", "receiver", "holder", "away"}

# What is measured, and what is aimed at: at most for the first, at least for all others.
GOALS = {
    "cross-entropy over the grammar's own": 1.06,
    "forced words right": 0.97,
    "... who holds a thing": 0.90,
    "held-out names right": 0.95,
    "... of four pieces and more": 0.90,
    "new words right": 0.95,
    "beginnings whose names are kept": 0.95,
    "sentences after them that can be told": 0.95,
    "random lists continued": 0.90,
    "best previous-token head": 0.5,
    "best first-token head": 0.5,
    "best induction head": 0.5,
    "best name mover": 0.5,
}


def evaluate(causal_lm, count=300):
    """Measure all rows of the table.

    Args:
        causal_lm: a `FalconCausalLM` with a preprocessor.
        count: how many tales are read; other numbers follow from it.

    Returns:
        `{row: value}`.
    """
    told = evaluate_on_tales(causal_lm, held_out(count))
    right_holders, all_holders = told["facts"].get("holder", [0, 0])
    names, long_names = held_out_names_right(causal_lm, count // 2)
    kept, sentences = beginnings_kept(causal_lm, read_beginnings("held out"))
    values = (
        told["ratio"],
        told["facts_right"],
        right_holders / all_holders if all_holders else float("nan"),
        names,
        long_names,
        new_words_right(causal_lm, count // 5),
        kept,
        sentences,
        lists_continued(causal_lm, count // 10),
        *best_heads(causal_lm, count // 10),
    )
    return dict(zip(GOALS, values, strict=True))


def share(judged):
    """Return the share that is true; not a number where there are none."""
    return float(np.mean(judged)) if len(judged) else float("nan")


@cache
def held_out(count, names=False):
    """Return tales that no model was trained on, with held-out names if asked for."""
    return tales(count, seed=1, split="held_out", held_out_names=names)


# === Names and words that are new ===


def held_out_names_right(causal_lm, count):
    """Return the share of forced names that are right in all pieces, and of those of four and more.

    The names are real ones that no tale in training has.
    """
    last_words = {name.rpartition(" ")[2] for name in HELD_OUT_NAMES}
    judged = []
    for tale, _, right in read_tales(causal_lm, held_out(count, names=True)):
        spans = [
            (fact.start, fact.end)
            for fact in tale.facts
            if fact.kind in OF_PEOPLE and fact.answer in last_words
        ]
        judged += spans_right(causal_lm, tale.text, spans, right)
    return share([yes for yes, _ in judged]), share([yes for yes, n in judged if n >= 4])


def new_words_right(causal_lm, count):
    """Return the share of forced words that are right in all pieces, where none was ever read."""
    told = with_new_words(count)
    return share(
        [
            yes
            for tale, _, right in read_tales(causal_lm, told)
            for yes, _ in spans_right(causal_lm, tale.text, tale.spans, right)
        ]
    )


@cache
def with_new_words(count):
    """Return tales with an invented word in them, each with another that no tale has."""
    found = (
        (tale, fact.answer.lower())
        for tale in tale_stream(seed=3, split=None)
        for fact in tale.facts[:1]
        if fact.kind == "object" and fact.answer.lower() in words.INVENTED
    )
    new = iter(words.HELD_OUT_WORDS * (1 + count // len(words.HELD_OUT_WORDS)))
    return [renamed(tale, word, next(new)) for tale, word in islice(found, count)]


def renamed(tale, word, new):
    """Return the tale with a word in place of another, and where that is forced.

    Returns:
        An object with `text` and `spans`, `[(start, end)]`.
    """
    text, spans = tale.text, []
    for old, other in ((word, new), (word.capitalize(), new.capitalize())):
        text = text.replace(old, other)
    for fact in tale.facts:
        if fact.answer.lower() == word:
            before = tale.text[: fact.start].lower().count(word)
            start = fact.start + before * (len(new) - len(word))
            spans.append((start, start + len(new)))
    return SimpleNamespace(text=text, spans=spans)


# === Beginnings of readers ===


def read_beginnings(part):
    """Return `[(beginning, names)]` of "development" or "held out"."""
    lines = BEGINNINGS.read_text(encoding="utf-8").partition(f"# {part}\n")[2]
    rows = [line.partition("|") for line in lines.partition("#")[0].splitlines() if line]
    return [
        (text.strip(), [n.strip() for n in names.split(",") if n.strip()])
        for text, _, names in rows
    ]


def continuations(causal_lm, beginnings, length=140):
    """Return how a model goes on from beginnings, as whole texts; the same every time."""
    causal_lm.compile(sampler=falcon_edu.samplers.TopKSampler(k=5, seed=0))
    return causal_lm.generate([text for text, _ in beginnings], max_length=length)


def beginnings_kept(causal_lm, beginnings):
    """Return the share of beginnings whose names are kept, and of sentences that can be told."""
    kept, told = [], []
    texts = continuations(causal_lm, beginnings)
    for (beginning, names), text in zip(beginnings, texts, strict=True):
        after, are_kept = judge(beginning, text)
        told += after
        if names:
            kept.append(are_kept)
    return share(kept), share(told)


def judge(beginning, text):
    """Say how a text goes on from its beginning.

    Args:
        beginning: what a reader wrote.
        text: the beginning and what a model made of it.

    Returns:
        For each whole sentence after the beginning, whether the grammar can tell it there; and
        whether no name is replaced: none that is new comes in a sentence that can't be told.
    """
    told, are_kept = [], True
    for sentence in sentences_told(text):
        words_of_it = text[sentence.start : sentence.end]
        if sentence.end <= len(beginning) or words_of_it[-1:] not in '.!?"':
            continue
        if sentence.start >= len(beginning):
            told.append(sentence.is_told)
        if not sentence.is_told:
            new = set(names_in(words_of_it)) - set(names_in_all(text[: sentence.start]))
            is_the_readers = sentence.start < len(beginning) and beginning[-1] not in '.!?"'
            are_kept &= is_the_readers or not new
    return told, are_kept


def names_in_all(text):
    """Return the names in a text of several sentences."""
    return [name for s in sentences_told(text) for name in names_in(text[s.start : s.end])]


# === Lists and heads ===


def lists_continued(causal_lm, count, size=20):
    """Return the share of words that are right where a list of random words is said again."""
    draw = random.Random(0)
    judged = []
    told = []
    for number in range(count):
        separator = " " if number % 2 else ", "
        said = separator.join(draw.sample(words.LISTS["anything"].entries, size))
        told.append(SimpleNamespace(text=f"{said}. {said}.", said=said, separator=separator))
    for tale, _, right in read_tales(causal_lm, told):
        spans, start = [], len(tale.said) + 2
        for word in tale.said.split(tale.separator):
            spans.append((start, start + len(word)))
            start += len(word) + len(tale.separator)
        # Nothing tells that the list begins again but its first word.
        judged += [yes for yes, _ in spans_right(causal_lm, tale.text, spans[1:], right)]
    return share(judged)


def best_heads(causal_lm, count):
    """Return the best score of a head at each pattern.

    Returns:
        The scores of the token before, the first token, induction on random lists, and the name
        that must come.
    """
    middling = (tale for tale in held_out(count * 10) if 200 < len(tale.text) < 400)
    told = list(islice(middling, count))
    seen = falcon_edu.record(causal_lm, [tale.text for tale in told])
    again = falcon_edu.record(causal_lm, random_lists(causal_lm, count))
    ids, real = seen.token_ids, seen.padding_mask
    tables = (
        (seen, patterns.previous_token(ids), real),
        (seen, patterns.first_token(ids), real),
        (again, patterns.induction(again.token_ids), again.padding_mask),
        (seen, name_that_must_come(causal_lm, told, ids.shape), real),
    )
    return [
        float(patterns.pattern_scores(run.attention_weights, table, mask).max())
        for run, table, mask in tables
    ]


def random_lists(causal_lm, count, size=20):
    """Return lists of random words that are said twice, as the grammar tells them.

    The words are of one token, so that no head scores within a word.
    """
    tokenizer = causal_lm.preprocessor.tokenizer
    content = [w for w in sorted(words.CONTENT_WORDS) if len(tokenizer.tokenize(" " + w)) == 1]
    draw = random.Random(0)
    halves = [" ".join(draw.sample(content, size)) for _ in range(count)]
    return [f"{half}. {half}." for half in halves]


def name_that_must_come(causal_lm, told, shape):
    """Return the pattern of heads that look at the name that must come, `(b, q, k)` bool.

    The queries are the tokens before forced names, the keys the tokens of these names before.
    """
    pattern = np.zeros((*shape, shape[1]), dtype=bool)
    for row, tale in enumerate(told):
        offsets = causal_lm.preprocessor.tokenizer.offsets(tale.text)
        for fact in tale.facts:
            if fact.kind not in OF_PEOPLE:
                continue
            # The start token has place 0, so the token before a place has its number.
            query = next(i for i, (_, end) in enumerate(offsets) if end > fact.start)
            start = tale.text.find(fact.answer)
            while start < fact.start:
                end = start + len(fact.answer)
                keys = [1 + i for i, (a, b) in enumerate(offsets) if a < end and b > start]
                pattern[row, query, keys] = True
                start = tale.text.find(fact.answer, end)
    return pattern


# === What more training would buy ===

BEYOND = (100e6, 200e6, np.inf)  # tokens
LARGEST = 2.0  # a falling curve's exponent


def fitted(tokens, values):
    """Fit `bound + factor * tokens**-exponent` to values, by least squares of relative errors.

    Args:
        tokens: how many tokens were read, `(n,)`.
        values: what was measured then, `(n,)`.

    Returns:
        A function from tokens to the value; at infinity it is the bound.
    """
    tokens, values = np.asarray(tokens, dtype=float), np.asarray(values, dtype=float)
    bound, factor, exponent, least = np.nan, np.nan, np.nan, np.inf
    for tried in np.arange(0.05, LARGEST, 0.01):
        terms = np.stack([np.ones(len(tokens)), tokens**-tried], axis=1)
        found = np.linalg.lstsq(terms / values[:, None], np.ones(len(values)), rcond=None)[0]
        error = np.square(terms @ found / values - 1).sum()
        if error < least:
            (bound, factor), exponent, least = found, tried, error
    return lambda read: bound + factor * np.asarray(read, dtype=float) ** -exponent


def on_the_way(count):
    """Measure the milestones of the RW, and say where they lead.

    Returns:
        `{column: what evaluate returned}`; the columns behind the last milestone have the ratio
        that the curve through all of them reaches there, and nothing else.
    """
    reached = {tokens: evaluate(model, count) for tokens, model in milestones()}
    row = next(iter(GOALS))
    curve = fitted(list(reached), [values[row] for values in reached.values()])
    nothing = dict.fromkeys(GOALS, float("nan"))
    results = {f"{tokens / 1e6:.0f}M": values for tokens, values in reached.items()}
    names = [f"(at {t / 1e6:.0f}M)" if np.isfinite(t) else "(at no end)" for t in BEYOND]
    led_to = [{**nothing, row: value} for value in curve(BEYOND).tolist()]
    return results | dict(zip(names, led_to, strict=True))


# === Printing ===


def table(results):
    """Write the results of several models as lines of text.

    Args:
        results: `{model: what evaluate returned}`.
    """
    width = max(map(len, GOALS))
    lines = [" " * width + "    goal" + "".join(f"{name[-14:]:>16}" for name in results)]
    for row, goal in GOALS.items():
        form = ".3f" if goal > 1 else ".1%"
        values = "".join(
            f"{'' if np.isnan(result[row]) else format(result[row], form):>16}"
            for result in results.values()
        )
        lines.append(f"{row:{width}}{format(goal, form):>8}{values}")
    return "\n".join(lines)


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", default=SHIPPED, help="ids or folders")
    parser.add_argument("--count", type=int, default=300, help="of tales that are read")
    parser.add_argument("--tell", type=int, default=0, metavar="N", help="show N continuations")
    parser.add_argument("--milestones", action="store_true", help="of the RW, in place of presets")
    parser.add_argument("--json", type=Path, help="a file to write the results into")
    arguments = parser.parse_args()
    results = {}
    if arguments.milestones:
        arguments.presets, results = (), on_the_way(arguments.count)
    for preset in arguments.presets:
        name = Path(preset).name
        causal_lm = FalconCausalLM.from_preset(preset)
        results[name] = evaluate(causal_lm, arguments.count)
        if arguments.tell:
            for text in continuations(causal_lm, read_beginnings("held out")[: arguments.tell]):
                print(f"{name}: {text}\n")
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
