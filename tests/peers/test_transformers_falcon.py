"""What the tests of transformers ask of its Falcon, asked of ours, with models that it has made.

Its wheel has no tests. Of those that its repository has for Falcon, and of those that all its
models share, each either has its like here, or elsewhere in these tests (`ELSEWHERE`), or does not
apply (`DOES_NOT_APPLY`).
"""

import json
from pathlib import Path

from falcon_edu import FalconBackbone, FalconCausalLM

import numpy as np
import pytest

pytestmark = pytest.mark.peers

ELSEWHERE = {
    "attention weights of the eager model": (
        "test_attention_weights_are_those_of_eager_transformers_with_rope"
    ),
    "hidden states of every layer": "test_hidden_states_and_logits_are_those_of_transformers",
    "number of parameters": "test_transformers_counts_as_many_parameters_in_the_checkpoints",
    "save and load, whole and in shards": "test_transformers_loads_what_is_exported_here",
    "half precision": "test_half_precision_checkpoints",
    "initial values": "test_a_new_backbone_starts_as_falcon_does",
    "tokenizers": "test_tokenizers_travel_to_transformers_and_back",
}
DOES_NOT_APPLY = {
    "encoder states and cross-attention": "transformers' Falcon takes and ignores them",
    "inputs_embeds": "a backbone starts at ids; `tail_model` starts anywhere in between",
    "resize_token_embeddings": "a model's vocabulary is fixed when it is made",
    "pruning and masks of heads": "transformers leaves them out for Falcon; here `ablate_heads`",
    "labels for sequences and tokens, problem types, zero-shot pipelines": (
        "there is no classifier: its checkpoint loads without the head, with a warning"
    ),
    "assisted, contrastive and grouped decoding": "`generate` has five samplers, and not these",
    "static, quantized and offloaded caches": "the cache has one form, of fixed size",
    "flash and flex attention, torch.compile, torch.fx, gradient checkpointing, DeepSpeed": (
        "tools of PyTorch"
    ),
    "texts that published weights go on with": "these weights are not here, and take gigabytes",
    "bitsandbytes": "its checkpoints are refused; int8 is Keras's",
}

SIZES = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
CONFIGS = {
    "new": {"new_decoder_architecture": True},
    "new_alibi": {"new_decoder_architecture": True, "alibi": True},
    "new_grouped": {"new_decoder_architecture": True, "num_kv_heads": 2},
    "new_one_norm": {"new_decoder_architecture": True, "num_ln_in_parallel_attn": 1},
    "multi_query": {"multi_query": True},
    "sequential": {"multi_query": False, "parallel_attn": False, "alibi": True, "bias": True},
}
ROPE = [name for name, config in CONFIGS.items() if not config.get("alibi")]
IDS = np.random.default_rng(0).integers(0, 99, (3, 7)).astype("int32")
X = {"token_ids": IDS, "padding_mask": np.ones_like(IDS)}
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def make(folder, name="FalconForCausalLM", **config):
    """A model of transformers, in a folder too, and with weights that differ enough."""
    import torch
    import transformers

    torch.manual_seed(0)
    # Where transformers is right: see `test_parity`.
    attention = "sdpa" if config.get("alibi") else "eager"
    config = transformers.FalconConfig(**SIZES, **config, attn_implementation=attention)
    theirs = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(5 if parameter.ndim == 2 else 1).add_(0.1 * torch.randn_like(parameter))
    theirs.save_pretrained(folder)
    return theirs


def load(folder, **options):
    return FalconCausalLM.from_preset(folder, preprocessor=None, **options)


def logits_of(theirs, ids, **options):
    import torch

    with torch.no_grad():
        return theirs(torch.tensor(ids, dtype=torch.long), **options).logits.numpy()


def continued(theirs, ids, mask=None, **options):
    """What transformers makes of prompts without looking for an end: `(b, t)`."""
    import torch

    ids = torch.tensor(ids, dtype=torch.long)
    mask = torch.ones_like(ids) if mask is None else torch.tensor(mask, dtype=torch.long)
    return theirs.generate(
        ids, attention_mask=mask, do_sample=False, eos_token_id=-1, pad_token_id=0, **options
    ).numpy()


