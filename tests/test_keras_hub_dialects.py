"""Presets as KerasNLP and KerasHub 0.17 to 0.32 wrote them: the same model, whatever the dialect.

A dialect is a function that rewrites a preset of ours the way a version would have written it. The
differences are those of files that these versions really saved: names of packages, how the type of
numbers is told, which fields and files there are, and what the layers are called in HDF5.
"""

import json
import shutil

from falcon_edu import Backbone, FalconCausalLM, FalconCausalLMPreprocessor
from tests.layouts import build
from tests.small_tokenizers import TALE, make

import h5py
import numpy as np
import pytest

SHARDED = 80_000 / 1024**3  # gigabytes: some files for the tiny model
OLD_LAYERS = "_layer_checkpoint_dependencies"


def edit(path, change):
    """Changes a JSON file, at its top and in the layers that are described inside it."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def layers_in(content):
    """Every description of a layer or model in a file's content."""
    if "class_name" in content and "config" in content:
        yield content
    for value in content.values():
        if isinstance(value, dict):
            yield from layers_in(value)


def rename_package(folder):
    """KerasNLP, before it was KerasHub."""
    for name in ("config.json", "tokenizer.json", "preprocessor.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("keras_hub", "keras_nlp"))


def old_fields(folder):
    """KerasNLP up to 0.11 also listed the files of a preset, and said more of how it was made."""

    def add(content):
        content |= {"assets": ["assets/tokenizer/merges.txt"], "weights": "model.weights.h5"}
        content |= {"compile_config": {"optimizer": "adam"}, "build_config": None}

    for name in ("config.json", "tokenizer.json"):
        edit(folder / name, add)


def policy_as(dtype):
    """Types as a string, as Keras 3.0 wrote them, or as one of the policies of later versions."""

    def rewrite(folder):
        def change(content):
            for layer in list(layers_in(content)):
                if "Policy" not in layer["class_name"]:
                    named = "int32" if layer["class_name"] == "FalconTokenizer" else "bfloat16"
                    layer["config"]["dtype"] = dtype(named)

        for name in ("config.json", "tokenizer.json", "preprocessor.json"):
            edit(folder / name, change)

    return rewrite


def float_policy(name):
    """As Keras 3.2 wrote it."""
    return {
        "module": "keras.src.dtype_policies.dtype_policy",
        "class_name": "FloatDTypePolicy",
        "config": {"name": name},
        "registered_name": "FloatDTypePolicy",
    }


def policy_map(name):
    """As Keras writes it where layers differ."""
    default = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}}
    return {
        "module": "keras.dtype_policies",
        "class_name": "DTypePolicyMap",
        "config": {"default_policy": default, "policy_map": {}, "name": name},
        "registered_name": "DTypePolicyMap",
    }


def no_files_but_the_first(folder):
    """Before there were tasks and metadata."""
    (folder / "metadata.json").unlink()


def old_metadata(folder):
    def change(content):
        content.pop("tasks")
        content.pop("falcon_edu_version")
        content |= {"keras_version": "3.1.1", "keras_nlp_version": "0.9.3"}

    edit(folder / "metadata.json", change)


def a_task(folder):
    """What KerasHub leaves beside the backbone for a whole task."""
    (folder / "task.json").write_text(json.dumps({"class_name": "FalconCausalLM", "config": {}}))


def old_layer_names(folder):
    for path in folder.glob("*.h5"):
        with h5py.File(path, "a") as file:
            file.move("layers", OLD_LAYERS)


def an_optimizer_and_dropout(folder):
    """State that Keras saves with a model that was compiled, or that drops out."""
    with h5py.File(next(folder.glob("*.h5")), "a") as file:
        file["optimizer/vars/0"] = np.int64(3)
        seed = "attention_dropout/seed_generator/vars/0"
        file[f"layers/falcon_transformer_decoder/{seed}"] = np.zeros(2, "uint32")


DIALECTS = {
    "KerasNLP": [rename_package],
    "KerasNLP with lists of files": [rename_package, old_fields],
    "KerasNLP with types as strings": [rename_package, policy_as(str), old_metadata],
    "KerasHub with the policies of Keras 3.2": [policy_as(float_policy)],
    "KerasHub with a map of policies": [policy_as(policy_map)],
    "without metadata": [no_files_but_the_first],
    "with a task": [a_task],
    "with the layers' old name": [old_layer_names],
    "with other state": [an_optimizer_and_dropout],
    "all that is old": [rename_package, old_fields, old_layer_names, policy_as(str)],
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A causal LM, and the folder of its presets: in a single file and in shards."""
    tokenizer = make()
    backbone = build("rw", vocabulary_size=tokenizer.vocabulary_size())
    causal_lm = FalconCausalLM(backbone, FalconCausalLMPreprocessor(tokenizer, 20))
    folder = tmp_path_factory.mktemp("saved")
    causal_lm.save_to_preset(folder / "single")
    causal_lm.save_to_preset(folder / "sharded", max_shard_size=SHARDED)
    assert len(list((folder / "sharded").glob("*.h5"))) > 1
    return causal_lm, folder


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("files", ["single", "sharded"])
def test_dialects(saved, tmp_path, dialect, files):
    causal_lm, folder = saved
    shutil.copytree(folder / files, tmp_path / "preset")
    for rewrite in DIALECTS[dialect]:
        rewrite(tmp_path / "preset")
    loaded = FalconCausalLM.from_preset(tmp_path / "preset")
    assert loaded.backbone.config == causal_lm.backbone.config
    assert loaded.backbone.dtype_policy.name == "float32"  # the default here, whatever it was there
    ours, theirs = causal_lm.backbone.get_weights(), loaded.backbone.get_weights()
    assert all(map(np.array_equal, ours, theirs))
    assert loaded.preprocessor.sequence_length == 20
    tokens = loaded.preprocessor.tokenizer(TALE)
    assert tokens.dtype == "int32"
    assert tokens.tolist() == causal_lm.preprocessor.tokenizer(TALE).tolist()


def test_quantized_weights_are_refused_in_words(saved, tmp_path):
    """KerasHub also saves int8 weights with their scales, which no Falcon here has."""
    shutil.copytree(saved[1] / "single", tmp_path / "preset")
    policy_as(policy_map)(tmp_path / "preset")
    dense = "layers/falcon_transformer_decoder/dense_h_to_4h/vars"
    with h5py.File(tmp_path / "preset/model.weights.h5", "a") as file:
        del file[f"{dense}/0"]
        file[f"{dense}/0"] = np.ones((48, 80), "int8")
        file[f"{dense}/2"] = np.ones(80, "float32")
    with pytest.raises(ValueError, match=r"nothing was loaded") as caught:
        Backbone.from_preset(tmp_path / "preset")
    assert f"unexpected: {dense}/2; no floating-point numbers: {dense}/0 is int8" in str(
        caught.value
    )
