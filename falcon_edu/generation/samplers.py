"""Samplers: from the probabilities of the next token to the token.

A sampler is one pure function, `restrict`: which probabilities it leaves, summing to one. Drawing
from what is left is the same for all of them. Beam search alone is different: it keeps several
continuations and draws nothing.
"""

import math
from typing import Any, Self

from falcon_edu.generation.sampling import append_by_beams, append_tokens

import keras
from keras import ops


class Sampler:
    """Base class of samplers: softmax at a temperature, then a draw.

    A sampler of your own overrides `restrict` to change the distribution that is drawn from, or
    `get_next_token` to choose a token in another way; both work inside the compiled loop.

    Args:
        temperature: divides the logits: below 1 sharpens the distribution, above 1 flattens it.
        seed: whole number for draws that repeat; `None` for ones that don't.

    Raises:
        ValueError: the temperature is not above 0.

    Example:

    >>> distribution = Sampler(temperature=0.5).distribution(ops.log([[0.5, 0.25, 0.25]]))
    >>> [round(float(p), 2) for p in distribution[0]]
    [0.67, 0.17, 0.17]

    Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 4.2 (temperature).
    """

    def __init__(self, temperature: float = 1.0, seed: Any = None) -> None:
        if not temperature > 0:
            raise ValueError(f"`temperature` must be above 0. Received: {temperature!r}")
        self.temperature = temperature
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def __call__(
        self,
        next: Any,
        prompt: Any,
        cache: Any = None,
        index: Any = 0,
        mask: Any = None,
        stop_token_ids: Any = None,
        hidden_states: Any = None,
        model: Any = None,
    ) -> Any:
        """Continue token ids by a function for the logits, as `keras_hub.samplers` do.

        Args:
            next, prompt, cache, index, mask, stop_token_ids: as in `sampling.append_tokens`.
            hidden_states, model: not used; KerasHub's samplers have them.

        Returns:
            `(b, t)`, the prompt with the columns from `index` on filled. Beam search that returns
            all beams gives `(b, beams, t)`, and the logs of their probabilities `(b, beams)`.

        Example:

        >>> def next(prompt, cache, index):
        ...     return ops.one_hot([index], 5), None, cache
        >>> GreedySampler()(next, [[4, 0, 0, 0]], index=1).tolist()
        [[4, 1, 2, 3]]
        """
        return append_tokens(self.next_token, next, prompt, cache, index, mask, stop_token_ids)

    @property
    def variables(self) -> list[Any]:
        """The state that draws advance: variables of every seed generator of this sampler."""
        generators = vars(self).values()
        return [g.state for g in generators if isinstance(g, keras.random.SeedGenerator)]

    def distribution(self, logits: Any) -> Any:
        """Return the probabilities that this sampler draws from.

        Args:
            logits: `(b, v)`.

        Returns:
            `(b, v)` float32; rows sum to 1.
        """
        return self.restrict(self.compute_probabilities(logits))

    def compute_probabilities(self, logits: Any) -> Any:
        """Return the softmax of `(b, v)` logits at this sampler's temperature, in float32."""
        return ops.softmax(ops.cast(logits, "float32") / self.temperature, axis=-1)

    def restrict(self, probabilities: Any) -> Any:
        """Return what is left of `(b, v)` probabilities, summing to 1 again; here all of it."""
        return probabilities

    def next_token(self, logits: Any) -> Any:
        """Choose the next token for every row of `(b, v)` logits, `(b,)`; the loop calls this."""
        return self.get_next_token(self.compute_probabilities(logits))

    def get_next_token(self, probabilities: Any) -> Any:
        """Draw a token for every row of `(b, v)` probabilities: `(b,)` int32."""
        log_probabilities = ops.log(self.restrict(probabilities))
        drawn = keras.random.categorical(
            log_probabilities, 1, dtype="int32", seed=self.seed_generator
        )
        return ops.squeeze(drawn, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "seed": self.seed}

    @classmethod
    def from_config(cls, config: Any) -> Self:
        return cls(**config)


