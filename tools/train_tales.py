"""Trains the models that ship with the package, on tales drawn from the grammar of the open world.

    python tools/train_tales.py                     # all three, one after the other
    python tools/train_tales.py falcon_tales_rw_en  # one
    python tools/train_tales.py --tell 20           # only write so many shards of tales ahead

Everything goes into a folder of its own, `build/tales` or `--folder`: the tokenizer, shards of
tales, for each model a checkpoint from which training goes on where it was stopped, a log, and
presets, `NAME@4M` after four million tokens and at last `NAME`. `docs/training.md` says why the
recipe is as it is.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from falcon_edu import FalconBackbone, FalconCausalLM, FalconCausalLMPreprocessor, FalconTokenizer
from falcon_edu.corpora import tales
from falcon_edu.corpora.captain import to_captain
from tools import quick_gradients

import jax
import jax.numpy as jnp
import keras
import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parent.parent

# === The recipe, the same for all ===

VOCABULARY_SIZE = 2048
SHARD = 50_000  # tales that are told, and shuffled, together
TOKENS = 20_000_000  # each is seen once
BATCH_TOKENS = 4096
WIDTH = 32  # tales are padded to a multiple of this
LONGEST = 320  # tokens of a tale; the few that are longer are cut
LEARNING_RATE = 3e-3
WARM_UP = 500_000  # tokens
DECAY = 0.5  # of all tokens
MILESTONES = [1_000_000 * 2**power for power in range(7)]
LOG_EVERY = 250_000  # tokens
SAVE_EVERY = 500_000
MEASURE_EVERY = 2_000_000

# === The three layouts ===

# Equal in depth, width and heads; the feed-forward width makes up for the heads that share keys
# and values, so that the three are of one size.
SHAPE: dict[str, Any] = {"num_layers": 4, "num_attention_heads": 4, "hidden_dim": 128}
PRESETS: dict[str, dict] = {
    "falcon_tales_rw_en": {"intermediate_dim": 512},
    "falcon_tales_7b_en": {
        "intermediate_dim": 608,
        "num_key_value_heads": 1,
        "position_encoding": "rope",
        "parallel_attention": True,
        "use_bias": False,
    },
    "falcon_tales_40b_en": {
        "intermediate_dim": 576,
        "num_key_value_heads": 2,
        "position_encoding": "rope",
        "parallel_attention": True,
        "num_parallel_layer_norms": 2,
        "use_bias": False,
    },
}


def make_model(name, tokenizer):
    """Make a model of one layout; two calls give the same weights."""
    keras.utils.set_random_seed(0)
    backbone = FalconBackbone(VOCABULARY_SIZE, **SHAPE, **PRESETS[name], name=name)
    return FalconCausalLM(backbone, FalconCausalLMPreprocessor(tokenizer, sequence_length=256))


def learning_rate(tokens):
    """Return the learning rate after so many tokens: it rises, stays, and falls to nothing.

    While it stays, training can stop and go on, and how long it stays can still be decided.
    """
    rising, falling = tokens / WARM_UP + 0.01, (1 - tokens / TOKENS) / DECAY
    return LEARNING_RATE * min(1, rising, max(0, falling))


# === Data ===


def train_tokenizer(folder, start=None):
    """Return the tokenizer in the folder; where there is none, train byte-level BPE on tales.

    Args:
        folder: where it is kept.
        start: a folder of presets; then their tokenizer is taken.
    """
    if start and not (folder / "tokenizer").is_dir():
        preset = next(start / name for name in PRESETS if (start / name).is_dir())
        FalconTokenizer.from_preset(str(preset)).save_to_preset(folder / "tokenizer")
    if not (folder / "tokenizer").is_dir():
        plain = [tale.text for tale in tales(24_000, seed=10_000)]
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        bpe.train_from_iterator(
            [*plain[:20_000], *map(to_captain, plain[20_000:])],
            trainers.BpeTrainer(
                vocab_size=VOCABULARY_SIZE,
                special_tokens=["<|endoftext|>"],
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                show_progress=False,
            ),
        )
        made = json.loads(bpe.to_str())["model"]
        merges = [" ".join(pair) for pair in made["merges"]]
        FalconTokenizer(vocabulary=made["vocab"], merges=merges).save_to_preset(
            folder / "tokenizer"
        )
    return FalconTokenizer.from_preset(str(folder / "tokenizer"))


def encode(tokenizer, texts):
    """Return start token, text and end token of each text: arrays of uint16, cut to `LONGEST`."""
    end = tokenizer.end_token_id
    rows = tokenizer.tokenize(texts)
    return [np.array([end, *ids, end], "uint16")[: LONGEST + 1] for ids in rows]


def shard(number, tokenizer, folder):
    """Return the tales of a shard, a list of arrays of token ids; tell them if need be."""
    path = folder / f"tales-{number:03}.npz"
    if not path.is_file():
        rows = encode(tokenizer, [tale.text for tale in tales(SHARD, seed=number)])
        write(path, ids=np.concatenate(rows), lengths=np.array([len(row) for row in rows]))
    with np.load(path) as file:
        return np.split(file["ids"], np.cumsum(file["lengths"])[:-1])


def write(path, **arrays):
    """Write arrays into a file that is there whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def batches(rows, seed):
    """Return batches of rows that are nearly equally long, so that little is padding.

    Args:
        rows: token ids, a list of arrays.
        seed: of the order.

    Returns:
        A list of arrays of row numbers; each batch has about `BATCH_TOKENS` tokens.
    """
    rng = np.random.default_rng(seed)
    widths = np.array([width_of(row) for row in rows])
    made: list[np.ndarray] = []
    for width in np.unique(widths):
        order = rng.permutation(np.flatnonzero(widths == width))
        size = max(1, BATCH_TOKENS // width)
        made += list(order[: len(order) // size * size].reshape(-1, size))
    return [made[place] for place in rng.permutation(len(made))]


def width_of(row):
    """Return the number of tokens that a row is padded to: all but the last are read."""
    return -(-(len(row) - 1) // WIDTH) * WIDTH


def pad(rows):
    """Return rows of one width as one array `(b, t + 1)`, and which labels `(b, t)` count."""
    ids = np.zeros((len(rows), width_of(rows[0]) + 1), "int32")
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
    lengths = np.array([[len(row) - 1] for row in rows])
    return ids, (np.arange(ids.shape[1] - 1) < lengths).astype("int32")


# === Training ===


class MuonForHeads(keras.optimizers.Muon):
    """Keras's Muon, which also takes the kernels of the heads for the matrices that they are.

    Muon makes all directions of a matrix's update equally large, and so needs fewer tokens: after
    8,000 tales the loss stood at 1.29 times the grammar's entropy, with AdamW at 1.44. Keras leaves
    kernels `(m, n, h)` to Adam; here they count as `(m, n * h)`.

    Jordan et al. 2024, https://kellerjordan.github.io/posts/muon.
    """

    def _should_use_adamw(self, variable):
        if len(variable.shape) == 3:
            return False
        return super()._should_use_adamw(variable)

    def zeropower_via_newtonschulz5(self, x, steps):
        matrix = keras.ops.reshape(x, (x.shape[0], -1))
        return keras.ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape)


def mean_loss(causal_lm, trainable, others, ids, mask):
    """Return the mean cross-entropy of the next token over the labels that count, in nats."""
    inputs = {"token_ids": ids[:, :-1], "padding_mask": mask}
    logits, _ = causal_lm.stateless_call(trainable, others, inputs, training=True)  # (b, t, v)
    right = jnp.take_along_axis(logits, ids[:, 1:, None], axis=-1)[..., 0]
    losses = jax.nn.logsumexp(logits, axis=-1) - right
    return jnp.sum(losses * mask) / jnp.sum(mask)


class Run:
    """A model that is being trained, and how far it is.

    Args:
        name: which of `PRESETS`.
        tokenizer: a `FalconTokenizer`.
        folder: where checkpoints go, and come from.
        start: a folder of presets, whose weights the run begins with; or None to begin anew.
    """

    def __init__(self, name, tokenizer, folder, start=None):
        self.name, self.folder = name, folder
        self.causal_lm = make_model(name, tokenizer)
        if start:
            trained = FalconBackbone.from_preset(str(start / name))
            self.causal_lm.backbone.set_weights(trained.get_weights())
        self.optimizer = MuonForHeads(
            LEARNING_RATE, weight_decay=0.05, adam_weight_decay=None, adam_beta_2=0.98
        )
        self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "embeddings"])
        self.optimizer.build(self.causal_lm.trainable_variables)
        self.variables = [*self.causal_lm.trainable_variables, *self.optimizer.variables]
        self.state = [variable.value for variable in self.variables]
        self.shard = self.batch = self.tokens = 0
        self.seconds = 0.0
        self.others = [v.value for v in self.causal_lm.non_trainable_variables]
        variables = self.causal_lm.trainable_variables
        self.gradients = jax.jit(self._gradients)
        backbone = self.causal_lm.backbone
        if quick_gradients.can_run() and quick_gradients.fits(backbone.config):
            self.gradients = quick_gradients.Gradients(backbone, variables, folder)
        self.apply = jax.jit(self._apply, donate_argnums=0)
        self.loss = jax.jit(
            lambda state, *batch: mean_loss(self.causal_lm, state, self.others, *batch)
        )
        if self.checkpoint.is_file():
            self.restore()

    @property
    def checkpoint(self):
        """The file from which the run goes on."""
        return self.folder / f"{self.name}.npz"

    @property
    def weights(self):
        """The weights as they are now, a list of arrays."""
        return self.state[: len(self.causal_lm.trainable_variables)]

    def _gradients(self, weights, ids, mask):
        """Return the loss and its gradients."""
        return jax.value_and_grad(mean_loss, argnums=1)(
            self.causal_lm, weights, self.others, ids, mask
        )

    def _apply(self, state, gradients, rate):
        """Return the state after a step of the optimizer."""
        number = len(self.causal_lm.trainable_variables)
        weights, optimizer = state[:number], list(state[number:])
        for place, variable in enumerate(self.optimizer.variables):
            if variable is self.optimizer._learning_rate:
                optimizer[place] = rate
        weights, optimizer = self.optimizer.stateless_apply(optimizer, gradients, weights)
        return [*weights, *optimizer]

    def train_on(self, rows):
        """Take one step on rows of token ids; returns the loss."""
        ids, mask = pad(rows)
        rate = jnp.float32(learning_rate(self.tokens))
        loss, gradients = self.gradients(self.weights, ids, mask)
        self.state = self.apply(self.state, gradients, rate)
        self.batch += 1
        self.tokens += int(mask.sum())
        return float(loss)

    def measure(self, rows):
        """Return the mean loss per token on rows of token ids."""
        total = counted = 0.0
        for batch in batches(rows, seed=0):
            ids, mask = pad([rows[place] for place in batch])
            total += float(self.loss(self.weights, ids, mask)) * mask.sum()
            counted += mask.sum()
        return total / counted

    def save(self):
        """Write all that is needed to go on."""
        progress = np.array([self.shard, self.batch, self.tokens, self.seconds])
        arrays = {str(place): np.asarray(array) for place, array in enumerate(self.state)}
        write(self.checkpoint, progress=progress, **arrays)

    def restore(self):
        """Read what `save` wrote."""
        with np.load(self.checkpoint) as file:
            *places, self.seconds = file["progress"].tolist()
            self.shard, self.batch, self.tokens = map(int, places)
            self.state = [jnp.asarray(file[str(place)]) for place in range(len(self.state))]

    def publish(self, name):
        """Write the model as a preset."""
        for variable, value in zip(self.variables, self.state, strict=True):
            variable.assign(value)
        self.causal_lm.save_to_preset(str(self.folder / name))


def train(name, folder, start=None):
    """Train one model, or go on where it was stopped; write it and its milestones as presets."""
    if (folder / name).is_dir():
        return
    tokenizer = train_tokenizer(folder, start)
    tuning = encode(tokenizer, [tale.text for tale in tales(1_000, split="tuning")])
    run = Run(name, tokenizer, folder, start)
    log = Log(run, tuning)
    while True:
        rows = shard(run.shard, tokenizer, folder)
        for batch in batches(rows, seed=run.shard)[run.batch :]:
            before = run.tokens
            log.note(run.train_on([rows[place] for place in batch]), before)
            for milestone in passed(before, run.tokens, MILESTONES):
                run.publish(f"{name}@{milestone / 1e6:g}M")
            if before // SAVE_EVERY < run.tokens // SAVE_EVERY:
                run.save()
            if run.tokens >= TOKENS:
                run.save()
                run.publish(name)
                return
        run.shard, run.batch = run.shard + 1, 0


def passed(before, after, places):
    """Return those of the places that were reached on the way from before to after."""
    return [place for place in places if before < place <= after]


class Log:
    """Prints how a run goes, and keeps it in a file.

    Args:
        run: a `Run`.
        tuning: token ids of tales that no model is trained on, for the loss on them.
    """

    def __init__(self, run, tuning):
        self.run, self.tuning = run, tuning
        self.losses, self.since, self.started = [], run.tokens, time.time()

    def note(self, loss, before):
        """Take in the loss of a batch; print a line each `LOG_EVERY` tokens."""
        run = self.run
        self.losses.append(loss)
        if before // LOG_EVERY == run.tokens // LOG_EVERY:
            return
        seconds = time.time() - self.started
        run.seconds += seconds
        line = (
            f"{run.name} {run.tokens / 1e6:7.2f}M tokens  loss {np.mean(self.losses):.4f}  "
            f"{(run.tokens - self.since) / seconds:7.0f} tokens/s  {run.seconds / 60:6.1f} min"
        )
        if before // MEASURE_EVERY < run.tokens // MEASURE_EVERY:
            line += f"  tuning {run.measure(self.tuning):.4f}"
        print(line, flush=True)
        with (run.folder / f"{run.name}.log").open("a") as file:
            file.write(line + "\n")
        self.losses, self.since, self.started = [], run.tokens, time.time()


def main(arguments=None):
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", help=f"of {', '.join(PRESETS)}; all by default")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "tales")
    parser.add_argument("--start", type=Path, help="a folder of presets to begin with")
    parser.add_argument("--tell", type=int, metavar="N", help="only write N shards of tales")
    arguments = parser.parse_args(arguments)
    names, start = arguments.presets or list(PRESETS), arguments.start
    if unknown := [name for name in names if name not in PRESETS]:
        parser.error(f"unknown presets: {', '.join(unknown)}. There are: {', '.join(PRESETS)}")
    if start and (missing := [name for name in names if not (start / name).is_dir()]):
        parser.error(f"There is no {', '.join(missing)} in {start} to begin with.")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(arguments.folder / "compiled"))
    if arguments.tell is not None:
        tokenizer = train_tokenizer(arguments.folder, start)
        for number in range(arguments.tell):
            print(number, len(shard(number, tokenizer, arguments.folder)), flush=True)
        return
    for name in names:
        train(name, arguments.folder, start)


if __name__ == "__main__":
    main()
