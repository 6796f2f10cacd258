"""safetensors files that a stranger could have made: each is refused in words."""

import json

from tests.spoiling import (
    CODES,
    CONFIG,
    HUGE,
    INDEX,
    ST,
    check_refusal,
    edit,
    link_to,
    overwrite,
    truncate,
    with_header,
)

import pytest
from safetensors.numpy import load_file


def entry(start, end, shape=(4,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


SAFETENSORS = {
    "offsets that overlap": with_header({"a": entry(0, 16), "b": entry(8, 24)}),
    "a hole between offsets": with_header({"a": entry(0, 16), "b": entry(32, 48)}),
    "offsets that run backwards": with_header({"a": entry(16, 0)}),
    "a negative offset": with_header({"a": entry(-16, 0)}),
    "an offset beyond the end": with_header({"a": entry(0, 1 << 40, (1 << 38,))}),
    "a shape larger than its bytes": with_header({"a": entry(0, 16, (1 << 20, 1 << 20))}),
    "a shape that overflows": with_header({"a": entry(0, 16, (1 << 63, 1 << 63))}),
    "an unknown type": with_header({"a": entry(0, 16, dtype="F128")}),
    "bytes that nobody owns": with_header({"a": entry(0, 16)}, b"\0" * 1000),
    "a header longer than the file": with_header({"a": entry(0, 16)}, length=100_000),
    "a header that is no JSON": with_header(b"{'a': 1}"),
    "a header that is a list": with_header(b"[1, 2]"),
    "a header in another encoding": with_header(b"\xff\xfe\x00\x01"),
}


def sharded(weight_map, link=None):
    """An index in place of the one file, which is still there as a shard."""

    def spoil(folder):
        path = folder / "model.safetensors"
        names = load_file(path)
        path.rename(folder / "model-00001-of-00001.safetensors")
        if link:
            (folder / link[0]).symlink_to(link[1])
        whole = dict.fromkeys(names, "model-00001-of-00001.safetensors")
        (folder / INDEX).write_text(json.dumps({"weight_map": weight_map(whole)}))

    return spoil


def with_shard(name):
    return sharded(lambda whole: {**whole, "x": name})


def many_twice(folder):
    """Two thirds of a megabyte of names, of which the last comes twice."""
    names = [f"{n}" for n in range(100_000)] + ["99999"]
    text = "{" + ",".join(f'"{name}":0' for name in names) + "}"
    with_header(text.encode())(folder)


IN_SAFETENSORS = {
    **{
        f"safetensors with {name}": (spoil, ValueError, [ST, "no whole safetensors file"])
        for name, spoil in SAFETENSORS.items()
    },
    "safetensors with a header of an exabyte": (
        with_header({"a": entry(0, 16)}, length=1 << 60),
        ValueError,
        [ST, "claims to have"],
    ),
    "safetensors with a header of megabytes": (
        with_header(b'{"a":[' + b"{}," * 4_000_000 + b"{}]}"),
        ValueError,
        [ST, "claims to have"],
    ),
    "safetensors with a name that is twice": (
        with_header(b'{"a":%s,"a":%s}' % ((json.dumps(entry(0, 64, (16,))).encode(),) * 2)),
        ValueError,
        [ST, "'a' twice"],
    ),
    "safetensors with a name that is twice after many": (many_twice, ValueError, [ST, "twice"]),
    "safetensors with codes for a terminal": (
        with_header({CODES[:-1]: entry(0, 16)}, b"\0" * 16),
        ValueError,
        ["\\x1b[2J"],
    ),
    "safetensors with a name of codes that is twice": (
        with_header(b'{"\\u001b[2J":0,"\\u001b[2J":0}'),
        ValueError,
        [ST, "\\x1b[2J' twice"],
    ),
    "safetensors with a long name": (
        with_header({"a" * 100_000: entry(0, 16)}, b"\0" * 16),
        ValueError,
        ["aaa..."],
    ),
    "index to codes": (with_shard(CODES), FileNotFoundError, ["lacks shards", "\\x1b[2J"]),
    "index to a long name": (with_shard("a" * 5000), ValueError, [INDEX, "must name files"]),
    "index to a link out of codes": (
        sharded(lambda whole: {**whole, "x": "a\x1b[2J"}, ("a\x1b[2J", "/etc/hostname")),
        ValueError,
        ["leads out", "\\x1b[2J"],
    ),
    "config of codes": (edit(CONFIG, model_type=CODES), ValueError, [CONFIG, "\\x1b[2J"]),
    "config with a truth of codes": (edit(CONFIG, bias=CODES), ValueError, [CONFIG, "\\x1b[2J"]),
    "config in no format of codes": (
        overwrite(CONFIG, json.dumps({CODES: 1}).encode()),
        ValueError,
        [CONFIG, "no known format", "\\x1b[2J"],
    ),
    "config with a base of 300 digits": (
        edit(CONFIG, alibi=False, rope_parameters={"rope_theta": 10**299}),
        ValueError,
        [CONFIG, "rope_max_wavelength"],
    ),
    "config with a base of nothing": (
        edit(CONFIG, alibi=False, rope_parameters={"rope_theta": 0}),
        ValueError,
        [CONFIG, "rope_max_wavelength"],
    ),
    "config with an epsilon that is nothing in float32": (
        edit(CONFIG, layer_norm_epsilon=1e-300),
        ValueError,
        [CONFIG, "layer_norm_epsilon"],
    ),
    "config with an epsilon beyond float32": (
        edit(CONFIG, layer_norm_epsilon=1e300),
        ValueError,
        [CONFIG, "layer_norm_epsilon"],
    ),
    "config with rope scaling under its old name": (
        edit(CONFIG, alibi=False, rope_parameters={"type": "linear", "factor": 4.0}),
        ValueError,
        [CONFIG, "rope_parameters"],
    ),
    "config with two names for one thing": (
        edit(CONFIG, num_attention_heads=4, n_head=2),
        ValueError,
        [CONFIG, "`num_attention_heads` and `n_head`"],
    ),
    "safetensors with other names": (
        with_header({"a": entry(0, 16)}, b"\0" * 16),
        ValueError,
        ["do not fit", "missing", "unexpected: "],
    ),
    "safetensors that break off in the header": (truncate(ST, 50), ValueError, [ST, "no whole"]),
    "safetensors that break off in the data": (truncate(ST, 9000), ValueError, [ST, "no whole"]),
    "safetensors that are empty": (truncate(ST, 0), ValueError, [ST, "no whole"]),
    "safetensors behind a link": (link_to(ST, "/etc/hostname"), ValueError, [ST, "leads out"]),
    "index to the parent": (
        sharded(lambda whole: {**whole, "x": "../../secret"}, None),
        (ValueError, FileNotFoundError),
        [INDEX, "secret"],
    ),
    "index to an absolute path": (
        sharded(lambda whole: {**whole, "x": "/etc/hostname"}),
        ValueError,
        ["leads out of the preset", "/etc/hostname"],
    ),
    "index to a link that leads out": (
        sharded(lambda whole: {**whole, "x": "shard"}, ("shard", "/etc/hostname")),
        ValueError,
        ["leads out of the preset", "shard"],
    ),
    "index to a missing shard": (
        sharded(lambda whole: {**whole, "x": "model-00002-of-00002.safetensors"}),
        FileNotFoundError,
        [INDEX, "lacks shards", "00002"],
    ),
    "index of numbers": (
        sharded(lambda whole: dict.fromkeys(whole, 7)),
        ValueError,
        [INDEX, "must name files"],
    ),
    "index that is empty": (sharded(lambda whole: {}), ValueError, [INDEX, "weight_map"]),
    "index that is a list": (sharded(lambda whole: [1]), ValueError, [INDEX, "weight_map"]),
    "no weights at all": (
        lambda folder: (folder / ST).unlink(),
        FileNotFoundError,
        ["has no weights", ST],
    ),
    "config of Falcon3": (edit(CONFIG, model_type="llama"), ValueError, [CONFIG, "Falcon3"]),
    "config of Falcon-H1": (edit(CONFIG, model_type="falcon_h1"), ValueError, ["Falcon-H1"]),
    "config of FalconMamba": (edit(CONFIG, model_type="falcon_mamba"), ValueError, ["FalconMamba"]),
    "config of GPT-2": (edit(CONFIG, model_type="gpt2"), ValueError, [CONFIG, "'gpt2'"]),
    "config of nothing": (edit(CONFIG, model_type=None), ValueError, [CONFIG]),
    "config with huge layers": (edit(CONFIG, num_hidden_layers=HUGE), ValueError, ["num_layers"]),
    "config with a huge width": (
        edit(CONFIG, hidden_size=2**30),
        ValueError,
        [CONFIG, "of memory"],
    ),
    "config with a huge vocabulary": (
        edit(CONFIG, vocab_size=HUGE),
        ValueError,
        [CONFIG, "vocabulary_size"],
    ),
    "config with a number beyond floats": (
        edit(CONFIG, vocab_size=10**400),
        ValueError,
        [CONFIG, "vocabulary_size"],
    ),
    "config with an epsilon beyond floats": (
        edit(CONFIG, layer_norm_epsilon=10**400),
        ValueError,
        [CONFIG, "layer_norm_epsilon"],
    ),
    "config with a base beyond floats": (
        edit(CONFIG, alibi=False, rope_parameters={"rope_theta": 10**400}),
        ValueError,
        [CONFIG, "rope_max_wavelength"],
    ),
    "config of a list of types": (edit(CONFIG, model_type=["falcon"]), ValueError, [CONFIG]),
    "config of a dictionary of types": (edit(CONFIG, model_type={"a": 1}), ValueError, [CONFIG]),
    "config of megabytes": (
        overwrite(CONFIG, b'{"a":[' + b"{}," * 4_000_000 + b"{}]}"),
        ValueError,
        [CONFIG, "too long"],
    ),
    "index of thousands of shards": (
        sharded(lambda whole: {str(n): f"shard-{n:050}" for n in range(9_000)}),
        FileNotFoundError,
        [INDEX, "and 8,995 more"],
    ),
    "config with a width of text": (edit(CONFIG, hidden_size="8"), ValueError, ["hidden_size"]),
    "config with a width of a list": (edit(CONFIG, hidden_size=[8]), ValueError, ["hidden_size"]),
    "config with a negative width": (edit(CONFIG, hidden_size=-8), ValueError, ["hidden_dim"]),
    "config with an epsilon of NaN": (
        edit(CONFIG, layer_norm_epsilon=float("nan")),
        ValueError,
        [CONFIG, "layer_norm_epsilon"],
    ),
    "config with an infinite base": (
        edit(CONFIG, alibi=False, rope_parameters={"rope_theta": float("inf")}),
        ValueError,
        [CONFIG, "rope_max_wavelength"],
    ),
    "config with rope parameters of text": (
        edit(CONFIG, alibi=False, rope_parameters="linear"),
        ValueError,
        [CONFIG, "rope_parameters"],
    ),
    "config with a truth of text": (edit(CONFIG, bias="yes"), ValueError, [CONFIG, "bias"]),
    "config with another activation": (edit(CONFIG, activation="relu"), ValueError, ["activation"]),
    "config that is quantized": (
        edit(CONFIG, quantization_config={"load_in_8bit": True}),
        ValueError,
        [CONFIG, "quantization_config"],
    ),
    "config without a width": (edit(CONFIG, hidden_size=...), ValueError, ["hidden_size", "miss"]),
    "config with code of its own": (  # the field is never looked at
        edit(CONFIG, auto_map={"AutoModel": "evil.py"}, hidden_size=-1),
        ValueError,
        ["hidden_dim"],
    ),
    "config that is no JSON": (overwrite(CONFIG, b"{'a': 1}"), ValueError, [CONFIG, "no JSON"]),
    "config that is a list": (overwrite(CONFIG, b"[1]"), ValueError, [CONFIG, "JSON object"]),
    "config of a thousand brackets": (
        overwrite(CONFIG, b'{"a":' + b"[" * 100_000),
        ValueError,
        [CONFIG, "no JSON"],
    ),
    "config of a huge number": (
        overwrite(CONFIG, b'{"model_type": ' + b"9" * 10_000 + b"}"),
        ValueError,
        [CONFIG, "no JSON"],
    ),
    "config in another encoding": (overwrite(CONFIG, b"\xff\xfe{}"), ValueError, [CONFIG]),
    "config that is empty": (truncate(CONFIG, 0), ValueError, [CONFIG, "no JSON"]),
    "config behind a link": (link_to(CONFIG, "/etc/hostname"), ValueError, [CONFIG, "leads out"]),
    "config that is missing": (
        lambda folder: (folder / CONFIG).unlink(),
        FileNotFoundError,
        [CONFIG],
    ),
}


@pytest.mark.parametrize("name", IN_SAFETENSORS)
def test_a_spoilt_safetensors_file_is_refused_in_words(good_presets, tmp_path, monkeypatch, name):
    check_refusal(good_presets / "transformers", IN_SAFETENSORS[name], tmp_path, monkeypatch)
