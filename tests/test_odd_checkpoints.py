"""Checkpoints that say one thing and hold another: used rightly, with a warning that says how."""

import json
import warnings

from falcon_edu import Backbone, FalconCausalLM
from falcon_edu.presets import describe_preset, weights
from tests.layouts import build
from tests.pytorch_writer import pickled, write_archive, write_pytorch

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

HEAD, EMBEDDING = "lm_head.weight", "transformer.word_embeddings.weight"
FILES = {
    "safetensors": ("model.safetensors", "model-{}.safetensors", save_file),
    "bin": ("pytorch_model.bin", "pytorch_model-{}.bin", None),
}
KINDS = [(kind, shards) for kind in FILES for shards in (1, 3)]


def rewrite(folder, kind, shards, **tensors):
    """Writes a checkpoint anew in files of a kind, with some tensors added or replaced."""
    single, pattern, write = FILES[kind]
    held = load_file(folder / "model.safetensors") | tensors
    (folder / "model.safetensors").unlink()
    write = write or (lambda tensors, path: write_pytorch(path, tensors))
    if shards == 1:
        write(held, folder / single)
        return
    places = {}
    for shard in range(shards):
        names = list(held)[shard::shards]
        write({name: held[name] for name in names}, folder / pattern.format(shard))
        places |= dict.fromkeys(names, pattern.format(shard))
    (folder / f"{single}.index.json").write_text(json.dumps({"weight_map": places}))


@pytest.fixture
def rw(tmp_path):
    """A model with a tied head, and its checkpoint."""
    backbone = build("rw")
    backbone.export_to_transformers(tmp_path / "falcon")
    return backbone, tmp_path / "falcon"


def logits_of_head(backbone, head):
    ids = np.array([[1, 2, 3]])
    outputs = backbone({"token_ids": ids, "padding_mask": np.ones_like(ids)})
    return keras.ops.convert_to_numpy(outputs) @ head.T


# === Heads ===


@pytest.mark.parametrize(("kind", "shards"), KINDS)
def test_a_head_that_differs_from_the_embedding_is_used(rw, kind, shards):
    backbone, folder = rw
    head = np.random.default_rng(21).normal(size=(40, 48)).astype("float32")
    rewrite(folder, kind, shards, **{HEAD: head})
    with pytest.warns(UserWarning, match="falcon.*a head of their own"):
        lm = FalconCausalLM(Backbone.from_preset(folder, alibi_dtype=None))
    assert not lm.backbone.config.tie_word_embeddings
    ids = np.array([[1, 2, 3]])
    logits = lm.predict({"token_ids": ids, "padding_mask": np.ones_like(ids)}, verbose=0)
    np.testing.assert_allclose(logits, logits_of_head(backbone, head), atol=1e-4)
    assert "untied head" in describe_preset(folder)["architecture"]


@pytest.mark.parametrize("number", [0.5, float("nan")])
def test_one_number_makes_a_head_of_its_own(rw, number):
    _, folder = rw
    head = load_file(folder / "model.safetensors")[EMBEDDING]
    head[-1, -1] = number
    rewrite(folder, "safetensors", 1, **{HEAD: head})
    with pytest.warns(UserWarning, match="a head of their own"):
        backbone = Backbone.from_preset(folder)
    found = keras.ops.convert_to_numpy(backbone.token_embedding.reverse_embeddings)
    np.testing.assert_array_equal(found.T, head)


@pytest.mark.parametrize(("kind", "shards"), KINDS)
def test_a_copy_of_the_embedding_is_no_head(rw, kind, shards):
    _, folder = rw
    rewrite(folder, kind, shards, **{HEAD: load_file(folder / "model.safetensors")[EMBEDDING]})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert Backbone.from_preset(folder).config.tie_word_embeddings


def test_a_head_in_the_embeddings_own_place_is_not_read_twice(tmp_path):
    """PyTorch writes tied weights so: two tensors, one storage."""
    build("rw").export_to_transformers(tmp_path)
    arrays = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    names = [*arrays]
    place = names.index(EMBEDDING)

    def share(arguments):
        return (shared[0], *arguments[1:]) if arguments[0].pid[2] == str(len(names)) else arguments

    shared = []

    def keep(arguments):
        if arguments[0].pid[2] == str(place):
            shared.append(arguments[0])
        return share(arguments)

    data = pickled({**arrays, HEAD: arrays[EMBEDDING]}, keep)
    write_archive(tmp_path / "pytorch_model.bin", data, arrays.values())
    assert Backbone.from_preset(tmp_path).config.tie_word_embeddings


