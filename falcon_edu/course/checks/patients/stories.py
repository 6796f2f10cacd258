"""SPOILERS: what each patient has, why it is nothing else, and where it happened."""

from dataclasses import dataclass

SUSPECTS = {
    "alibi missing": "ALiBi is not added at all",
    "alibi twice": "ALiBi is added to the scores two times",
    "biases unsaved": "biases train along with an adapter, and its file does not hold them",
    "cache shifted": "the cache loses its last token",
    "early scaling": "the scores are scaled first, and ALiBi is added after that",
    "epsilon everywhere": "no norm uses the epsilon of the configuration",
    "epsilon in blocks": "the final norm uses the epsilon of the configuration, the others don't",
    "factors swapped": "an adapter's file holds the factors of one layer under another's name",
    "fused order": "fused heads are read as all queries, all keys, all values, not by group",
    "heads by turns": "query heads take turns at the key/value heads: 0, 1, 0, 1, not 0, 0, 1, 1",
    "mask added": "the mask is added to the scores as numbers 0 and 1",
    "no mask": "the mask is not used at all",
    "padding as text": "padding is looked at like any other token",
    "positions from padding": "positions begin at the padding, but padding is not looked at",
    "positions of new tokens": "with a cache, positions are counted over the new tokens alone",
    "positions rounded": "positions are held in bfloat16, which has eight significant bits",
    "softmax over queries": "the softmax is taken over queries, not over keys",
}


@dataclass(frozen=True)
class Story:
    """A patient's record.

    Args:
        suspect: key of `SUSPECTS`.
        why_not: for suspects that come close, what speaks against them.
        missed: what an examination that lets the patient pass probably forgot.
        text: where it happened.
    """

    suspect: str
    why_not: dict
    missed: str
    text: str