@keras.saving.register_keras_serializable(package="falcon_edu")
class GreedySampler(Sampler):
    """Takes the most probable token, always.

    Args:
        temperature: changes nothing here; as in `Sampler`.

    Example:

    >>> GreedySampler().distribution(ops.log([[0.5, 0.25, 0.25]]))[0].tolist()
    [1.0, 0.0, 0.0]
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__(temperature)

    def restrict(self, probabilities: Any) -> Any:
        return ops.one_hot(ops.argmax(probabilities, axis=-1), probabilities.shape[-1])

    def next_token(self, logits: Any) -> Any:
        if type(self) is not GreedySampler:  # a subclass may choose by probabilities
            return super().next_token(logits)
        # The most probable token has the largest logit. So there is no softmax to compile, which is
        # a thirtieth of the time until the first text of a shipped model.
        return ops.argmax(logits, axis=-1)

    def get_next_token(self, probabilities: Any) -> Any:
        return ops.argmax(probabilities, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"temperature": self.temperature}


@keras.saving.register_keras_serializable(package="falcon_edu")
class RandomSampler(Sampler):
    """Draws from the whole distribution.

    Args:
        seed, temperature: as in `Sampler`.

    Example:

    >>> sampler = RandomSampler(temperature=0.5)
    >>> sampler.distribution(ops.log([[0.5, 0.5]]))[0].tolist()
    [0.5, 0.5]
    """

    def __init__(self, seed: Any = None, temperature: float = 1.0) -> None:
        super().__init__(temperature, seed)


@keras.saving.register_keras_serializable(package="falcon_edu")
class TopKSampler(Sampler):
    """Draws from the `k` most probable tokens.

    Args:
        k: how many tokens are left; all of them if the vocabulary is smaller.
        seed, temperature: as in `Sampler`.

    Raises:
        ValueError: `k` is no whole number of at least 1.

    Example:

    >>> distribution = TopKSampler(k=2).distribution(ops.log([[0.25, 0.5, 0.125, 0.125]]))
    >>> [round(float(p), 2) for p in distribution[0]]
    [0.33, 0.67, 0.0, 0.0]

    Fan et al. 2018, https://arxiv.org/abs/1805.04833, section 5.4.
    """

    def __init__(self, k: int = 5, seed: Any = None, temperature: float = 1.0) -> None:
        super().__init__(temperature, seed)
        self.k = _check_count("k", k)

    def restrict(self, probabilities: Any) -> Any:
        return _normalize(_keep_top_k(probabilities, self.k))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


@keras.saving.register_keras_serializable(package="falcon_edu")
class TopPSampler(Sampler):
    """Draws from the smallest set of most probable tokens that together exceed `p`.

    Args:
        p: the probability to exceed, above 0 and at most 1.
        k: if given, only the `k` most probable tokens are looked at, as in `TopKSampler`.
        seed, temperature: as in `Sampler`.

    Raises:
        ValueError: `p` or `k` is out of range.

    Example:

    >>> distribution = TopPSampler(p=0.6).distribution(ops.log([[0.25, 0.5, 0.125, 0.125]]))
    >>> [round(float(p), 2) for p in distribution[0]]
    [0.33, 0.67, 0.0, 0.0]

    Holtzman et al. 2020, https://arxiv.org/abs/1904.09751, section 3.1 (nucleus sampling).
    """

    def __init__(
        self, p: float = 0.1, k: int | None = None, seed: Any = None, temperature: float = 1.0
    ) -> None:
        super().__init__(temperature, seed)
        if not 0 < p <= 1:
            raise ValueError(f"`p` must be above 0 and at most 1. Received: {p!r}")
        self.p = p
        self.k = None if k is None else _check_count("k", k)

    def restrict(self, probabilities: Any) -> Any:
        if self.k is not None:
            probabilities = _keep_top_k(probabilities, self.k)
        order = ops.argsort(-probabilities, axis=-1)
        ranked = ops.take_along_axis(probabilities, order, axis=-1)
        # A token stays if those before it don't exceed p yet, so the one that does so stays too.
        before = ops.cumsum(ranked, axis=-1) - ranked
        limit = self.p if self.p < 1 else math.inf  # all stay: by rounding a sum may exceed 1
        ranked = ops.where(before <= limit, ranked, 0.0)
        back = ops.argsort(order, axis=-1)
        return _normalize(ops.take_along_axis(ranked, back, axis=-1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "p": self.p, "k": self.k}


@keras.saving.register_keras_serializable(package="falcon_edu")
class BeamSampler(Sampler):
    """Beam search: keeps the most probable continuations as a whole, and draws nothing.

    At every step each of the `num_beams` continuations is extended by every token; the most
    probable of all these are kept. A continuation that has reached a stop token stays as it is.

    Args:
        num_beams: how many continuations are kept.
        return_all_beams: whether `generate` returns all of them, best first, instead of the best.
        temperature: as in `Sampler`.

    Raises:
        ValueError: `num_beams` is no whole number of at least 1.

    Example:

    >>> BeamSampler(num_beams=2).get_config()
    {'temperature': 1.0, 'num_beams': 2, 'return_all_beams': False}

    Graves 2012, https://arxiv.org/abs/1211.3711, section 2.
    """

    def __init__(
        self, num_beams: int = 5, return_all_beams: bool = False, temperature: float = 1.0
    ) -> None:
        super().__init__(temperature)
        self.num_beams = _check_count("num_beams", num_beams)
        self.return_all_beams = return_all_beams

    def __call__(
        self,
        next: Any,
        prompt: Any,
        cache: Any = None,
        index: Any = 0,
        mask: Any = None,
        stop_token_ids: Any = None,
        hidden_states: Any = None,
        model: Any = None,
    ) -> Any:
        beams, log_probs = append_by_beams(
            self.num_beams, self.temperature, next, prompt, cache, index, mask, stop_token_ids
        )
        return (beams, log_probs) if self.return_all_beams else beams[:, 0]

    def get_next_token(self, probabilities: Any) -> Any:
        raise NotImplementedError("Beam search chooses among continuations, not among tokens.")

    def get_config(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature,
            "num_beams": self.num_beams,
            "return_all_beams": self.return_all_beams,
        }


SAMPLERS = {
    "greedy": GreedySampler,
    "random": RandomSampler,
    "top_k": TopKSampler,
    "top_p": TopPSampler,
    "beam": BeamSampler,
}


def get(identifier: Any) -> Sampler:
    """Return the sampler that a name, a class, a configuration or a sampler stands for.

    Args:
        identifier: `"greedy"`, `"random"`, `"top_k"`, `"top_p"` or `"beam"`; a sampler class; what
            `serialize` returned; or a sampler, which is returned as it is.

    Raises:
        ValueError: it stands for no sampler.

    Example:

    >>> get("top_k").k
    5
    >>> get("best")
    Traceback (most recent call last):
    ValueError: Unknown sampler 'best'. Use one of 'greedy', 'random', 'top_k', 'top_p', 'beam'...
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, str) and identifier in SAMPLERS:
        identifier = SAMPLERS[identifier]
    if isinstance(identifier, type):
        identifier = identifier()
    if not isinstance(identifier, Sampler):
        names = ", ".join(map(repr, SAMPLERS))
        raise ValueError(f"Unknown sampler {identifier!r}. Use one of {names}, or a `Sampler`.")
    return identifier


def serialize(sampler: Any) -> Any:
    """Return the configuration of a sampler, for `get`."""
    return keras.saving.serialize_keras_object(sampler)


def deserialize(config: Any) -> Sampler:
    """Return the sampler of a configuration from `serialize`."""
    return get(config)


def _keep_top_k(probabilities, k):
    """Return zeros everywhere but at the `k` largest of each row; of equal ones, at the first."""
    values, indices = ops.top_k(probabilities, min(k, probabilities.shape[-1]))
    rows = ops.arange(probabilities.shape[0])[:, None]
    return ops.zeros_like(probabilities).at[rows, indices].set(values)


def _normalize(probabilities):
    return probabilities / ops.sum(probabilities, axis=-1, keepdims=True)


def _check_count(name, value):
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"`{name}` must be a whole number of at least 1. Received: {value!r}")
    return int(value)
