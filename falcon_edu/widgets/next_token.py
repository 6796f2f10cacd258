"""NextTokenExplorer: what may come next, and what the samplers leave of it."""

from falcon_edu import plots
from falcon_edu.generation import samplers
from falcon_edu.plots.style import visible
from falcon_edu.support.inputs import row_strings
from falcon_edu.widgets.page import PageExplorer

import numpy as np

# That go to the page, which shows ten bars: by rounding it may put others first.
NAMES = 30


class NextTokenExplorer(PageExplorer):
    """Shows which tokens may come next, and what temperature, top-k and top-p leave of them.

    The kernel runs the model, and the page draws what its own samplers leave: they are equal to the
    package's, which the picture has.

    Args:
        model: a `FalconCausalLM` with a preprocessor.
        text: the start of a text, at most 256 tokens.

    Raises:
        ValueError: the text is none, or too long.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> falcon_edu.NextTokenExplorer(falcon, "Mia and Tom")
    NextTokenExplorer: what may follow "Mia and Tom", of ... tokens
    """

    def __init__(self, model, text: str) -> None:
        self.read(model, text)
        size = self.activations.logits.shape[-1]
        self.vocabulary = row_strings(model, range(size))
        super().__init__("next_token", temperature=1, top_k=size, top_p=1)

    def sent(self):
        logits = self.activations.logits[0, -1]
        probabilities = np.asarray(samplers.Sampler().distribution(logits[None]))[0]
        # In the order of the picture, where a tie is the same tie on every machine.
        order = np.argsort(-np.round(probabilities, 6), kind="stable")[:NAMES]
        names = {str(id): self.vocabulary[id] for id in order.tolist()}
        given = {"text": self.text, "tokens": self.tokens, "vocabulary": names}
        return {"given": given, "numbers": logits.astype("<f4").tobytes()}

    def draw(self, temperature, top_k, top_p):
        logits = self.activations.logits[:, -1]  # (1, v)
        model = np.asarray(samplers.Sampler().distribution(logits))
        sampler = samplers.TopPSampler(p=top_p, temperature=temperature)
        drawn = np.array(sampler.compute_probabilities(logits))
        # The sampler's own top-k, in NumPy: JAX would compile it anew for each k, while one waits.
        drawn[0, np.argsort(-drawn[0], kind="stable")[top_k:]] = 0
        drawn = np.asarray(sampler.restrict(drawn))
        settings = self._settings(temperature=temperature, top_k=top_k, top_p=top_p)
        look = {"title": f"After {ending(self.text)}", "names": ("Falcon", settings)}
        return plots.next_token_bars(drawn[0], self.vocabulary, before=model[0], **look)

    def _settings(self, **values):
        """Say in words what is drawn from; a setting that changes nothing is left out."""
        neutral = {"temperature": 1, "top_k": len(self.vocabulary), "top_p": 1}
        changed = {name: value for name, value in values.items() if value != neutral[name]}
        words = [f"{name.replace('_', '-')} {value:g}" for name, value in changed.items()]
        return ", ".join(words) or "drawn from"

    def __repr__(self):
        size = len(self.vocabulary)
        return f"NextTokenExplorer: what may follow {ending(self.text)}, of {size} tokens"


def ending(text, length=40):
    """Quote the end of a text; it begins with a whole word where it can.

    >>> ending("There was a lamp behind the old wall, and Mia")
    '"... was a lamp behind the old wall, and Mia"'
    """
    text = visible(text.replace("\n", " "))
    if len(text) <= length:
        return f'"{text}"'
    _, space, words = text[-length:].partition(" ")
    return f'"... {words}"' if space else f'"...{text[-length:]}"'