def prompts(ids, length, mask=None):
    """A token dict with room up to a length."""
    mask = np.ones_like(ids) if mask is None else mask
    return {
        name: np.pad(x, ((0, 0), (0, length - x.shape[1])))
        for name, x in {"token_ids": ids, "padding_mask": mask}.items()
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_shapes_and_numbers_of_each_configuration(name, tmp_path):
    theirs = make(tmp_path, **CONFIGS[name])
    ours = load(tmp_path)
    assert ours.backbone(X).shape == (3, 7, 32)
    np.testing.assert_allclose(ours(X), logits_of(theirs, IDS), **CLOSE)
    for i in range(3):  # alone as in the batch
        alone = {key: x[i : i + 1] for key, x in X.items()}
        np.testing.assert_allclose(ours(alone)[0], ours(X)[i], **CLOSE)


@pytest.mark.parametrize("name", CONFIGS)
def test_padding_in_front_changes_nothing(name, tmp_path):
    make(tmp_path, **CONFIGS[name])
    ours = load(tmp_path)
    padded = {key: np.pad(x, ((0, 0), (4, 0))) for key, x in X.items()}
    np.testing.assert_allclose(ours(padded)[:, 4:], ours(X), **CLOSE)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_cache_holds_the_keys_and_values_of_transformers(name, tmp_path):
    import torch

    theirs, config = make(tmp_path, **CONFIGS[name]), CONFIGS[name]
    ours = load(tmp_path)
    with torch.no_grad():
        expected = theirs(torch.tensor(IDS, dtype=torch.long), use_cache=True).past_key_values
    heads = ours.backbone.config.key_value_heads
    cache = ours.build_cache(3, 7)
    *_, cache = ours.call_with_cache(IDS, cache, 0)
    assert len(cache) == 2
    for i, pair in enumerate(cache):
        layer = expected.layers[i]
        for got, wanted in zip(pair, (layer.keys, layer.values), strict=True):
            assert got.shape == (3, 7, heads, 8)  # (b, k, g, h)
            wanted = np.moveaxis(wanted.numpy(), 1, 2)
            # There the new blocks keep each key and value once for every query head.
            wanted = wanted[:, :, :: wanted.shape[2] // heads]
            if config.get("alibi") or got is pair[1]:
                np.testing.assert_allclose(got, wanted, **CLOSE)
            else:  # turned by RoPE, up to the order of the halves
                lengths = [np.linalg.norm(x, axis=-1) for x in (got, wanted)]
                np.testing.assert_allclose(*lengths, **CLOSE)


@pytest.mark.parametrize("name", CONFIGS)
def test_tokens_after_a_cache_are_as_without(name, tmp_path):
    make(tmp_path, **CONFIGS[name])
    ours = load(tmp_path)
    *_, cache = ours.call_with_cache(IDS[:, :4], ours.build_cache(3, 7), 0)
    logits, *_ = ours.call_with_cache(IDS[:, 4:], cache, 4)
    np.testing.assert_allclose(logits, ours(X)[:, 4:], **CLOSE)


@pytest.mark.parametrize("name", ROPE)
def test_greedy_texts_are_those_of_transformers_with_and_without_its_cache(name, tmp_path):
    theirs = make(tmp_path, **CONFIGS[name])
    ours = load(tmp_path)
    ours.compile(sampler="greedy")
    got = ours.generate(prompts(IDS, 20), stop_token_ids=None)["token_ids"]
    for use_cache in (True, False):
        expected = continued(theirs, IDS, max_new_tokens=13, use_cache=use_cache)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", ROPE)
def test_prompts_padded_in_front_go_on_as_alone(name, tmp_path):
    theirs = make(tmp_path, **CONFIGS[name])
    ours = load(tmp_path)
    ours.compile(sampler="greedy")
    mask = (np.arange(7) >= np.array([[0], [3], [5]])).astype("int32")
    batch = ours.generate(prompts(IDS, 20, mask), stop_token_ids=None)
    expected = continued(theirs, IDS, mask, max_new_tokens=13)
    for i, length in enumerate(mask.sum(axis=1)):
        alone = ours.generate(
            prompts(IDS[i : i + 1, 7 - length :], 20), stop_token_ids=None, max_length=20
        )
        np.testing.assert_array_equal(batch["token_ids"][i], alone["token_ids"][0])
        kept = batch["token_ids"][i, : length + 13]
        np.testing.assert_array_equal(kept, expected[i, 7 - length :])


def test_every_sampler_runs_on_every_architecture(tmp_path):
    for name in CONFIGS:
        make(tmp_path / name, **CONFIGS[name])
        ours = load(tmp_path / name)
        for sampler in ("greedy", "top_k", "beam"):
            ours.compile(sampler=sampler)
            outputs = ours.generate(prompts(IDS[:1], 11), stop_token_ids=None)
            assert outputs["padding_mask"].all()


def test_the_loss_of_labels_and_its_gradients_are_those_of_transformers(tmp_path):
    import jax
    import torch

    theirs = make(tmp_path, **CONFIGS["new_grouped"])
    ids = torch.tensor(IDS, dtype=torch.long)
    loss = theirs(ids, labels=ids).loss
    loss.backward()
    ours = load(tmp_path)
    np.testing.assert_allclose(ours.evaluate(X, verbose=0)[0], loss.item(), rtol=1e-5)

    def loss_of(values):
        others = [v.value for v in ours.non_trainable_variables]
        logits, _ = ours.stateless_call(values, others, X)
        chosen = jax.nn.log_softmax(logits[:, :-1])
        return -jax.numpy.take_along_axis(chosen, IDS[:, 1:, None], axis=2).mean()

    gradients = jax.grad(loss_of)([v.value for v in ours.trainable_variables])
    assert all(float(abs(x).max()) > 0 for x in gradients)
    names = [v.path for v in ours.trainable_variables]
    embedding = gradients[names.index("token_embedding/embeddings")]
    wanted = theirs.transformer.word_embeddings.weight.grad.numpy()
    np.testing.assert_allclose(embedding, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "FalconForSequenceClassification",
        "FalconForTokenClassification",
        "FalconForQuestionAnswering",
    ],
)
def test_a_checkpoint_with_another_head_loads_without_it(name, tmp_path):
    import torch

    theirs = make(tmp_path, name, **CONFIGS["new"])
    with pytest.warns(UserWarning, match=r"score|classifier|qa_outputs"):
        ours = FalconBackbone.from_preset(tmp_path)
    with torch.no_grad():
        wanted = theirs.transformer(torch.tensor(IDS, dtype=torch.long)).last_hidden_state
    np.testing.assert_allclose(ours(X), wanted.numpy(), **CLOSE)


@pytest.mark.parametrize("kind", ["linear", "dynamic", "yarn"])
def test_scaled_rope_is_refused_in_words(kind, tmp_path):
    scaling = {"rope_type": kind, "factor": 10.0, "rope_theta": 10_000.0}
    make(tmp_path, rope_parameters=scaling, max_position_embeddings=64, **CONFIGS["new"])
    with pytest.raises(ValueError, match=f"rope_parameters.*{kind}"):
        load(tmp_path)
    # As it was written before version 5.
    config = json.loads((tmp_path / "config.json").read_text())
    del config["rope_parameters"]
    config["rope_scaling"] = {"type": kind, "factor": 10.0}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=f"rope_scaling.*{kind}"):
        load(tmp_path)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_comes_back_as_it_was(name, tmp_path):
    from transformers import FalconConfig

    config = FalconConfig(**SIZES, **CONFIGS[name])
    config.save_pretrained(tmp_path / "theirs")
    ours = FalconBackbone.from_preset(tmp_path / "theirs", load_weights=False)
    ours.export_to_transformers(tmp_path / "ours")
    again = FalconBackbone.from_preset(tmp_path / "ours", load_weights=False)
    assert again.config == ours.config
    back = FalconConfig.from_pretrained(tmp_path / "ours")
    for field in ("alibi", "bias", "parallel_attn", "ffn_hidden_size", "layer_norm_epsilon"):
        assert getattr(back, field) == getattr(config, field), field


def test_what_is_tested_elsewhere_is():
    tests = Path(__file__).resolve().parents[1]
    text = "".join(path.read_text("utf-8") for path in tests.rglob("test_*.py"))
    assert all(f"def {name}(" in text for name in ELSEWHERE.values())
    assert not ELSEWHERE.keys() & DOES_NOT_APPLY.keys()
