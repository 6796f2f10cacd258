"""Plausible wrong answers to the exercises of notebook 07."""

import numpy as np


def count(config, memory, tokens, number=2, **slips):
    heads = slips.get("heads", config.key_value_heads)
    layers = slips.get("layers", config.num_layers)
    free = memory - slips.get("weights", number) * config.num_parameters
    per_token = slips.get("pair", 2) * layers * heads * config.head_dim
    fit = free / (slips.get("bytes", number) * per_token * tokens)
    fit = fit if slips.get("parts") else fit // 1
    return fit if slips.get("negative") else max(0, fit)


def slip(**slips):
    def answer(config, memory, tokens, number=2):
        known = {key: x(config) if callable(x) else x for key, x in slips.items()}
        return count(config, memory, tokens, number, **known)

    return answer


def cut(probabilities, kept, axis=-1):
    left = np.where(kept, probabilities, 0)
    return left / np.maximum(left.sum(axis=axis, keepdims=True), 1e-30)


def unscaled_cut(probabilities, share):
    return np.where(probabilities >= share * probabilities.max(-1, keepdims=True), probabilities, 0)


def largest(probabilities):
    return probabilities.max(axis=-1, keepdims=True)


def each_alone(pieces):
    for piece in pieces:
        yield piece.decode(errors="replace")


def strict(pieces):
    for piece in pieces:
        yield piece.decode()


def at_the_end(pieces):
    yield b"".join(pieces).decode()


def drops_parts(pieces):
    for piece in pieces:
        if text := piece.decode(errors="ignore"):
            yield text


def waits_for_whole_pieces(pieces):
    held = b""
    for piece in pieces:
        held += piece
        try:
            text = held.decode()
        except UnicodeDecodeError:
            continue
        held = b""
        yield text


def with_empty_texts(pieces):
    held = b""
    for piece in pieces:
        held += piece
        text = held.decode(errors="ignore")
        held = held[len(text.encode()) :]
        yield text


def list_first(pieces):
    return iter([text for text in with_empty_texts(pieces) if text])


def attend(query, key, value, cache, spread=np.repeat, scale=None, old=False, before=False):
    if before:
        new = [np.concatenate([x[None], c]) for c, x in zip(cache, (key, value), strict=True)]
    else:
        new = [np.concatenate([c, x[None]]) for c, x in zip(cache, (key, value), strict=True)]
    shared = len(query) // len(key)
    seen = cache if old and len(cache[0]) else new
    if spread is np.repeat:
        keys, values = (np.repeat(array, shared, axis=1) for array in seen)
    else:
        keys, values = (np.tile(array, (1, shared, 1)) for array in seen)
    scores = np.einsum("nh,knh->nk", query, keys) / (scale or np.sqrt(query.shape[1]))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = powers / powers.sum(axis=1, keepdims=True)
    return np.einsum("nk,knh->nh", weights, values), tuple(new)


def values_first(query, key, value, cache):
    output, new = attend(query, key, value, cache)
    return output, new[::-1]


def keeps_the_old_cache(query, key, value, cache):
    return attend(query, key, value, cache)[0], cache


def over_heads(query, key, value, cache):
    _, (keys, values) = attend(query, key, value, cache)
    shared = len(query) // len(key)
    keys, values = (np.repeat(array, shared, axis=1) for array in (keys, values))
    powers = np.exp(np.einsum("nh,knh->nk", query, keys) / np.sqrt(query.shape[1]))
    weights = powers / powers.sum(axis=0, keepdims=True)
    return np.einsum("nk,knh->nh", weights, values), attend(query, key, value, cache)[1]


WRONG = {
    "users": {
        "forgets the weights": slip(weights=0),
        "one vector for each head": slip(pair=1),
        "one layer": slip(layers=1),
        "the query heads": slip(heads=lambda config: config.num_attention_heads),
        "parts of users": slip(parts=True),
        "two bytes always": slip(bytes=2, weights=2),
        "fewer than none": slip(negative=True),
    },
    "min_p": {
        "the share itself": lambda p, share: cut(p, p >= share),
        "leaves out the edge": lambda p, share: cut(p, p > share * largest(p)),
        "does not scale": unscaled_cut,
        "the largest of all rows": lambda p, share: cut(p, p >= share * p.max()),
        "keeps what is below": lambda p, share: cut(p, p <= share * largest(p)),
    },
    "characters": {
        "each piece alone": each_alone,
        "fails on parts": strict,
        "waits for the end": at_the_end,
        "drops parts": drops_parts,
        "waits for whole pieces": waits_for_whole_pieces,
        "empty texts": with_empty_texts,
        "reads everything first": list_first,
    },
    "step": {
        "heads take turns": lambda *given: attend(*given, spread=np.tile),
        "no scale": lambda *given: attend(*given, scale=1),
        "does not see itself": lambda *given: attend(*given, old=True),
        "the new one in front": lambda *given: attend(*given, before=True),
        "values first": values_first,
        "keeps the old cache": keeps_the_old_cache,
        "softmax over heads": over_heads,
        "no cache": lambda *given: attend(*given)[0],
    },
}
