"""Where a Falcon runs on the site: the front page, the playground, the explorers of lessons.

Each is a place that says in data what it shows, and holds, or stands beside, the picture that is
seen until a script fills it, and where no script runs. `falcon_edu/web/site/` has the scripts.
"""

import html
import json
import re
from functools import cache

from falcon_edu import FalconTokenizer, plots

from nbformat import NotebookNode

# By the name that an address of the playground has: the models, in falcon/ of the site.
PRESETS = {
    "rw": "falcon_tales_rw_en",
    "7b": "falcon_tales_7b_en",
    "40b": "falcon_tales_40b_en",
}
ABOUT = {
    "rw": "ALiBi; each head has keys and values of its own; first attention, then the MLP.",
    "7b": "RoPE; all heads share keys and values; attention and MLP in parallel, one norm.",
    "40b": "RoPE; two heads each share keys and values; attention and MLP in parallel, two norms.",
}
SIZES = {"layers": 4, "heads": 4}
START = {"layer": 3, "head": 2}
TEXT = (
    "One day, Mia and Wolfgang walked to the park. "
    'But then Wolfgang was hungry and wanted to go home. "Please stay,'
)

PICTURE = re.compile(r"^!\[[^]]*\]\((?:docs/)?explorer\.png\)$", re.MULTILINE)
STILL = re.compile(PICTURE.pattern.removesuffix("$") + r"\n\n(?:.+\n)+", re.MULTILINE)
SHOWN = re.compile(r"\bAttentionExplorer\((\w+),")
HEAD = re.compile(r"\blayer (\d+), head (\d+)", re.IGNORECASE)


# === Pages ===


def raw(text: str) -> str:
    """Return HTML as a page in MyST has it."""
    return f"```{{raw}} html\n{text}\n```"


def scripts(root: str, script: str = "places", *styles: str) -> str:
    """Return what has a page fill its places.

    Args:
        root: the way from the page to the folder of the site, such as `../`.
        script: name of the module in `falcon_edu/web/site/`.
        styles: names of styles there.

    >>> print(scripts("../"))
    ```{raw} html
    <link rel="stylesheet" href="../falcon/explorer/explorer.css">
    <script type="module" src="../falcon/site/places.js"></script>
    ```
    """
    paths = ["explorer/explorer.css", *(f"site/{style}.css" for style in styles)]
    lines = [f'<link rel="stylesheet" href="{root}falcon/{path}">' for path in paths]
    module = f'<script type="module" src="{root}falcon/site/{script}.js"></script>'
    return raw("\n".join([*lines, module]))


def data(**values: object) -> str:
    """Return values as the attributes of an element.

    >>> data(layer=3, text='"Stay," said <Mia>')
    'data-layer="3" data-text="&quot;Stay,&quot; said &lt;Mia&gt;"'
    """
    escaped = {name: html.escape(str(value)) for name, value in values.items()}
    # An empty line would end HTML in a sentence.
    return " ".join(f'data-{name}="{v}"' for name, v in escaped.items()).replace("\n", "&#10;")


def with_falcon(text: str) -> str:
    """Return the front page with a place for a Falcon around its picture.

    >>> print(with_falcon("![Mia](docs/explorer.png)").replace(html.escape(TEXT), "..."))
    ```{raw} html
    <div id="falcon" class="falcon-place" data-model="falcon/falcon_tales_rw_en/" data-text="..." \
data-layer="3" data-head="2">
    ```
    <BLANKLINE>
    ![Mia](docs/explorer.png)
    <BLANKLINE>
    ```{raw} html
    </div>
    ```
    <BLANKLINE>
    ```{raw} html
    <link rel="stylesheet" href="falcon/explorer/explorer.css">
    <script type="module" src="falcon/site/places.js"></script>
    ```
    """
    given = data(model=f"falcon/{PRESETS['rw']}/", text=TEXT, **START)
    before = raw(f'<div id="falcon" class="falcon-place" {given}>')
    after = f"{raw('</div>')}\n\n{scripts('')}"
    return PICTURE.sub(lambda picture: f"{before}\n\n{picture.group()}\n\n{after}", text)


def with_playground(text: str) -> str:
    """Return the page of the playground with its place around picture and what is said of it."""
    falcons = [
        {
            "name": name,
            "title": name.upper(),
            "about": ABOUT[name],
            "model": f"../falcon/{preset}/",
            **START,
        }
        for name, preset in PRESETS.items()
    ]
    start = json.dumps({"text": TEXT, "falcons": falcons, **SIZES})
    before = raw(f'<div id="falcon-playground" {data(start=start)}>')
    after = f"{raw('</div>')}\n\n{scripts('../', 'playground', 'playground')}"
    page = STILL.sub(lambda still: f"{before}\n\n{still.group()}\n{after}\n", text)
    return f"---\nhide-toc: true\n---\n\n{page}"  # the columns need the room


# === Lessons ===


def places(notebook: NotebookNode) -> dict[int, str]:
    """Return a place, as HTML, for each explorer of attention that a shipped model has made.

    Args:
        notebook: a lesson with its outputs.

    Returns:
        The places by the index of their cell.
    """
    found = {}
    models: dict[str, str] = {}  # the preset of each variable, so far
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        for name, value in re.findall(r"^(\w+) = (.*)", cell.source, re.MULTILINE):
            made = re.search(r'from_preset\("(\w+)"\)$', value)
            models[name] = made.group(1) if made else ""
        called = SHOWN.search(cell.source)
        preset = models.get(called.group(1), "") if called else ""
        if preset not in PRESETS.values():
            continue
        for output in cell.outputs:
            words = output.get("data", {}).get("text/plain", "")
            if words.startswith("AttentionExplorer: "):
                found[index] = place(preset, words, output.metadata["image/png"]["alt"])
    return {index: shown for index, shown in found.items() if shown}


def place(preset: str, words: str, alt: str) -> str:
    """Return a place, as HTML, for an explorer of which there are words and the picture's alt text.

    There is none if they don't determine text, layer and head: where a character is in no font, the
    words have a sign in its place.

    >>> tokens = "2 tokens: [start] M ia ·had"
    >>> print(place("falcon_tales_rw_en", f"AttentionExplorer: {tokens}", "Layer 1, head 3 over"))
    <span class="falcon-place" data-model="../falcon/falcon_tales_rw_en/" data-text="Mia had" \
data-layer="1" data-head="3"></span>
    """
    labels = words.partition("tokens: ")[2].split(" ")
    text = "".join(labels[1:]).replace("·", " ").replace("↵", "\n")
    reader = tokenizer(preset)
    ids = [reader.start_token_id, *reader.tokenize(text)]
    layer_and_head = HEAD.search(alt)
    if plots.token_labels(reader.token_strings(ids)) != labels or not layer_and_head:
        return ""
    layer, head = layer_and_head.groups()
    given = data(model=f"../falcon/{preset}/", text=text, layer=layer, head=head)
    return f'<span class="falcon-place" {given}></span>'


@cache
def tokenizer(preset: str) -> FalconTokenizer:
    """Return the tokenizer of a preset."""
    return FalconTokenizer.from_preset(preset)


def is_words(output: NotebookNode) -> bool:
    """True if an output is the words of an explorer for a place that shows nothing else of it."""
    return "falcon-either" in output.get("data", {}).get("text/html", "")
