"""Trains the models that ship with the package, on tales drawn from our own grammar.

    python tools/train_tales.py falcon_tales_rw_en            # train or go on, write the preset
    python tools/train_tales.py --evaluate falcon_tales_rw_en # only print the evaluation

Training is seeded, shows its progress, logs every epoch to `build/<preset>/log.csv`, and goes on
from the last epoch when it was interrupted. The evaluation goes into the preset's metadata.
"""

import argparse
import json
import platform
import time
from itertools import islice
from pathlib import Path

from falcon_edu import FalconBackbone, FalconCausalLM, FalconCausalLMPreprocessor, FalconTokenizer
from falcon_edu.corpora import tale_stream, tales
from falcon_edu.evaluation import evaluate_on_tales, evaluation_table

import keras
import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "falcon_edu" / "presets" / "data"

VOCABULARY_SIZE = 1280
BATCH_SIZE = 16
LEARNING_RATE = 3e-3


def plan(first, tales, learning_rate, holding, warmup=50, shuffled=None, averaged=False):
    """One round of training: a learning rate that rises and falls, on tales from `first` on.

    Words that the grammar forces are few, and finding them takes a look back: their loss counts
    more, so that the heads that look back form early. Hardest is who holds which thing, so that
    counts most, `holding`. What is best for each context stays the same.

    Args:
        shuffled: seed of the order, where it is not the number of the round.
        averaged: ends with the mean of the weights before and after; only the last round may. It
            lies nearer to the middle of what different orders of the tales would have led to
            (Izmailov et al. 2018, https://arxiv.org/abs/1803.05407).
    """
    weights = {"fact": 5.0, "object": holding, "holder": holding}
    rates = {"learning_rate": learning_rate, "warmup": warmup}
    order = {"shuffled": shuffled, "averaged": averaged}
    return {"first": first, "tales": tales, **rates, "weights": weights, **order}


# All three models see the same 144,000 tales. With RoPE the holders count much from the beginning,
# with ALiBi from the second round on. How each ends was chosen by the evaluation: with a round in
# which holders count most, or with the mean of that and of what was before.
ROUNDS = {
    "falcon_tales_rw_en": (
        plan(0, 72_000, LEARNING_RATE, holding=5.0, warmup=200),
        plan(72_000, 12_000, LEARNING_RATE / 2, holding=20.0),
        plan(84_000, 24_000, LEARNING_RATE / 2, holding=25.0),
        plan(108_000, 36_000, LEARNING_RATE / 2, holding=60.0, averaged=True),
    ),
    "falcon_tales_7b_en": (
        plan(0, 72_000, LEARNING_RATE, holding=15.0, warmup=200),
        plan(72_000, 12_000, LEARNING_RATE / 2, holding=25.0),
        plan(84_000, 24_000, LEARNING_RATE / 2, holding=25.0),
        plan(96_000, 24_000, LEARNING_RATE / 3, holding=25.0),
        plan(120_000, 24_000, LEARNING_RATE / 2, holding=60.0, shuffled=3),
    ),
    "falcon_tales_40b_en": (
        plan(0, 72_000, LEARNING_RATE, holding=15.0, warmup=200),
        plan(72_000, 12_000, LEARNING_RATE / 2, holding=25.0),
        plan(84_000, 24_000, LEARNING_RATE / 2, holding=25.0),
        plan(96_000, 12_000, LEARNING_RATE / 2, holding=35.0),
        plan(108_000, 36_000, LEARNING_RATE / 2, holding=60.0, shuffled=3, averaged=True),
    ),
}
EPOCHS = 30  # stretches after which the training can go on

# Equal in depth, width and heads; the feed-forward width makes up for the heads that share keys
# and values, so that the three are of one size.
SHAPE = {"num_layers": 4, "num_attention_heads": 4, "hidden_dim": 128}
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
DESCRIPTIONS = {
    "falcon_tales_rw_en": "A small Falcon in the layout of Falcon-RW (ALiBi, sequential blocks)",
    "falcon_tales_7b_en": "A small Falcon in the layout of Falcon-7B (RoPE, multi-query, parallel)",
    "falcon_tales_40b_en": "A small Falcon in the layout of Falcon-40B (RoPE, grouped, two norms)",
}