STORIES = {
    1: Story(
        "mask added",
        {
            "no mask": "then what is allowed and what is not would get the same. Here the allowed "
            "keys get more, by a factor that you know.",
            "softmax over queries": "then the rows would not sum to 1.",
            "padding as text": "there was no padding in that text.",
        },
        "it looks into the future. Compare what comes out before a token that you change.",
        "A mask can be true and false, or numbers to add: 0 where one may look, a huge negative "
        "number where not. Who adds the first as if it were the second adds 1 and 0, and hardly "
        "anything is masked. Torch for R did it to padding (mlverse/torch, pull request 1208), and "
        "transformers' eager attention to masks of true and false (pull request 41443, Qwen3).",
    ),
    2: Story(
        "padding as text",
        {
            "positions from padding": "then the map would be zero on the padding. And ALiBi would "
            "not notice: it adds the same to every key, and the softmax drops it.",
            "no mask": "then the future would be looked at, too, and it is not.",
            "mask added": "then right padding would change something as well, and the future would "
            "be looked at.",
        },
        "it goes wrong with padding on the left. On the right, causality hides it.",
        "Batches are padded on the left for generation, on the right for training, and code that "
        "was tried with the one meets the other. GPT-2 in transformers took padding into account "
        "when it counted places (issue 3021); nnsight fed it left-padded batches, and every prompt "
        "but the longest was wrong, without a word (pull request 673). That half of the defect "
        "spares Falcon, as you saw. Being looked at spares nobody.",
    ),
    3: Story(
        "positions of new tokens",
        {
            "cache shifted": "then every key but the last would keep its tilt. Here there is no "
            "tilt at all.",
            "alibi missing": "then reading would be wrong, too. Only writing is.",
            "positions rounded": "then short texts would be right, token by token as well.",
        },
        "it reads well and writes badly. Do both, and compare.",
        "KerasHub's Falcon built ALiBi over the tokens of the call. With a cache that is one "
        "token, at position 0, and slope times 0 was added to every score: no error, since it "
        "broadcasts. Generation ran without ALiBi from 2024 until version 0.32.0 (issue 2861, "
        "pull request 2977).",
    ),
    4: Story(
        "alibi twice",
        {
            "early scaling": "then the tilt would be the slope itself, at any head width. It is "
            "twice the healthy one, at any head width.",
            "alibi missing": "then there would be no tilt.",
            "positions rounded": "then the tilt would be right for the first 256 tokens.",
        },
        "its maps are too steep. Take the queries away, and measure the tilt that is left.",
        "transformers 5.23 adds ALiBi to the mask, and its eager attention adds it once more. "
        "The default path is right; ask for `output_attentions=True`, to look at the maps, and "
        "what you get is not what the model does, by up to half of all the weight.",
    ),
    5: Story(
        "early scaling",
        {
            "alibi twice": "then the tilt would be twice the healthy one. Here it is the slope "
            "itself, at any head width.",
            "alibi missing": "then there would be no tilt.",
            "positions rounded": "then the tilt would be right for the first 256 tokens.",
        },
        "its maps are too steep. Measure the tilt, at a head width other than 1.",
        "Falcon adds ALiBi, then scales; BLOOM scales, then adds. Each is right for its own "
        "weights. NVIDIA's TensorRT-Model-Connect ran Falcon-RW-1B like BLOOM, with ALiBi too "
        "strong by the root of the head width, and the model repeated one word for ever "
        "(pull request 32).",
    ),
    6: Story(
        "positions rounded",
        {
            "early scaling": "then short texts would be wrong, too.",
            "cache shifted": "there was no cache: it reads wrongly, beyond 256 tokens.",
            "alibi missing": "then short texts would be wrong, too.",
        },
        "its positions go wrong beyond the 256th. How long was your text?",
        "bfloat16 has eight significant bits: 256, then 258. transformers computes ALiBi in it, "
        "even in a float32 model. GPT-NeoX held RoPE's positions in it (pull request 1016), and "
        "so could not tell token 256 from 257.",
    ),
    7: Story(
        "epsilon in blocks",
        {
            "epsilon everywhere": "then the final norm would be wrong as well. Given the same "
            "input, it is right.",
            "softmax over queries": "then the shipped weights would be wrong, too.",
            "early scaling": "then the shipped weights would be wrong, too.",
        },
        "its blocks do not know the epsilon. Look at what comes out of the first block.",
        "KerasHub's Falcon passes `layer_norm_epsilon` to the final norm only (0.32.0; its BERT "
        "had the same, issue 642, and then 'all backbones', issue 728). All published Falcons use "
        "1e-5, which is the default, so nobody noticed: a setting that nobody changes is a setting "
        "that nobody tests.",
    ),
    8: Story(
        "fused order",
        {
            "heads by turns": "the weights themselves are in the wrong place; what is done with "
            "them after that is right.",
            "factors swapped": "there was no adapter.",
            "cache shifted": "there was no cache.",
        },
        "it takes groups for blocks. With one group there is no difference: use more.",
        "A published Falcon holds queries, keys and values in one matrix, group after group. "
        "With one group, as in Falcon-7B, that is also all queries, all keys, all values. A kernel "
        "that had learnt its trade there met Falcon-40B in Tenstorrent's tt-metal (issue 6243): "
        "every shape fitted, and the correlation with the right values was 0.05.",
    ),
    9: Story(
        "biases unsaved",
        {
            "factors swapped": "then the factors would come back in the wrong layers. They came "
            "back right; something that is no factor did not come back at all.",
            "epsilon everywhere": "the configuration is the same before and after.",
            "early scaling": "the forward pass is the same before and after.",
        },
        "what it trains it does not save. Change everything that is trainable, then save and load.",
        "KerasHub 0.32 makes a layer trainable again before it adds the factors, bias and all, and "
        "saves the factors only. PEFT had its own version: with `bias='lora_only'` it trained "
        "biases and looked for them under another name when saving (issue 3306).",
    ),
}
