"""Where a Falcon runs on the site: the front page, the playground, many explorers of lessons.

Each is a place that says in data what it shows, and holds, or stands beside, the picture that is
seen until a script fills it, and where no script runs. `falcon_edu/web/site/` has the scripts.
"""

import ast
import html
import json
import re
from functools import cache

from falcon_edu import FalconTokenizer, plots
from falcon_edu.widgets.next_token import ending

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
SHOWN = re.compile(r"\b(Attention|NextToken|LogitLens)Explorer\((\w+),")
HEAD = re.compile(r"\blayer (?P<layer>\d+), head (?P<head>\d+)", re.IGNORECASE)
LENS = re.compile(r"\bat token (?P<query>\d+), (?P<show>rank|probability)\b")


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
    """Return a place, as HTML, for each explorer of a kind that the page has, of a shipped model.

    Args:
        notebook: a lesson with its outputs.

    Returns:
        The places by the index of their cell.
    """
    found = {}
    models: dict[str, str] = {}  # the preset of each variable, so far
    texts: list[str] = []  # that stand in the cells, so far
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        for name, value in re.findall(r"^(\w+) = (.*)", cell.source, re.MULTILINE):
            made = re.search(r'from_preset\("(\w+)"\)$', value)
            models[name] = made.group(1) if made else ""
        texts += strings(cell.source)
        kind, name = called.groups() if (called := SHOWN.search(cell.source)) else ("", "")
        preset = models.get(name, "")
        if preset not in PRESETS.values():
            continue
        for output in cell.outputs:
            words = output.get("data", {}).get("text/plain", "")
            if words.startswith(f"{kind}Explorer: "):
                found[index] = place(preset, words, output.metadata["image/png"]["alt"], texts)
    return {index: shown for index, shown in found.items() if shown}


def place(preset: str, words: str, alt: str, texts: list[str] | tuple[str, ...] = ()) -> str:
    """Return a place, as HTML, for an explorer of which there are words and the picture's alt text.

    There is none if they don't determine what it shows: where a character is in no font, the words
    have its code point in its place. Of the text of a `NextTokenExplorer` they have but the end,
    so it must be one of the texts in the lesson's cells.

    >>> tokens = "2 tokens: [start] M ia ·had"
    >>> print(place("falcon_tales_rw_en", f"AttentionExplorer: {tokens}", "Layer 1, head 3 over"))
    <span class="falcon-place" data-model="../falcon/falcon_tales_rw_en/" data-text="Mia had" \
data-layer="1" data-head="3"></span>
    >>> words = 'NextTokenExplorer: what may follow "Mia had", of 2048 tokens'
    >>> print(place("falcon_tales_rw_en", words, "After Mia had", ["Tom", "Mia had"]))
    <span class="falcon-place" data-model="../falcon/falcon_tales_rw_en/" data-text="Mia had" \
data-kind="next_token"></span>
    """
    kind = words.partition("Explorer: ")[0]
    if kind == "NextToken":
        start = {"kind": "next_token"}
        said = (one for one in reversed(texts) if f"follow {ending(one)}, of " in words)
        text = next(said, None)
    else:
        told = (LENS if kind == "LogitLens" else HEAD).search(alt)
        text = text_of(preset, words) if told else None
        start = {"kind": "logit_lens"} if kind == "LogitLens" else {}
        start |= told.groupdict() if told else {}
    if text is None:
        return ""
    given = data(model=f"../falcon/{preset}/", text=text, **start)
    return f'<span class="falcon-place" {given}></span>'


def text_of(preset: str, words: str) -> str | None:
    """Return the text whose tokens stand at the end of an explorer's words, or None if unsure."""
    labels = words.partition("tokens: ")[2].split(" ")
    text = "".join(labels[1:]).replace("·", " ").replace("↵", "\n")
    reader = tokenizer(preset)
    ids = [reader.start_token_id, *reader.tokenize(text)]
    return text if plots.token_labels(reader.token_strings(ids)) == labels else None


def strings(source: str) -> list[str]:
    """Return the strings that stand in a cell.

    >>> strings('show(f"{x}", "Tom", "Mia " "had")')
    ['Tom', 'Mia had']
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a cell with a command of IPython
        return []
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [value for value in values if isinstance(value, str)]


@cache
def tokenizer(preset: str) -> FalconTokenizer:
    """Return the tokenizer of a preset."""
    return FalconTokenizer.from_preset(preset)


def is_words(output: NotebookNode) -> bool:
    """True if an output is the words of an explorer for a place that shows nothing else of it."""
    return "falcon-either" in output.get("data", {}).get("text/html", "")
