"""Adapters of peft, made here as peft writes them, are merged exactly, whole or not at all."""

import json

from falcon_edu import merge_peft_adapter
from falcon_edu.presets.transformers import weight_table
from falcon_edu.presets.weights import weight_value
from tests.layouts import LAYOUTS, build
from tests.pytorch_writer import write_pytorch

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

SAFETENSORS = "adapter_model.safetensors"
LINEAR = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
IN_TRANSFORMERS = [name for name in LAYOUTS if name != "grouped_alibi_sequential"]


def write_adapter(folder, backbone, targets=LINEAR, rank=3, **changes):
    """An adapter with random factors; the updates that it means, by tensor."""
    rng = np.random.default_rng(0)
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 12, "bias": "none", **changes}
    factors, updates = {}, {}
    for entry in weight_table(backbone.config):
        module, _, kind = entry.name.rpartition(".")
        if kind == "weight" and module.rpartition(".")[2] in targets:
            out, width = entry.shape
            a = rng.normal(size=(rank, width)).astype("float32")
            b = rng.normal(size=(out, rank)).astype("float32")
            factors[f"base_model.model.{module}.lora_A.weight"] = a
            factors[f"base_model.model.{module}.lora_B.weight"] = b
            updates[entry.name] = b @ a
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(factors, folder / "adapter_model.safetensors")
    return updates


def tensors_of(backbone):
    """The weights as transformers has them."""
    return {
        entry.name: entry.join([weight_value(backbone, path) for path in entry.weights])
        for entry in weight_table(backbone.config)
    }


@pytest.mark.parametrize("layout", IN_TRANSFORMERS)
@pytest.mark.parametrize("targets", [LINEAR, ("query_key_value",)])
def test_update_is_added_and_nothing_else_changes(tmp_path, layout, targets):
    backbone = build(layout)
    before = tensors_of(backbone)
    updates = write_adapter(tmp_path / "adapter", backbone, targets)
    merge_peft_adapter(backbone, tmp_path / "adapter")
    for name, tensor in tensors_of(backbone).items():
        wanted = before[name] + 12 / 3 * updates[name] if name in updates else before[name]
        np.testing.assert_allclose(tensor, wanted, rtol=1e-5, atol=1e-5)
    assert len(updates) == len(targets) * backbone.num_layers


@pytest.mark.parametrize(
    ("changes", "scaling"),
    [
        ({"use_rslora": True}, 12 / np.sqrt(3)),
        ({"alpha_pattern": {"query_key_value": 6}}, 2),
        ({"alpha_pattern": {"key_value": 6}}, 4),
        ({"alpha_pattern": {"attention.query_key_value": 6}}, 4),
        ({"alpha_pattern": {"self_attention.query_key_value": 6, "query_key_value": 3}}, 2),
        ({"rank_pattern": {"query_key_value": 3}, "r": 7}, 4),
    ],
)
def test_scaling(tmp_path, changes, scaling):
    backbone = build("7b")
    before = tensors_of(backbone)
    updates = write_adapter(tmp_path / "adapter", backbone, ("query_key_value",), **changes)
    merge_peft_adapter(backbone, tmp_path / "adapter")
    name = next(iter(updates))
    wanted = before[name] + scaling * updates[name]
    np.testing.assert_allclose(tensors_of(backbone)[name], wanted, rtol=1e-5, atol=1e-5)


def spoil_factors(change):
    def spoil(folder):
        factors = load_file(folder / "adapter_model.safetensors")
        change(factors)
        save_file(factors, folder / "adapter_model.safetensors")

    return spoil


def without_b(factors):
    factors.pop(next(name for name in factors if "lora_B" in name))


def transposed(factors):
    name = next(iter(factors))
    factors[name] = np.ascontiguousarray(factors[name].T)


def without_rank(factors):
    for name, value in factors.items():
        factors[name] = value[:0] if "lora_A" in name else value[:, :0]


def whole_numbers(factors):
    for name, value in factors.items():
        factors[name] = value.astype("int64")


def not_finite(factors):
    factors[next(iter(factors))][:] = np.nan


def of_another_model(factors):
    factors["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"] = np.ones((3, 8))


