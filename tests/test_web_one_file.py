"""A page that is one file: how its modules are joined, and what it refuses."""

import subprocess

import falcon_edu
from falcon_edu.web.bundling import bundle

import pytest
from layouts import build
from node import find_node
from test_web import WEB, small


def test_a_bundle_runs_each_module_once_and_after_those_that_it_needs(tmp_path):
    modules = {
        "main.js": """
            import { left } from "./left.js";
            import {
              right as other,
            } from "./below/right.js";
            console.log(left(), new other().value);""",
        "left.js": """
            import { count } from "./below/count.js";
            export function left() { return count(); }""",
        "below/right.js": """
            import { count } from "./count.js";
            export class right { value = count(); }""",
        "below/count.js": """
            let counted = 0;
            const name = "count";
            export const count = () => name + ++counted;""",
    }
    for name, text in modules.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(line.strip() for line in text.splitlines()))
    script = tmp_path / "bundle.cjs"
    script.write_text(bundle(tmp_path / "main.js"))
    answer = subprocess.run([find_node(), str(script)], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["count1", "count2"]


@pytest.mark.parametrize(
    "line",
    [
        'import all from "./one.js";',
        'import * as all from "./one.js";',
        'import "./one.js";',
        "export default 3;",
        "export { one };",
        "const one = await import(name);",
        "const here = import.meta.url;",
        'import { one } from "elsewhere";',
    ],
)
def test_a_module_that_a_bundle_can_not_have_is_refused(line, tmp_path):
    (tmp_path / "one.js").write_text("export const one = 1;")
    (tmp_path / "main.js").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"no place for .* in main\.js"):
        bundle(tmp_path / "main.js")


def test_no_script_of_ours_ends_the_element_that_holds_it():
    scripts = [bundle(WEB / "explorer" / "one_file.js"), bundle(WEB / "worker.js")]
    assert not any("</script" in script or "<!--" in script for script in scripts)


def test_what_a_page_can_not_have_is_refused_and_loses_nothing(tmp_path):
    causal_lm = small("rw")
    path = tmp_path / "page.html"
    path.write_text("before")
    for said, options in {
        "`layer` must be one of 0 to 1. Received: 2": {"layer": 2},
        "`head` must be one of": {"head": -1},
        "`text` must be one text": {"text": ["The dog", "A cat"]},
        "reads 64 tokens, and the text has": {"text": "The dog " * 64},
    }.items():
        with pytest.raises(ValueError, match=said):
            falcon_edu.explorer_to_html(causal_lm, path, **{"text": "The dog", **options})
    with pytest.raises(ValueError, match="needs a tokenizer"):
        falcon_edu.explorer_to_html(build("rw"), path, "The dog")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        falcon_edu.explorer_to_html(causal_lm, tmp_path / "no" / "page.html", "The dog")
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
