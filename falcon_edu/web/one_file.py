"""Write an explorer as a page that is one file, for a reader without network and kernel."""

import base64
import html
import json
import tempfile
from os import PathLike
from pathlib import Path

from falcon_edu import plots
from falcon_edu.inside.activations import record
from falcon_edu.model.causal_lm import FalconCausalLM
from falcon_edu.storage.files import replace_file
from falcon_edu.support.inputs import tokenizer_of
from falcon_edu.web.bundling import bundle
from falcon_edu.web.exporting import FILES, export_to_web
from falcon_edu.web.recording import next_tokens, rows_of_layers

WEB = Path(__file__).parent
# Nothing may be asked of anywhere; blob: is the page's own worker.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; img-src data:"
)
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>Where Falcon looks</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px system-ui, sans-serif; max-width: 60rem; margin: 1rem auto; padding: 0 1rem; }}
img {{ max-width: 100%; background: white; }}
{style}
</style>
<main>
<h1>Where Falcon looks</h1>
<div id="falcon"><img alt="{alt}" src="data:image/png;base64,{picture}"></div>
</main>
<script type="application/json" id="falcon-data">{data}</script>
<script>
{script}
</script>
</html>
"""


def explorer_to_html(
    causal_lm: FalconCausalLM,
    path: str | PathLike[str],
    text: str,
    layer: int = 0,
    head: int = 0,
    can_write: bool = True,
) -> None:
    """Write an explorer of a text as one file, which any browser opens without a network.

    The page shows where each token looks, in every head, and what comes next. With the model
    inside, about 2.7 MB for the shipped ones, it reads other texts and goes on with them. Where no
    script may run there is a picture.

    Args:
        causal_lm: a `FalconCausalLM` with a preprocessor.
        path: path of the file; one that is there is replaced.
        text: a text.
        layer, head: where to begin.
        can_write: whether the model is in the page; else it has what was recorded of this text,
            which is possible with any tokenizer.

    Raises:
        ValueError: the model has no tokenizer, or one that a page can't have, the text is not one
            that the model can read, or there is no such layer or head.

    Example:

    >>> import tempfile, falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> file = Path(tempfile.mkdtemp()) / "mia.html"
    >>> falcon_edu.explorer_to_html(falcon, file, "Mia had a red kite", can_write=False)
    >>> "falcon-data" in file.read_text()
    True
    """
    if not isinstance(text, str):
        raise ValueError(f"`text` must be one text. Received: {text!r:.200}")
    if tokenizer_of(causal_lm) is None:
        raise ValueError("An explorer needs a tokenizer: give it a model with a preprocessor.")
    activations = record(causal_lm, text)
    sizes = len(activations.attention_weights), activations.attention_weights[0].shape[1]
    for name, value, count in zip(("layer", "head"), (layer, head), sizes, strict=True):
        if value not in range(count):
            raise ValueError(f"`{name}` must be one of 0 to {count - 1}. Received: {value!r}")
    weights, tokens = activations.attention_weights[layer][0, head], activations.tokens[0]
    room = causal_lm.preprocessor.sequence_length
    if can_write and len(tokens) > room:
        raise ValueError(
            f"The page reads {room} tokens, and the text has {len(tokens)}: make it shorter, or "
            "write a page with `can_write=False`."
        )
    picture = plots.attention_map(weights, tokens, title=f"Layer {layer}, head {head}").figure
    content = model_of(causal_lm) if can_write else {"seen": in_base64(causal_lm, activations)}
    content |= {"start": {"text": text, "layer": int(layer), "head": int(head)}}
    page = PAGE.format(
        policy=POLICY,
        style=(WEB / "explorer" / "explorer.css").read_text(encoding="utf-8"),
        alt=html.escape(picture.alt_text),
        picture=base64.b64encode(picture.to_png()).decode(),
        data=json.dumps(content).replace("<", "\\u003c"),
        script=bundle(WEB / "explorer" / "one_file.js"),
    )
    replace_file(Path(path), lambda file: file.write_text(page, encoding="utf-8"))


def model_of(causal_lm):
    """Return a model as the page has it in its data: what `export_to_web` writes, and a worker."""
    with tempfile.TemporaryDirectory() as folder:
        export_to_web(causal_lm, folder)
        header, weights = [(Path(folder) / name).read_bytes() for name in FILES]
    return {
        "header": json.loads(header),
        "weights": base64.b64encode(weights).decode(),
        "worker": bundle(WEB / "worker.js"),
    }


def in_base64(causal_lm, activations):
    """Return what was recorded of a text as the page has it in its data, weights in base64."""
    return {
        "tokens": activations.tokens[0],
        "attention_weights": [base64.b64encode(r).decode() for r in rows_of_layers(activations)],
        "next_tokens": next_tokens(causal_lm, activations),
    }
