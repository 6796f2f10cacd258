"""LogitLensExplorer: what a model would say after each of its layers."""

from falcon_edu import plots
from falcon_edu.inside.interventions import run_tail
from falcon_edu.support.inputs import backbone_of, row_strings
from falcon_edu.widgets.page import PageExplorer

import numpy as np

COLUMNS = 12  # tokens that are shown at once


class LogitLensExplorer(PageExplorer):
    """Shows, after every layer and token, the best guess and how well the true next token does.

    The kernel computes them once for each text, and the page draws them.

    Args:
        model: a `FalconCausalLM` with a preprocessor.
        text: a text of at most 256 tokens.
        token: the index of the token to begin with.
        show: "rank" or "probability": what is told of the true next token.

    Raises:
        ValueError: the text is none, or too long, or there is no such token, or nothing such to
            show.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> falcon_edu.LogitLensExplorer(falcon, "Once upon a time")
    LogitLensExplorer: guesses at the embedding and after 4 layers, ... tokens: [start] ...

    nostalgebraist 2020, https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru.
    """

    SHOWN = ("rank", "probability")

    def __init__(self, model, text: str, token: int = -1, show: str = "rank") -> None:
        self.read(model, text)
        if token not in range(-len(self.tokens), len(self.tokens)):
            known = f"{-len(self.tokens)} to {len(self.tokens) - 1}"
            raise ValueError(f"`token` must be one of {known}. Received: {token!r}")
        if show not in self.SHOWN:
            known = ", ".join(self.SHOWN)
            raise ValueError(f"`show` must be one of {known}. Received: {show!r}")
        # A whole number of Python's, for NumPy's are none that JSON knows.
        super().__init__("logit_lens", show=show, token=int(token) % len(self.tokens))

    def read(self, model, text):
        super().read(model, text)
        last = backbone_of(model).num_layers
        layers = [
            # One layer at a time: the logits of all would be large in a large model.
            self._summary(run_tail(model, last, states, self.activations.padding_mask)[0])
            for states in self.activations.hidden_states
        ]
        best, rank, probability = (np.stack(parts) for parts in zip(*layers, strict=True))
        words = row_strings(model, best.ravel().tolist())
        self.guesses = np.array(words, dtype=object).reshape(best.shape)  # (layers, t)
        self.told = {"rank": rank, "probability": probability}

    def _summary(self, logits):
        """Of logits `(t, v)`: the best token, the rank and the probability of what comes next."""
        following = self.activations.token_ids[0, 1:]
        logits = logits - logits.max(axis=-1, keepdims=True)
        true = np.take_along_axis(logits[:-1], following[:, None], axis=-1)  # (t - 1, 1)
        rank = (logits[:-1] > true).sum(axis=-1) + 1
        probability = np.exp(true[:, 0]) / np.exp(logits[:-1]).sum(axis=-1)
        unknown = [np.nan]  # nothing follows the last token
        return logits.argmax(axis=-1), np.append(rank, unknown), np.append(probability, unknown)

    def sent(self):
        given = {"text": self.text, "tokens": self.tokens, "guesses": self.guesses.tolist()}
        told = np.stack([self.told[name] for name in self.SHOWN])  # (2, layers, t)
        return {"given": given, "numbers": told.astype("<f4").tobytes()}

    def draw(self, show, token):
        start = int(np.clip(token - COLUMNS * 2 // 3, 0, max(0, len(self.tokens) - COLUMNS)))
        window = slice(start, start + COLUMNS)
        return plots.lens_map(
            self.guesses[:, window],
            self.told[show][:, window],
            self.tokens[start : start + COLUMNS + 1],
            show=show,
            title=f"Logit lens at token {token}, {show} of what comes next",
            selected=token - start,
        )

    def __repr__(self):
        tokens = " ".join(plots.token_labels(self.tokens))
        layers = len(self.guesses) - 1
        return (
            f"LogitLensExplorer: guesses at the embedding and after {layers} layers, "
            f"{len(self.tokens)} tokens: {tokens}"
        )
