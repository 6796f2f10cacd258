"""Files of the real PyTorch and the real peft, read here without either."""

from falcon_edu import Backbone, merge_peft_adapter
from falcon_edu.presets.pytorch_files import read_pytorch
from tests.layouts import LAYOUTS, build, difference, inputs, read
from tests.peers.models import read_transformers, transformers_falcon

import numpy as np
import pytest

pytestmark = pytest.mark.peers

FLOAT32 = 1e-5  # as in test_parity.py
IN_TRANSFORMERS = [name for name in LAYOUTS if name != "grouped_alibi_sequential"]
LINEAR = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("layout", IN_TRANSFORMERS)
def test_pytorch_model_bin(tmp_path, layout, dtype):
    """What `torch.save` writes, shared storages of tied weights included."""
    import torch

    model = transformers_falcon(build(layout)).to(getattr(torch, dtype))
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    for name, tensor in read_pytorch(tmp_path / "pytorch_model.bin").items():
        theirs = model.state_dict()[name].float().numpy()
        np.testing.assert_array_equal(np.asarray(tensor.read(), "float32"), theirs)
    if dtype == "float32":
        ours, x = Backbone.from_preset(tmp_path, alibi_dtype=None), inputs("right")
        theirs = read(build(layout), x)
        assert difference(read(ours, x), theirs, x["padding_mask"], "logits") < FLOAT32


def test_files_of_old_pytorch_are_refused_in_words(tmp_path):
    import torch

    path = tmp_path / "old.bin"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"no whole file of PyTorch 1.6 or newer"):
        read_pytorch(path)


@pytest.mark.parametrize("targets", [LINEAR, ["query_key_value"]])
@pytest.mark.parametrize("options", [{}, {"use_rslora": True}])
@pytest.mark.parametrize("layout", ["rw", "7b", "40b"])
def test_peft_adapters(tmp_path, layout, options, targets):
    """Merged here, an adapter does what it does in peft."""
    import peft
    import torch

    backbone = build(layout, alibi_dtype="bfloat16") if layout == "rw" else build(layout)
    config = peft.LoraConfig(r=3, lora_alpha=5, target_modules=targets, **options)
    model = peft.get_peft_model(transformers_falcon(backbone), config)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.1)
    model.save_pretrained(tmp_path)
    x = inputs("right")
    plain = read(backbone, x)
    merge_peft_adapter(backbone, tmp_path)
    theirs = read_transformers(model.merge_and_unload(), x)
    ours = read(backbone, x)
    assert difference(ours, theirs, x["padding_mask"], "logits") < 2 * FLOAT32
    assert difference(plain, theirs, x["padding_mask"], "logits") > 1e-3  # it does something
