"""Generation: from prompts to continuations.

The prompts of a batch are aligned to end in the same column, shorter ones with padding in front.
So one forward pass can read all of them (prefill), and then all grow in one column (decode). Short
ones are read by the loop itself, which then follows the prompts before it chooses.

    column     0  1  2  3 | 4  5  6
    prompt 1   a  b  c  d | e  f  g
    prompt 2   .  .  w  x | y  z
"""

import copy

from falcon_edu.fast.dense import values_with_bits
from falcon_edu.generation import samplers
from falcon_edu.generation.decoding import DecodingLoop
from falcon_edu.support.datasets import is_dataset, iterated, unpack
from falcon_edu.support.inputs import encode, tokenizer_of

import numpy as np


class Run:
    """One batch of prompts on its way through the compiled loop, on demand.

    Args:
        model: a `FalconCausalLM`.
        prompts: `{"token_ids": (b, t), "padding_mask": (b, t)}`, NumPy; padding may stand anywhere.
        max_length: number of tokens of prompt and continuation together.
        stop_token_ids: ids that end a continuation.
    """

    def __init__(self, model, prompts, max_length, stop_token_ids):
        self.model = model
        self.loop = loop_of(model)
        self.max_length = max_length
        self.stop_token_ids = np.array(stop_token_ids, "int32")
        self.pad_token_id = getattr(tokenizer_of(model), "pad_token_id", 0)
        aligned = align(prompts)
        self.lengths = aligned["padding_mask"].sum(axis=1)  # (b,)
        self.start = aligned["token_ids"].shape[1]  # the first column after the prompts
        ends = self.start + max_length - self.lengths  # (b,)
        self.end = int(ends.max())
        # A row without room writes its unused choice somewhere too: behind everything.
        capacity = round_up(max(self.end, self.start + 1))
        self.state = self.loop.initial_state(aligned, self.start, ends.astype("int32"), capacity)
        unread = self.start - 1  # the loop begins with the last token of the prompts
        weights = self.weights
        rows = len(self.state["rows"]["ends"])
        if not self.is_finished and not self.loop.reads_by_itself(weights, rows, unread):
            width = min(round_up(unread), capacity)
            self.state = self.loop.prefill(weights, self.state, width=width)

    def decode(self, until):
        """Append tokens up to the column `until`, or until every row is finished."""
        sampler = self.model.sampler
        seeds, self.state = self.loop.decode(
            self.weights,
            # From NumPy: what a program returned may be bound to its devices, and what it got the
            # first time was not. Then the second call would compile it again.
            [np.asarray(variable.value) for variable in sampler.variables],
            self.state,
            np.int32(until),
            self.stop_token_ids,
        )
        for variable, seed in zip(sampler.variables, seeds, strict=True):
            variable.assign(seed)

    @property
    def weights(self):
        """The values of the variables that the loop computes with."""
        return values_with_bits(self.loop.model or self.model.backbone)

    @property
    def is_finished(self):
        """True if no row can grow any more."""
        # NumPy's own: `np.all` of JAX's array would have JAX compile a program.
        return bool(np.asarray(self.state["rows"]["finished"]).all())

    def tokens(self, column):
        """Return the ids in a column, `(b,)`."""
        return np.array(self.state["rows"]["token_ids"])[:, column]

    def outputs(self, strip_prompt=False):
        """Return what was generated, with the padding behind.

        Args:
            strip_prompt: whether to leave the prompts out.

        Returns:
            `{"token_ids": (b, max_length), "padding_mask": (b, max_length)}`, NumPy. Beam search
            that returns all beams gives `(b, beams, max_length)`, and `"log_probs"` `(b, beams)`.
        """
        rows = {key: np.array(self.state["rows"][key]) for key in ("token_ids", "padding_mask")}
        beams = len(rows["token_ids"]) // len(self.lengths)
        first = self.start - (0 if strip_prompt else 1) * self.lengths  # (b,)
        columns = np.repeat(first, beams)[:, None] + np.arange(self.max_length)  # (b * beams, t)
        inside = columns < rows["token_ids"].shape[1]
        columns = np.where(inside, columns, 0)
        real = np.take_along_axis(rows["padding_mask"], columns, axis=1) & inside
        token_ids = np.take_along_axis(rows["token_ids"], columns, axis=1)
        outputs = {
            "token_ids": np.where(real, token_ids, self.pad_token_id).astype("int32"),
            "padding_mask": real,
        }
        if "log_probs" not in self.state:
            return outputs
        outputs = {key: x.reshape(-1, beams, self.max_length) for key, x in outputs.items()}
        if self.model.sampler.return_all_beams:
            return {**outputs, "log_probs": np.array(self.state["log_probs"])}
        return {key: x[:, 0] for key, x in outputs.items()}  # beams are sorted, best first