def train_tokenizer():
    """Byte-level BPE, trained on tales in both voices."""
    texts = [tale.text for voice in ("plain", "captain") for tale in tales(5_000, voice=voice)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY_SIZE,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    definition = json.loads(tokenizer.to_str())["model"]
    merges = [" ".join(pair) for pair in definition["merges"]]
    return FalconTokenizer(vocabulary=definition["vocab"], merges=merges)


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


class Batches(keras.utils.PyDataset):
    """Tales of similar length in one batch, so that little is padding."""

    def __init__(self, token_ids, weights, seed, **kwargs):
        super().__init__(**kwargs)
        self.token_ids, self.weights = token_ids, weights
        rng = np.random.default_rng(seed)
        # Sorting inside chunks of a shuffled order keeps the batches different in every respect
        # but their length.
        order = rng.permutation(len(token_ids))
        chunk = 32 * BATCH_SIZE
        chunks = [order[i : i + chunk] for i in range(0, len(order), chunk)]
        lengths = np.array([len(ids) for ids in token_ids])
        order = np.concatenate([c[np.argsort(lengths[c], kind="stable")] for c in chunks])
        batches = len(order) // BATCH_SIZE
        self.batches = rng.permutation(order[: batches * BATCH_SIZE].reshape(batches, BATCH_SIZE))

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        rows = self.batches[index]
        width = -(-max(len(self.token_ids[i]) - 1 for i in rows) // 32) * 32
        ids = np.zeros((BATCH_SIZE, width + 1), "int32")
        weights = np.zeros((BATCH_SIZE, width + 1), "float32")
        for row, i in enumerate(rows):
            ids[row, : len(self.token_ids[i])] = self.token_ids[i]
            weights[row, : len(self.token_ids[i])] = self.weights[i]
        inputs = {"token_ids": ids[:, :-1], "padding_mask": (weights[:, 1:] > 0).astype("int32")}
        return inputs, ids[:, 1:], weights[:, 1:]


def tokenized_tales(tokenizer, stream, count, weights):
    """Tales as start token, text, end token; and how much the loss of each token counts.

    Args:
        tokenizer: a `FalconTokenizer`.
        stream: an iterator of tales.
        count: how many to take from it.
        weights: `{kind of fact: weight}`, with "fact" for all other kinds.
    """
    token_ids, token_weights = [], []
    for tale in islice(stream, count):
        text = tokenizer.tokenize(tale.text)
        spans = np.array(tokenizer.offsets(tale.text))  # (t, 2)
        weight = np.ones(len(text) + 2)
        for fact in tale.facts:
            inside = (spans[:, 0] < fact.end) & (spans[:, 1] > fact.start)
            weight[1:-1][inside] = weights.get(fact.kind, weights["fact"])
        token_ids.append(np.array([tokenizer.end_token_id, *text, tokenizer.end_token_id]))
        token_weights.append(weight)
        if len(token_ids) % 1_000 == 0:
            print(f"\rtales: {len(token_ids):,} of {count:,}", end="", flush=True)
    print()
    return token_ids, token_weights


class Rounds(keras.optimizers.schedules.LearningRateSchedule):
    """One cosine after the other.

    Args:
        schedules: `[(first step, schedule)]`.
    """

    def __init__(self, schedules):
        self.schedules = schedules

    def __call__(self, step):
        rate = 0.0
        for first, schedule in self.schedules:
            rate = keras.ops.where(step >= first, schedule(step - first), rate)
        return rate

    def get_config(self):
        return {"schedules": self.schedules}


def train(name):
    """Trains one preset and writes it, with its evaluation, into the package."""
    keras.utils.set_random_seed(0)
    build = ROOT / "build" / name
    build.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    schedules, tokens, seen = [], 0, 0
    batches: list[tuple[Batches, int]] = []
    for number, each in enumerate(ROUNDS[name]):
        stream = islice(tale_stream(seed=0), each["first"], None)
        token_ids, weights = tokenized_tales(tokenizer, stream, each["tales"], each["weights"])
        tokens += sum(map(len, token_ids[max(0, seen - each["first"]) :]))  # new ones only
        seen = max(seen, each["first"] + each["tales"])
        part = Batches(token_ids, weights, number if each["shuffled"] is None else each["shuffled"])
        schedule = keras.optimizers.schedules.CosineDecay(
            each["learning_rate"] / 50,
            len(part),
            alpha=0.01,
            warmup_target=each["learning_rate"],
            warmup_steps=each["warmup"],
        )
        last_round = len(batches)
        schedules.append((last_round, schedule))
        batches += [(part, index) for index in range(len(part))]
    backbone = FalconBackbone(VOCABULARY_SIZE, **SHAPE, **PRESETS[name], name=name)
    preprocessor = FalconCausalLMPreprocessor(tokenizer, sequence_length=256)
    causal_lm = FalconCausalLM(backbone, preprocessor)
    optimizer = MuonForHeads(
        Rounds(schedules), weight_decay=0.05, adam_weight_decay=None, adam_beta_2=0.98
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "embeddings"])
    causal_lm.compile(optimizer=optimizer, weighted_metrics=[])
    started = time.time()
    stretches = Stretches(batches, EPOCHS)
    # Keras looks at a first batch before it knows where it will go on.
    stretches.go_to(epochs_done(build / "backup"))
    before = SaveBefore(last_round, stretches, build / "before_last_round.weights.h5")
    causal_lm.fit(
        stretches,
        epochs=EPOCHS,
        shuffle=False,  # `Batches` are shuffled, and a resumed run needs the same order
        verbose="auto",
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=stretches.go_to),
            before,
            keras.callbacks.CSVLogger(build / "log.csv", append=True),
            keras.callbacks.BackupAndRestore(build / "backup", delete_checkpoint=False),
        ],
    )
    minutes = (time.time() - started) / 60
    if ROUNDS[name][-1]["averaged"]:
        after = causal_lm.get_weights()
        causal_lm.load_weights(before.path)
        pairs = zip(causal_lm.get_weights(), after, strict=True)
        causal_lm.set_weights([(a + b) / 2 for a, b in pairs])
    causal_lm.save_to_preset(DATA / name)
    write_metadata(name, causal_lm, tokens, minutes)


