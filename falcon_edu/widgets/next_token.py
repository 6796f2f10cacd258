"""NextTokenExplorer: what may come next, and what the samplers leave of it."""

from falcon_edu import plots
from falcon_edu.generation import samplers
from falcon_edu.support.inputs import tokenizer_of
from falcon_edu.widgets.explorer import TextExplorer, slider

import ipywidgets
import numpy as np


class NextTokenExplorer(TextExplorer):
    """Shows which tokens may come next, and what temperature, top-k and top-p leave of them.

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

    TOP_K = (1, 2, 3, 5, 10, 20, 50)

    def __init__(self, model, text: str) -> None:
        self.read(model, text)
        tokenizer = tokenizer_of(model)
        known = set(tokenizer.vocabulary.values())
        size = self.activations.logits.shape[-1]
        ids = (id if id in known else tokenizer.end_token_id for id in range(size))
        self.vocabulary = tokenizer.token_strings(list(ids))
        top_k = [(str(k), k) for k in self.TOP_K] + [("all", size)]
        # Steps of 0.1, for ipywidgets tells a screen reader no more than one decimal.
        limits = {"temperature": (0.1, 2, 0.1), "top-p": (0.1, 1, 0.1)}
        temperature, top_p = (
            slider(ipywidgets.FloatSlider, name, min=low, max=high, step=step, value=1)
            for name, (low, high, step) in limits.items()
        )
        chosen = slider(ipywidgets.SelectionSlider, "top-k", options=top_k, value=size)
        super().__init__({"temperature": temperature, "top_k": chosen, "top_p": top_p})

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

    def describe(self, **values):
        return f"what may follow {ending(self.text)}, of {len(self.vocabulary)} tokens"


def ending(text, length=40):
    """Quote the end of a text; it begins with a whole word where it can.

    >>> ending("There was a lamp behind the old wall, and Mia")
    '"... was a lamp behind the old wall, and Mia"'
    """
    text = text.replace("\n", " ")
    if len(text) <= length:
        return f'"{text}"'
    _, space, words = text[-length:].partition(" ")
    return f'"... {words}"' if space else f'"...{text[-length:]}"'