def test_a_tied_head_alone_is_enough(rw):
    backbone, folder = rw
    tensors = load_file(folder / "model.safetensors")
    tensors[HEAD] = tensors.pop(EMBEDDING)
    save_file(tensors, folder / "model.safetensors")
    loaded = Backbone.from_preset(folder, alibi_dtype=None)
    for ours, theirs in zip(loaded.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_who_asks_for_a_tie_gets_it(rw):
    _, folder = rw
    rewrite(folder, "safetensors", 1, **{HEAD: np.ones((40, 48), "float32")})
    assert Backbone.from_preset(folder, tie_word_embeddings=True).config.tie_word_embeddings


@pytest.mark.parametrize("head", [np.ones((41, 48), "float32"), np.ones((40, 48), "int32")])
def test_a_head_that_does_not_fit_is_refused(rw, head):
    _, folder = rw
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, HEAD: head}, folder / "model.safetensors")
    with (
        pytest.warns(UserWarning, match="a head of their own"),
        pytest.raises(ValueError, match=r"falcon do not fit.*lm_head\.weight is"),
    ):
        Backbone.from_preset(folder)


@pytest.mark.parametrize(("kind", "shards"), KINDS)
@pytest.mark.parametrize(
    "names", [["score.weight"], ["classifier.weight", "classifier.bias"], ["qa_outputs.bias"]]
)
def test_the_head_of_a_classifier_is_left_out_with_a_warning(rw, kind, shards, names):
    backbone, folder = rw
    rewrite(folder, kind, shards, **{name: np.ones((2, 48), "float32") for name in names})
    with pytest.warns(UserWarning, match=f"falcon is a classifier.*{names[0]}"):
        loaded = Backbone.from_preset(folder, alibi_dtype=None)
    for ours, theirs in zip(loaded.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_classifier_of_an_untied_falcon_says_how_it_loads(tmp_path):
    build("falcon2_11b").export_to_transformers(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors[HEAD]
    save_file(
        {**tensors, "score.weight": np.ones((2, 48), "float32")}, tmp_path / "model.safetensors"
    )
    with (
        pytest.warns(UserWarning, match=r"no head for words.*`tie_word_embeddings=True`"),
        pytest.raises(ValueError, match=r"missing: lm_head\.weight"),
    ):
        Backbone.from_preset(tmp_path)
    with pytest.warns(UserWarning, match=r"score\.weight"):
        assert Backbone.from_preset(tmp_path, tie_word_embeddings=True).count_params() > 0


# === Numbers that are not finite ===


@pytest.mark.parametrize(("kind", "shards"), KINDS)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_named(rw, kind, shards, number):
    _, folder = rw
    name = "transformer.h.1.self_attention.query_key_value.weight"
    broken = load_file(folder / "model.safetensors")[name]
    broken[-1, -1] = number
    rewrite(folder, kind, shards, **{name: broken})
    with pytest.warns(UserWarning, match=rf"falcon has weights.*: {name}\. They") as caught:
        loaded = Backbone.from_preset(folder)
    assert len([w for w in caught if "infinite" in str(w.message)]) == 1
    value = loaded.transformer_layers[1].attention_layer.value_dense.kernel
    assert not np.isfinite(keras.ops.convert_to_numpy(value)).all()


def test_weights_of_keras_hub_that_are_not_finite_are_named(tmp_path):
    backbone = build("rw")
    backbone.final_layernorm.gamma.assign(np.full(48, np.nan))
    backbone.save_to_preset(tmp_path / "falcon")
    with pytest.warns(UserWarning, match=r"falcon has weights.*layers/layer_normalization/vars/0"):
        Backbone.from_preset(tmp_path / "falcon")


def test_weights_that_the_model_can_not_hold_are_named(rw):
    _, folder = rw
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.ln_f.weight"][0] = 1e6
    save_file(tensors, folder / "model.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        Backbone.from_preset(folder, dtype="bfloat16")
    with pytest.warns(UserWarning, match=r"in this model's dtype: transformer\.ln_f\.weight"):
        Backbone.from_preset(folder, dtype="float16")


def test_eight_bits_can_not_hold_infinity(rw):
    _, folder = rw
    name = "transformer.h.0.mlp.dense_h_to_4h.weight"
    tensors = load_file(folder / "model.safetensors")
    tensors[name][3, 3] = np.inf
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match=f"falcon could not be read.*quantized.*{name}"):
        Backbone.from_preset(folder, dtype="int8")


def test_for_a_model_that_can_not_be_made_no_values_are_drawn():
    """Keras would draw them all, gigabytes perhaps, before the error is seen."""
    drawn = []

    def make():
        def initializer(shape, dtype=None):
            drawn.append(shape)
            return keras.ops.zeros(shape, dtype)

        keras.layers.Dense(3, kernel_initializer=initializer).build((None, 2))
        raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        weights.load_backbone(make, {}, [])
    with keras.StatelessScope():
        pass
    assert drawn == []