@pytest.mark.parametrize(
    ("changes", "spoil", "message"),
    [
        ({"peft_type": "IA3"}, None, "must be 'LORA'"),
        ({"use_dora": True}, None, "`use_dora`"),
        ({"bias": "all"}, None, "`bias`"),
        ({"modules_to_save": ["lm_head"]}, None, "`modules_to_save`"),
        ({"r": 0}, None, "`r` in .* must be a number above 0"),
        ({"r": 2.7}, None, "`r` in .* whole number. Received: 2.7"),
        ({"r": float("inf")}, None, "`r` in .* below a billion. Received: inf"),
        ({"r": 1e300}, None, "`r`"),
        ({"r": True}, None, "`r`"),
        ({"lora_alpha": "much"}, None, "`lora_alpha`"),
        ({"lora_alpha": float("inf")}, None, "`lora_alpha`"),
        ({"lora_alpha": float("nan")}, None, "`lora_alpha`"),
        ({"lora_alpha": 1e300}, None, "`lora_alpha`"),
        ({"use_rslora": "no"}, None, "`use_rslora`"),
        ({"lora_alpha": 10**400}, None, "`lora_alpha`"),
        ({"alpha_pattern": [1]}, None, "`alpha_pattern`"),
        ({"alpha_pattern": {"dense": "x"}}, None, "`alpha_pattern`"),
        ({"alpha_pattern": {r"h\.[0-9]+\.mlp": 3}}, None, "a regular expression"),
        ({"init_lora_weights": "pissa"}, None, "`init_lora_weights`"),
        ({"init_lora_weights": "olora"}, None, "`init_lora_weights`"),
        ({"alora_invocation_tokens": [1, 2]}, None, "`alora_invocation_tokens`"),
        ({"r": 7}, None, "factors of rank 3, but `r` is 7"),
        ({}, spoil_factors(without_rank), "factors of rank 0"),
        ({}, spoil_factors(whole_numbers), "factors in I64|factors in int64"),
        ({}, spoil_factors(without_b), "only one of its two factors"),
        ({}, spoil_factors(transposed), "has factors of shapes"),
        ({}, spoil_factors(not_finite), "is not finite"),
        ({}, spoil_factors(of_another_model), "q_proj.* belongs to nothing here"),
        ({}, spoil_factors(dict.clear), "has no LoRA factors"),
    ],
)
def test_what_does_not_fit_changes_nothing(tmp_path, changes, spoil, message):
    backbone = build("7b")
    before = backbone.get_weights()
    write_adapter(tmp_path / "adapter", backbone, **changes)
    if spoil:
        spoil(tmp_path / "adapter")
    with pytest.raises(ValueError, match=message):
        merge_peft_adapter(backbone, tmp_path / "adapter")
    assert all(map(np.array_equal, backbone.get_weights(), before))


def test_half_precision_can_not_hold_every_update(tmp_path):
    backbone = build("7b", dtype="float16")
    before = backbone.get_weights()
    write_adapter(tmp_path, backbone, lora_alpha=1e6)
    with pytest.raises(ValueError, match=r"adapter_model.* is not finite in float16"):
        merge_peft_adapter(backbone, tmp_path)
    assert all(map(np.array_equal, backbone.get_weights(), before))


def test_the_older_file(tmp_path):
    merged = []
    for old in (False, True):
        backbone = build("7b")
        write_adapter(tmp_path, backbone)
        if old:
            write_pytorch(tmp_path / "adapter_model.bin", load_file(tmp_path / SAFETENSORS))
            (tmp_path / SAFETENSORS).unlink()
        merge_peft_adapter(backbone, tmp_path)
        merged.append(backbone.get_weights())
    assert all(map(np.array_equal, *merged))


def test_weights_of_eight_bits_are_not_merged_into(tmp_path):
    backbone = build("7b")
    write_adapter(tmp_path, backbone)
    backbone.quantize("int8")
    before = backbone.get_weights()
    with pytest.raises(ValueError, match="eight bits"):
        merge_peft_adapter(backbone, tmp_path)
    assert all(map(np.array_equal, backbone.get_weights(), before))


def test_missing_files_and_enabled_lora(tmp_path):
    backbone = build("7b")
    with pytest.raises(FileNotFoundError, match=r"There is no adapter_config.json"):
        merge_peft_adapter(backbone, tmp_path)
    write_adapter(tmp_path, backbone)
    backbone.enable_lora(2)
    with pytest.raises(ValueError, match="LoRA is enabled"):
        merge_peft_adapter(backbone, tmp_path)
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no adapter_model.safetensors"):
        merge_peft_adapter(build("7b"), tmp_path)