class SaveBefore(keras.callbacks.Callback):
    """Saves the weights as they are before a batch, counted over all stretches."""

    def __init__(self, batch, stretches, path):
        super().__init__()
        self.batch, self.stretches, self.path = batch, stretches, path

    def on_train_batch_begin(self, batch, logs=None):
        """Check that the batch is counted from the beginning of the stretch."""
        if self.stretches.stretch * len(self.stretches) + batch == self.batch:
            self.model.save_weights(self.path, overwrite=True)


def write_metadata(name, causal_lm, tokens, minutes):
    """Add the training run and the evaluation to the preset's metadata."""
    results = evaluate(causal_lm)
    print(evaluation_table({name: results}))
    path = DATA / name / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata |= {
        "description": f"{DESCRIPTIONS[name]}, trained on {tokens / 1e6:.0f}M tokens of tales.",
        "params": causal_lm.backbone.count_params(),
        "path": "falcon",
        "training": {
            "corpus": f"falcon_edu.corpora.tale_stream(seed=0), {tokens} tokens",
            "seed": 0,
            "optimizer": "Muon",
            "batch_size": BATCH_SIZE,
            "rounds": ROUNDS[name],
            "minutes": round(minutes),  # of the last start, where it was interrupted
            "versions": {"keras": keras.__version__, "python": platform.python_version()},
        },
        "evaluation": results,
    }
    path.write_text(json.dumps(metadata, indent=2) + "\n")


def evaluate(causal_lm):
    """Return the evaluation on held-out tales that the metadata reports."""
    return evaluate_on_tales(causal_lm, tales(1_000, seed=1, split="held_out"))


def epochs_done(backup):
    """Count the epochs that a folder of `BackupAndRestore` has behind it."""
    metadata = backup / "training_metadata.json"
    return json.loads(metadata.read_text())["epoch"] if metadata.is_file() else 0


class Stretches(keras.utils.PyDataset):
    """One pass over the batches, `(Batches, index)`, in stretches that Keras calls epochs."""

    def __init__(self, batches, count, **kwargs):
        super().__init__(**kwargs)
        self.batches, self.count, self.stretch = batches, count, 0

    def __len__(self):
        return len(self.batches) // self.count

    def __getitem__(self, index):
        part, place = self.batches[self.stretch * len(self) + index]
        return part[place]

    def go_to(self, epoch, logs=None):
        """Go on, after a fresh start or a resumed one."""
        self.stretch = epoch


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", help=f"of {', '.join(PRESETS)}; all by default")
    parser.add_argument("--evaluate", action="store_true", help="only evaluate what is there")
    arguments = parser.parse_args()
    names = arguments.presets or list(PRESETS)
    if unknown := [name for name in names if name not in PRESETS]:
        parser.error(f"unknown presets: {', '.join(unknown)}. There are: {', '.join(PRESETS)}")
    if arguments.evaluate:
        models = {name: FalconCausalLM.from_preset(name) for name in names}
        print(evaluation_table({name: evaluate(model) for name, model in models.items()}))
        return
    for name in names:
        train(name)


if __name__ == "__main__":
    main()