def generate(model, inputs, max_length=None, stop_token_ids="auto", strip_prompt=False):
    """`FalconCausalLM.generate`, which documents it."""
    if is_dataset(inputs):
        batches = (
            generate(model, unpack(batch)[0], max_length, stop_token_ids, strip_prompt)
            for batch in iterated(inputs)
        )
        return _joined(batches)
    prompts, max_length, stop_token_ids = _prepare(model, inputs, max_length, stop_token_ids)
    if (step := model.own_step()) is not None:
        outputs = _step(step, prompts, max_length, stop_token_ids, strip_prompt)
    else:
        run = Run(model, prompts, max_length, stop_token_ids)
        run.decode(run.end)
        outputs = run.outputs(strip_prompt)
    if isinstance(inputs, dict):
        return outputs
    texts = _texts(model, outputs)
    return texts[0] if isinstance(inputs, (str, bytes)) else texts


def _joined(batches):
    """Return what several batches gave as if they had been one."""
    outputs = list(batches)
    if not outputs:
        raise ValueError("Inputs must hold at least one text. Received an empty dataset.")
    if isinstance(outputs[0], dict):
        widths = {key: max(x[key].shape[1] for x in outputs) for key in outputs[0]}
        return {
            key: np.concatenate([_widened(x[key], width) for x in outputs])
            for key, width in widths.items()
        }
    return [text for x in outputs for text in ([x] if isinstance(x, str) else x)]


def _widened(array, width):
    """Return an array `(b, t, ...)` with zeros behind, up to a width."""
    behind = [(0, 0)] * array.ndim
    behind[1] = (0, width - array.shape[1])
    return np.pad(array, behind)


def generate_step(model, inputs, stop_token_ids=None):
    """`FalconCausalLM.generate_step`, which documents it."""
    prompts, length, ids = _prepare(model, dict(inputs), None, stop_token_ids)
    run = Run(model, prompts, length, ids)
    run.decode(run.end)
    return run.outputs()


def _step(step, prompts, max_length, stop_token_ids, strip_prompt):
    """Have a user's own function continue prompts, padded behind to `max_length`."""
    aligned = align(prompts)
    lengths = aligned["padding_mask"].sum(axis=1)  # (b,)
    columns = aligned["token_ids"].shape[1] - lengths[:, None] + np.arange(max_length)  # (b, t)
    real = np.arange(max_length) < lengths[:, None]
    columns = np.where(real, columns, 0)
    ids = np.where(real, np.take_along_axis(aligned["token_ids"], columns, axis=1), 0)
    stops = [int(i) for i in stop_token_ids]
    grown = step({"token_ids": ids, "padding_mask": real}, stop_token_ids=stops or None)
    outputs = {key: np.asarray(value) for key, value in grown.items()}
    if not strip_prompt:
        return outputs
    behind = lengths[:, None] + np.arange(max_length)
    inside = behind < max_length
    behind = np.where(inside, behind, 0)
    mask = np.take_along_axis(outputs["padding_mask"], behind, axis=1).astype("bool") & inside
    ids = np.take_along_axis(outputs["token_ids"], behind, axis=1)
    return {"token_ids": np.where(mask, ids, 0), "padding_mask": mask}


def stream(model, prompt, max_length=None, stop_token_ids="auto"):
    """`FalconCausalLM.stream`, which documents it."""
    if not isinstance(prompt, str):
        raise ValueError(f"`stream` continues one text. Received: {type(prompt).__name__}")
    if isinstance(model.sampler, samplers.BeamSampler):
        raise ValueError(
            "Beam search may change its mind about every token until the end, so it can't stream. "
            "Compile with another sampler, or use `generate`."
        )
    if model.own_step() is not None:
        raise ValueError(
            "A `generate_step` of your own gives a text as a whole, so it can't stream. Use "
            "`generate`, or change `call_with_cache` instead, which `stream` uses too."
        )
    # Bad arguments are refused here and now, not when the first piece is asked for.
    return _pieces(model, *_prepare(model, prompt, max_length, stop_token_ids))


