"""What of a repository a preset needs, and what to say when a hub does not give it."""

SMALL_FILES = (
    "config.json",
    "metadata.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "preprocessor.json",
    "assets/tokenizer/tokenizer.json",
    "assets/tokenizer/vocabulary.json",
    "assets/tokenizer/merges.txt",
)
# The kinds of weights, the one to take first where a repository has several: one file, or an index
# and the pattern of the shards that it names.
WEIGHT_FILES = (
    ("model.weights.h5",),
    ("model.weights.json", "model_*.weights.h5"),
    ("model.safetensors",),
    ("model.safetensors.index.json", "model-*.safetensors"),
    ("pytorch_model.bin",),
    ("pytorch_model.bin.index.json", "pytorch_model-*.bin"),
)
OFFLINE = "The falcon_tales presets and local folders need no network."
CONNECTION = {
    "ConnectionError": "it can't be reached",
    "ConnectError": "it can't be reached",
    "ConnectTimeout": "it can't be reached",
    "ReadTimeout": "it does not answer",
    "LocalEntryNotFoundError": "it can't be reached",
    "RemoteProtocolError": "the connection broke off; what came is kept for the next try",
    "ChunkedEncodingError": "the connection broke off; what came is kept for the next try",
    "DataCorruptionError": "what came is not what was sent; try again",
}


def status(error):
    """The status of a hub's answer, or `None` where there was no answer."""
    return getattr(getattr(error, "response", None), "status_code", None)


def reason(error):
    """Why a file could not be fetched, for a sentence in parentheses."""
    code = status(error)
    if code in (401, 403):
        return f"the hub refuses to give it, with status {code}: log in, or check your token"
    if code == 429:
        return "the hub asks to wait, it had too many requests: try again in some minutes"
    if code is not None and code >= 500:
        return f"the hub is in trouble, it answers {code}: try again later"
    name = type(error).__name__
    return CONNECTION.get(name, f"{name}: {str(error).strip().partition(chr(10))[0]}")
