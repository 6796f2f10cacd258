"""Measure how well a model tells tales: cross-entropy against the grammar's own, and facts."""

from collections import defaultdict

from falcon_edu.inside.activations import pad_to_bucket
from falcon_edu.support.inputs import encode

import numpy as np

# The kinds of facts whose word is the name of a child or of a thing.
NAMES_AND_OBJECTS = ("name", "receiver", "holder", "object")


def evaluate_on_tales(causal_lm, tales, batch_size=8):
    """Compare a model with the grammar that the tales were drawn from.

    Args:
        causal_lm: a `FalconCausalLM` with a preprocessor.
        tales: a list of `Tale`.
        batch_size: number of tales in one forward pass.

    Returns:
        A dictionary: `tales` and `tokens`, counts; `cross_entropy` of the model and
        `grammar_entropy`, the least that any model can reach, in nats per token; `ratio` of the
        two; `facts`, `{kind: [right, all]}`: how often the model puts the word first where the
        grammar leaves exactly one; `facts_right`, the share over all kinds; and
        `names_and_objects_right`, the share over those that take a look back.

    Example:

    >>> from falcon_edu import FalconCausalLM
    >>> from falcon_edu.corpora import tales
    >>> falcon = FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> results = evaluate_on_tales(falcon, tales(20, split="held_out"))
    >>> 1 < results["ratio"] < 1.4
    True
    """
    nats, tokens = 0.0, 0
    facts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for tale, log_probs, right in read_tales(causal_lm, tales, batch_size):
        nats -= log_probs.sum()
        tokens += len(log_probs)
        spans = [(fact.start, fact.end) for fact in tale.facts]
        for fact, (is_right, _) in zip(
            tale.facts, spans_right(causal_lm, tale.text, spans, right), strict=True
        ):
            facts[fact.kind][0] += is_right
            facts[fact.kind][1] += 1
    grammar_entropy = -sum(tale.log_prob for tale in tales) / tokens
    return {
        "tales": len(tales),
        "tokens": tokens,
        "cross_entropy": float(nats / tokens),
        "grammar_entropy": float(grammar_entropy),
        "ratio": float(nats / tokens / grammar_entropy),
        "facts": {kind: facts[kind] for kind in sorted(facts)},
        "facts_right": _share(facts, facts),
        "names_and_objects_right": _share(facts, NAMES_AND_OBJECTS),
    }


def read_tales(causal_lm, tales, batch_size=8):
    """Read tales, or anything with a `text`, with a model.

    Args:
        causal_lm, tales, batch_size: as `evaluate_on_tales` takes them.

    Yields:
        `(tale, log_probs, right)`: for each token of the text and the end token, the natural
        logarithm of its probability, and whether it is the likeliest.
    """
    for start in range(0, len(tales), batch_size):
        batch = tales[start : start + batch_size]
        token_ids, lengths = _encode(causal_lm, batch)
        log_probs = _log_probs(causal_lm, token_ids)  # (b, t, v)
        for row, tale in enumerate(batch):
            labels = token_ids[row, 1 : lengths[row]]
            told = log_probs[row, : len(labels)]
            yield tale, told[np.arange(len(labels)), labels], told.argmax(-1) == labels


def spans_right(causal_lm, text, spans, right):
    """Say of parts of a text whether each of their tokens is right, and how many these are.

    Args:
        causal_lm: a `FalconCausalLM` with a preprocessor.
        text: the text.
        spans: `[(start, end)]`, in characters.
        right: for each token of the text, true or false.

    Returns:
        `[(is right, number of tokens)]`.
    """
    offsets = causal_lm.preprocessor.tokenizer.offsets(text)
    found = []
    for start, end in spans:
        inside = [i for i, (begins, ends) in enumerate(offsets) if begins < end and ends > start]
        found.append((bool(right[inside].all()), len(inside)))
    return found


def evaluation_table(results):
    """Write the results of several models as lines of text.

    Args:
        results: `{name: what evaluate_on_tales returned}`.

    Returns:
        A string with a line for each model, then one for each model's kinds of facts.
    """
    lines = [
        f"{'model':22} {'nats/token':>10} {'grammar':>8} {'ratio':>6} "
        f"{'facts right':>12} {'names, objects':>15}"
    ]
    for name, result in results.items():
        lines.append(
            f"{name:22} {result['cross_entropy']:10.4f} {result['grammar_entropy']:8.4f} "
            f"{result['ratio']:6.3f} {result['facts_right']:12.1%} "
            f"{result['names_and_objects_right']:15.1%}"
        )
    for name, result in results.items():
        kinds = (f"{kind} {r / n:.1%} of {n}" for kind, (r, n) in result["facts"].items())
        lines.append(f"{name}: {', '.join(kinds)}")
    return "\n".join(lines)


def _share(facts, kinds):
    counts = [facts[kind] for kind in kinds if kind in facts]
    return sum(right for right, _ in counts) / max(1, sum(n for _, n in counts))


def _encode(causal_lm, tales):
    """Start token, text and end token of each tale: ids `(b, t)` and the lengths."""
    tokenizer = causal_lm.preprocessor.tokenizer
    inputs = encode(causal_lm, [tale.text for tale in tales])
    lengths = inputs["padding_mask"].sum(-1) + 1
    token_ids = np.pad(inputs["token_ids"], ((0, 0), (0, 1)))
    token_ids[np.arange(len(tales)), lengths - 1] = tokenizer.end_token_id
    return token_ids, lengths


def _log_probs(causal_lm, token_ids):
    inputs = {"token_ids": token_ids, "padding_mask": np.ones_like(token_ids)}
    # Padded, so that batches of similar lengths share what is compiled.
    logits = causal_lm.predict_on_batch(pad_to_bucket(inputs))[:, : token_ids.shape[1]]
    logits = np.array(logits, dtype="float32")
    logits -= logits.max(-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    return logits
