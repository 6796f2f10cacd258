"""PatchingExplorer: one state of a run is put into another run, and the answer may change."""

from falcon_edu import plots
from falcon_edu.inside.activations import record
from falcon_edu.inside.interventions import patching_map
from falcon_edu.plots.style import count, spoken
from falcon_edu.support.inputs import encode, row_strings, tokenizer_of
from falcon_edu.widgets.explorer import MAX_TOKENS, Explorer, buttons, slider

import ipywidgets
import numpy as np

COLUMNS = 35  # tokens that the map shows at once
NAMED = 3  # tokens in which the texts differ


class PatchingExplorer(Explorer):
    """Puts a state of a clean run into a corrupted run, and shows what becomes of the answer.

    All patches are computed once. There are two views: the map of all layers and positions, each
    with the share of the clean answer that it restores; and the next tokens after one patch.

    Args:
        model: a `FalconCausalLM` with a preprocessor.
        clean, corrupted: texts with as many tokens, of at most 256, after which the model expects
            different tokens.
        layer, position: where to begin: an index into `hidden_states`, and a token's index.
        view: "map" or "one patch".

    Raises:
        ValueError: the texts don't fit together, or there is no such layer, position or view.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> start = "Mia and Tom were old friends. There was a kite behind the wall. "
    >>> texts = [start + name + " picked it up and gave it to" for name in ("Mia", "Tom")]
    >>> falcon_edu.PatchingExplorer(falcon, *texts)
    PatchingExplorer: patches at the embedding and after 4 layers, ... tokens from ...

    Meng et al. 2022, https://arxiv.org/abs/2202.05262, section 2.1 (causal tracing).
    """

    VIEWS = ("map", "one patch")

    def __init__(
        self,
        model,
        clean: str,
        corrupted: str,
        layer: int = 0,
        position: int = -1,
        view: str = "map",
    ) -> None:
        self.model = model
        self.read(clean, corrupted)
        layers, length = len(self.restored), len(self.tokens)
        if layer not in range(layers):
            raise ValueError(f"`layer` must be one of 0 to {layers - 1}. Received: {layer!r}")
        if position not in range(-length, length) or position % length < self.start:
            raise ValueError(
                f"`position` must be one of {self.start} to {length - 1}: before, the texts are "
                f"the same, and a patch changes nothing. Received: {position!r}"
            )
        if view not in self.VIEWS:
            known = ", ".join(self.VIEWS)
            raise ValueError(f"`view` must be one of {known}. Received: {view!r}")
        rows = [(name, index) for index, name in enumerate(self._rows())]
        options = {"options": self._positions(), "value": position % length}
        self.text_boxes = {
            name: slider(ipywidgets.Text, name, value=text)
            for name, text in {"clean": clean, "corrupted": corrupted}.items()
        }
        super().__init__(
            {
                "view": buttons("view", self.VIEWS, view),
                "layer": slider(ipywidgets.SelectionSlider, "layer", options=rows, value=layer),
                "position": slider(ipywidgets.SelectionSlider, "position", **options),
            },
            self.text_boxes,
        )
        for box in self.text_boxes.values():
            box.observe(self._read_other, "value")

    def read(self, clean, corrupted):
        """Compute every patch of a pair, once.

        Args:
            clean, corrupted: as the explorer takes them.

        Raises:
            ValueError: they don't fit together.
        """
        for name, text in {"clean": clean, "corrupted": corrupted}.items():
            if not isinstance(text, str):
                raise ValueError(f"`{name}` must be one text. Received: {type(text).__name__}")
        ids = [encode(self.model, text)["token_ids"][0] for text in (clean, corrupted)]
        if len(ids[0]) != len(ids[1]):
            raise ValueError(
                f"Both texts must have as many tokens. They have {len(ids[0])} and {len(ids[1])}."
            )
        if len(ids[0]) > MAX_TOKENS:
            raise ValueError(
                f"The texts have {len(ids[0])} tokens, and the picture room for {MAX_TOKENS}."
            )
        differ = np.flatnonzero(ids[0] != ids[1])
        if not len(differ):
            raise ValueError("The two texts are the same: there is nothing to patch.")
        # Before the first difference both runs are the same, for no token sees a later one.
        start, length = int(differ[0]), len(ids[0])
        logits = patching_map(self.model, clean, corrupted, range(start, length))
        # A patch of the last state after the last layer is the clean run itself.
        target = record(self.model, corrupted).logits[0, -1]
        answers = logits[-1, -1].argmax(), target.argmax()
        tokenizer = tokenizer_of(self.model)
        words = row_strings(self.model, map(int, answers))
        if answers[0] == answers[1]:
            raise ValueError(f"After both texts the model expects {words[0]!r}.")
        gaps = logits[..., answers[0]] - logits[..., answers[1]]  # (layers, positions)
        low, high = target[answers[0]] - target[answers[1]], gaps[-1, -1]
        self.restored = (gaps - low) / (high - low)
        self.logits, self.target, self.words, self.start = logits, target, words, start
        self.tokens = tokenizer.token_strings(ids[0].tolist())
        self.others = tokenizer.token_strings(ids[1].tolist())
        self.texts_read = [self.tokens, self.others]
        self.remark = self._differences(differ.tolist())

    def _positions(self):
        labels = plots.token_labels(self.tokens)
        return [(f"{index} {labels[index]}", index) for index in range(self.start, len(labels))]

    def _read_other(self, change):
        with self.quiet(), self.saying():
            self.read(*(box.value for box in self.text_boxes.values()))
            self.controls["position"].options = self._positions()
            self.controls["position"].value = len(self.tokens) - 1

    def draw(self, view, layer, position):
        column = position - self.start
        place = f"token {position}, {self._rows()[layer]}"
        clean, corrupted = (word.strip() for word in self.words)
        if view == "map":
            columns = self._columns()
            restored = self.restored[layer, column]
            first = max(0, min(column - COLUMNS * 2 // 3, len(columns) - COLUMNS))
            window = slice(first, first + COLUMNS)
            return plots.heatmap(
                self.restored[:, window],
                self._rows(),
                columns[window],
                title=f'How much of "{clean}" a patch restores',
                limits=(-1, 1),
                is_diverging=True,
                selected=[(layer, column - first)],
                column_label="the patched token",
                alt=f'How much of "{clean}" a patch restores, against "{corrupted}": '
                f"{restored:.2f} by the patch of {place} ({columns[column]}); "
                f"the map has {len(self.restored)} rows and {len(columns)} tokens.",
            )
        before, after = (_softmax(x) for x in (self.target, self.logits[layer, column]))
        vocabulary = row_strings(self.model, range(len(after)))
        names = ("corrupted run", "patched")
        return plots.next_token_bars(
            after, vocabulary, before=before, title=f"A patch of {place}", names=names
        )

    def _rows(self):
        return ["embedding", *(f"after layer {k}" for k in range(len(self.restored) - 1))]

    def _differences(self, places):
        """Say in which tokens the texts differ: in their boxes they look alike."""
        said = [
            f"token {place} ({spoken(self.tokens[place])} or {spoken(self.others[place])})"
            for place in places[:NAMED]
        ]
        if (others := len(places) - NAMED) > 0:
            said.append(count(others, "other"))
        return f"The texts differ in {', '.join(said)}."

    def _columns(self):
        """Return the tokens, as clean/corrupted where they differ."""
        pairs = zip(plots.token_labels(self.tokens), plots.token_labels(self.others), strict=True)
        labels = [here if here == there else f"{here}/{there}" for here, there in pairs]
        return labels[self.start :]

    def idle(self, **values):
        return ("position",) if len(self.tokens) - self.start == 1 else ()

    def describe(self, **values):
        tokens = " ".join(self._columns())
        return (
            f"patches at the embedding and after {len(self.restored) - 1} layers, "
            f"{len(self.tokens) - self.start} tokens from {self.start} on: {tokens}"
        )


def _softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()
