"""Small tokenizers for tests, trained on the spot."""

import json

from falcon_edu.text.tokenizer import FalconTokenizer

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

END = "<|endoftext|>"
TALE = "The cat gave the dog a drum. The dog gave it back, café 👩‍🚀 and 42 more.\n"


def train(style="plain"):
    """A tokenizer of the tokenizers library.

    Args:
        style: `"plain"` splits text as GPT-2 and Falcon-RW do; `"falcon"` in four steps and with
            more special tokens, as falcon-7b's file has it.
    """
    trained = Tokenizer(models.BPE())
    steps = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    # Not END first: KerasHub pads with 0 and stops at any 0 if that is the id of END.
    special_tokens = ["<|first|>", END]
    if style == "falcon":
        steps = [
            pre_tokenizers.Punctuation("contiguous"),
            *steps,
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Split(pattern="42", behavior="isolated"),
        ]
        special_tokens = [">>TITLE<<", END]
    trained.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    trained.decoder = decoders.ByteLevel()
    trained.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator([TALE] * 3, trainer)
    return trained


def make(style="plain", **kwargs):
    """A `FalconTokenizer`: from vocabulary and merges if plain, from a definition otherwise."""
    definition = json.loads(train(style).to_str())
    if style == "plain":
        model = definition["model"]
        return FalconTokenizer(model["vocab"], model["merges"], **kwargs)
    return FalconTokenizer.from_tokenizer_json(definition, **kwargs)
