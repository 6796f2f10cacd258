"""Compare what `falcon_edu` reads inside the models that ship with TransformerLens.

    pip install torch transformer_lens    # beside falcon_edu, in an environment of their own
    python tools/lens.py

A number is the largest difference over all heads, then the largest value of that head. Both use
float32, in which rounding alone makes some 1e-5 here. Weights are compared for every seventh token.
"""

import tempfile

import falcon_edu

import numpy as np
import torch
from transformer_lens.model_bridge import TransformerBridge

TEXT = "One day, Tom had a red kite and Mia had a blue ball. Tom gave the kite to"


def without_second_bias(lens):
    """Take from attention the ALiBi that it is given: its mask holds it already."""
    for block in lens.blocks:
        attend = block.attn._reconstruct_attention

        def attend_once(*args, attend=attend, **kwargs):
            return attend(*args, **{**kwargs, "alibi": None})

        block.attn.__dict__["_reconstruct_attention"] = attend_once


def differences(falcon, lens, inputs, right, wrong):
    """Yield what is compared, with the largest difference and the largest value."""
    ids = torch.tensor(inputs["token_ids"])
    yield "logits", lens(ids), falcon_edu.record(falcon, inputs).logits
    lens.enable_compatibility_mode(
        disable_warnings=True, center_unembed=False, fold_value_biases=False
    )
    cache = lens.run_with_cache(ids)[1]
    written = cache.stack_head_results(layer=-1, pos_slice=-1)  # (layers * n, b, m)
    given = cache.logit_attrs(written, tokens=right, incorrect_tokens=wrong, pos_slice=-1)
    ours = falcon_edu.direct_logit_attribution(falcon, inputs, right, against=wrong).heads
    yield "logit attribution", given.reshape(ours.shape), ours  # of one text
    some, backbone = np.arange(0, lens.W_E.shape[0], 7), falcon.backbone
    for layer, head in np.ndindex(backbone.num_layers, backbone.num_attention_heads):
        at = layer, head
        given = lens.W_E[some] @ lens.OV.A[at] @ lens.OV.B[at] @ lens.W_U
        yield "OV circuit", given, falcon_edu.ov_circuit(falcon, *at).rows(some)
        query = (lens.W_E[some] @ lens.QK.A[at] + lens.b_Q[at]) / backbone.config.head_dim**0.5
        scores = query @ lens.QK.B[at] @ lens.W_E.T
        yield "QK circuit", scores, falcon_edu.qk_circuit(falcon, *at).rows(some)


def compare(layout, change=None):
    """Print the largest differences for one of the models that ship."""
    falcon = falcon_edu.FalconCausalLM.from_preset(f"falcon_tales_{layout}_en")
    tokenizer = falcon.preprocessor.tokenizer
    ids = np.array([[tokenizer.start_token_id, *tokenizer.tokenize(TEXT)]], "int32")
    inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    right, wrong = (int(tokenizer.tokenize(name)[0]) for name in (" Mia", " Tom"))
    with tempfile.TemporaryDirectory() as folder:
        falcon.export_to_transformers(folder)
        lens = TransformerBridge.boot_transformers(folder, device="cpu")
    if change is not None:
        change(lens)
    worst: dict[str, tuple[float, float]] = {}
    for name, given, ours in differences(falcon, lens, inputs, right, wrong):
        difference = float(np.abs(given.numpy() - ours).max())
        worst[name] = max(worst.get(name, (0, 0)), (difference, float(np.abs(ours).max())))
    print(layout, "" if change is None else change.__name__)
    for name, (difference, size) in worst.items():
        print(f"    {name:18} {difference:8.1e} of {size:.1f}")


if __name__ == "__main__":
    with torch.no_grad():
        compare("rw")
        compare("rw", without_second_bias)
        compare("7b")
        compare("40b")
