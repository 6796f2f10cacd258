"""The Falcon in the page, in Chromium and in its worker: what Node computes, and what it says."""

import json
from pathlib import Path

import falcon_edu
from falcon_edu import FalconCausalLM
from falcon_edu.web import export_to_web
from tools.serving import serving

import numpy as np
import pytest
from browser_lab import is_elsewhere, start_browser
from test_web import PRESETS, TEXT, WEB, assert_same, assert_same_ids_of, rounded, texts

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The shipped models with rounded weights, and a folder for the page with all that it needs."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "web").symlink_to(WEB)
    (folder / "web_answers.mjs").symlink_to(Path(__file__).parent / "web_answers.mjs")
    (folder / "index.html").write_text("<!doctype html><html lang=en><title>Falcon</title>")
    causal_lms = {name: FalconCausalLM.from_preset(name) for name in PRESETS}
    for name, causal_lm in causal_lms.items():
        export_to_web(causal_lm, folder / name)
        rounded(causal_lm).compile(sampler="greedy")
    return causal_lms, folder


@pytest.fixture(scope="module")
def page(models):
    """A page of a server on this machine, which asks nothing of elsewhere."""
    with serving(models[1]) as address, start_browser() as browser:
        page = browser.new_page()
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        page.evaluate(CONNECT)
        yield page
    assert [url for url in requests if is_elsewhere(url)] == []


CONNECT = """async () => {
    const { connect } = await import("/web/client.js");
    window.ask = connect(new Worker("/web/worker.js", { type: "module" }));
    window.plain = (key, x) => ArrayBuffer.isView(x) ? [...x] : x;
}"""

ASK = """async ([call, options]) => {
    const told = [];
    const result = await ask(call, options, (progress) => told.push(progress)).catch(String);
    return JSON.stringify({ result, told }, plain);
}"""


def ask(page, call, **options):
    """What the worker answers, and what it told on the way."""
    answer = json.loads(page.evaluate(ASK, [call, options]))
    return answer["result"], answer["told"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_computes_and_writes_what_the_package_does(models, page, name):
    causal_lm = models[0][name]
    loaded, told = ask(page, "load", url=f"{page.url}{name}/")
    assert loaded["config"]["hidden_dim"] == causal_lm.backbone.hidden_dim
    assert told[-1]["bytes"] == (models[1] / name / "weights.bin").stat().st_size

    activations = falcon_edu.record(causal_lm, TEXT)
    assert_same(ask(page, "record", text=TEXT)[0], activations)
    heads = [[0, 1], [1, 2]]
    without = falcon_edu.ablate_heads(causal_lm, TEXT, heads)
    assert_same(ask(page, "record", text=TEXT, heads=heads)[0], without)
    lens, _ = ask(page, "logit_lens", text=TEXT, position=-1)
    expected = falcon_edu.logit_lens(causal_lm, activations)[:, 0, -1]
    np.testing.assert_allclose(lens, expected, rtol=1e-4, atol=1e-4)

    length = len(activations.tokens[0]) + 60
    result, told = ask(page, "generate", text=TEXT, max_length=length)
    assert result["text"] == causal_lm.generate(TEXT, max_length=length)
    assert told[-1]["text"] == result["text"]
    draws = [ask(page, "generate", text=TEXT, name="random", seed=3)[0] for _ in range(2)]
    assert draws[0] == draws[1]


def test_texts_of_all_scripts_have_the_ids_of_the_package(models, page):
    samples = texts(1000)
    answers = page.evaluate(
        """async ([name, requests]) => {
            const { answer } = await import("/web_answers.mjs");
            const header = await (await fetch(`/${name}/falcon.json`)).json();
            const weights = await (await fetch(`/${name}/weights.bin`)).arrayBuffer();
            return answer("/web", header, weights, requests);
        }""",
        [PRESETS[0], [{"call": "tokenize", "texts": samples}]],
    )
    assert_same_ids_of(samples, answers[0], models[0][PRESETS[0]].preprocessor.tokenizer)


def test_a_text_that_is_being_written_ends_with_the_next_call(models, page):
    ask(page, "load", url=f"{page.url}{PRESETS[0]}/")
    written, recorded = page.evaluate(
        """async (text) => {
            const first = new Promise((done) => {
                window.whole = ask("generate", { text, name: "random", seed: 1 }, done);
            });
            await first;
            const recorded = await ask("record", { text });
            return [(await whole).text, recorded.tokens.join("")];
        }""",
        TEXT,
    )
    whole = ask(page, "generate", text=TEXT, name="random", seed=1)[0]["text"]
    assert whole.startswith(written)
    assert len(TEXT) <= len(written) < len(whole)
    assert recorded.endswith(TEXT)


@pytest.mark.parametrize(
    ("call", "options", "said"),
    [
        ("record", {"text": "kite " * 300}, "make it shorter"),
        ("record", {"text": "a", "heads": [[9, 9]]}, "no head 9 in layer 9"),
        ("generate", {"text": "a", "name": "best"}, "`name` must be one of"),
        ("load", {"url": "http://127.0.0.1:9/"}, "fetch"),
    ],
)
def test_what_can_not_be_is_refused_in_words(models, page, call, options, said):
    ask(page, "load", url=f"{page.url}{PRESETS[0]}/")
    assert said in ask(page, call, **options)[0]
    assert "tokens" in ask(page, "record", text=TEXT)[0]  # and the worker goes on