def _pieces(model, prompts, max_length, stop_token_ids):
    run = Run(model, prompts, max_length, stop_token_ids)
    token_ids, shown = [], ""
    for column in range(run.start, run.end):
        run.decode(column + 1)
        token_ids.append(run.tokens(column)[0])
        row = {"token_ids": [token_ids], "padding_mask": [[True] * len(token_ids)]}
        text = model.preprocessor.generate_postprocess(row)[0]
        # A character whose bytes are not all there yet shows as U+FFFD at the end: it waits.
        ready = text if run.is_finished else text.rstrip("\ufffd")
        if len(ready) > len(shown):
            yield ready[len(shown) :]
            shown = ready
        if run.is_finished:
            return


def align(prompts):
    """Move the real tokens of every row to the right, and cut columns that no row needs.

    Example:

    >>> ids, mask = [[7, 8, 0, 0], [5, 0, 0, 0]], [[1, 1, 0, 0], [1, 0, 0, 0]]
    >>> align({"token_ids": ids, "padding_mask": mask})["token_ids"].tolist()
    [[7, 8], [0, 5]]
    """
    real = np.array(prompts["padding_mask"], "bool")  # (b, t)
    order = np.argsort(real, axis=1, kind="stable")[:, -real.sum(axis=1).max() :]
    aligned = {"token_ids": np.array(prompts["token_ids"], "int32"), "padding_mask": real}
    return {key: np.take_along_axis(x, order, axis=1) for key, x in aligned.items()}


def round_up(length):
    """Return the number of columns for `length` tokens: similar lengths share a program.

    Example:

    >>> [round_up(length) for length in (1, 32, 33, 100, 300, 1000)]
    [32, 32, 64, 128, 384, 1024]
    """
    step = max(32, 2 ** (length - 1).bit_length() // 4)
    return -(-length // step) * step


def loop_of(model):
    """Return the compiled loop of a model and its sampler, whatever the sampler's seed."""
    sampler = model.sampler
    key = sampler
    if type(sampler) in samplers.SAMPLERS.values():
        config = {name: x for name, x in sampler.get_config().items() if name != "seed"}
        key = (type(sampler), *config.items())
    own = model.own_forward()
    key = (key, getattr(own, "__func__", own))
    if key not in model.decoding_loops:
        # A copy: what it is compiled for stays as it is, whatever happens to the sampler.
        owner = None if own is None else model
        model.decoding_loops[key] = DecodingLoop(model.backbone, copy.copy(sampler), owner)
    return model.decoding_loops[key]


def _prepare(model, inputs, max_length, stop_token_ids):
    """Check the arguments of `Run`, and return them: prompts, `max_length` and stop token ids."""
    prompts = encode(model, inputs)
    if max_length is None and isinstance(inputs, dict):
        max_length = prompts["token_ids"].shape[1]
    elif max_length is None:
        max_length = model.preprocessor.sequence_length
    if isinstance(max_length, bool) or not hasattr(max_length, "__index__"):
        raise ValueError(f"`max_length` must be a whole number. Received: {max_length!r}")
    lengths = prompts["padding_mask"].astype("bool").sum(axis=1)
    if not lengths.all():
        raise ValueError("Every prompt must have at least one token. One has only padding.")
    if lengths.max() > max_length:
        raise ValueError(
            f"`max_length` counts prompt and continuation, and a prompt has {lengths.max()} "
            f"tokens. Received: max_length={max_length}. Give a larger one, or a shorter prompt."
        )
    return prompts, int(max_length), _stop_token_ids(model, stop_token_ids)


def _stop_token_ids(model, stop_token_ids):
    if isinstance(stop_token_ids, str) and stop_token_ids == "auto":
        if model.preprocessor is None:
            raise ValueError(
                '`stop_token_ids="auto"` takes the end token of the preprocessor, and this model '
                "has none. Give `stop_token_ids=None` to go on to `max_length`, or a list of ids."
            )
        tokenizer = model.preprocessor.tokenizer
        stop_token_ids = getattr(tokenizer, "end_token_ids", tokenizer.end_token_id)
    if stop_token_ids is None:
        return []
    ids = np.atleast_1d(stop_token_ids)
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"`stop_token_ids` must be whole numbers. Received: {stop_token_ids!r}")
    return ids


def _texts(model, outputs):
    """Return the text of every row; for all beams a list of texts for every row."""
    if outputs["token_ids"].ndim == 2:
        return model.preprocessor.generate_postprocess(outputs)
    keys = ("token_ids", "padding_mask")
    return [
        model.preprocessor.generate_postprocess(dict(zip(keys, beams, strict=True)))
        for beams in zip(*(outputs[key] for key in keys), strict=True)
    ]
