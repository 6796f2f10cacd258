"""What a task has around its backbone: samples, weights of its own, a summary."""

from typing import Any

import keras


class Task:
    """Names that KerasHub's tasks have, for a `keras.Model` with `backbone` and `preprocessor`."""

    def preprocess_samples(self, x, y=None, sample_weight=None) -> Any:
        """Return samples as the model reads them: `x`, `(x, y)` or `(x, y, sample_weight)`.

        Args:
            x, y, sample_weight: what the preprocessor takes; without one they stay as they are.
        """
        if self.preprocessor is None:
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        return self.preprocessor(x, y=y, sample_weight=sample_weight)

    def has_task_weights(self) -> bool:
        """True if there are weights outside of the backbone, as a subclass may have them."""
        known = {id(weight) for weight in self.backbone.weights}
        return any(id(weight) not in known for weight in self.weights)

    def save_task_weights(self, filepath) -> None:
        """Save the weights that are not the backbone's.

        Args:
            filepath: path of the file to write; it ends in `.weights.h5`.

        Raises:
            ValueError: it ends otherwise, or there are no such weights.
        """
        self._check_task_weights(filepath)
        skipped = list(self.backbone._flatten_layers())
        keras.saving.save_weights(self, filepath, objects_to_skip=skipped)

    def load_task_weights(self, filepath) -> None:
        """Load what `save_task_weights` has saved; arguments and errors as there."""
        self._check_task_weights(filepath)
        skipped = list(self.backbone._flatten_layers())
        keras.saving.load_weights(self, filepath, objects_to_skip=skipped)

    def _check_task_weights(self, filepath):
        if not str(filepath).endswith(".weights.h5"):
            raise ValueError(f"`filepath` must end in `.weights.h5`. Received: {filepath!r}")
        if not self.has_task_weights():
            raise ValueError(
                "All weights of this model are its backbone's: the head is the embedding. Use "
                "`save_weights` and `load_weights`, or save a preset."
            )

    def summary(self, line_length=None, positions=None, print_fn=None, **kwargs) -> None:
        """Print the preprocessor, then the layers, as `keras.Model.summary` does."""
        if self.preprocessor is not None:
            (print_fn or print)(_describe(self.preprocessor))
        super().summary(line_length, positions, print_fn, **kwargs)


def _describe(preprocessor):
    lines = [f'Preprocessor: "{getattr(preprocessor, "name", type(preprocessor).__name__)}"']
    if (tokenizer := getattr(preprocessor, "tokenizer", None)) is not None:
        kind = f"{tokenizer.name} ({type(tokenizer).__name__})"
        lines.append(f"  {kind}: {tokenizer.vocabulary_size():,} tokens")
    return "\n".join(lines)
