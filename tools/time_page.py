"""Time the Falcon in the page, in headless Chromium on one core: python -m tools.time_page.

Prints the best of several for each shipped model, in milliseconds: the first text after the weights
are there, in a new worker; a keystroke at the end, and at the beginning, of a text of 30 tokens;
and a token that is written at a length of about 100.
"""

import os
import shutil
import tempfile
from pathlib import Path

import falcon_edu
from falcon_edu.presets.registry import shipped_folder
from tools.serving import serving

from playwright.sync_api import sync_playwright

WEB = Path(falcon_edu.__file__).parent / "web"
TRIES = 7
TEXT = (
    "Once upon a time there was a little girl called Mia. Mia had a red kite. She went to the park"
)

TIME = """async ([url, text, tries]) => {
    const { connect } = await import("/web/client.js");
    const best = {};
    const time = async (name, call) => {
        const start = performance.now();
        await call();
        best[name] = Math.min(best[name] ?? Infinity, performance.now() - start);
    };
    for (let i = 0; i < tries; i++) {
        const worker = new Worker("/web/worker.js", { type: "module" });
        const ask = connect(worker);
        await ask("load", { url });
        await time("first text", () => ask("record", { text }));
        for (const letter of "abcde") {
            await time("keystroke at the end", () => ask("record", { text: text + letter }));
            await time("keystroke at the beginning", () => ask("record", { text: letter + text }));
        }
        let written = 0;
        let last = 0;
        await ask("generate", { text, name: "random", seed: i }, () => {
            const now = performance.now();
            const before = best["token"] ?? Infinity;
            if (++written > 60) best["token"] = Math.min(before, now - last);
            last = now;
        });
        worker.terminate();
    }
    return best;
}"""


def main() -> None:
    """Export the shipped models, open a page, print the times."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # Chromium inherits it
    folder = Path(tempfile.mkdtemp())
    (folder / "web").symlink_to(WEB)
    (folder / "index.html").write_text("<!doctype html><title>Falcon</title>")
    with serving(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name in filter(shipped_folder, falcon_edu.FalconCausalLM.presets):
            causal_lm = falcon_edu.FalconCausalLM.from_preset(name)
            falcon_edu.export_to_web(causal_lm, folder / name)
            page = browser.new_page()
            page.goto(address)
            best = page.evaluate(TIME, [f"{address}/{name}/", TEXT, TRIES])
            print(name, ", ".join(f"{what} {ms:.1f} ms" for what, ms in best.items()))
            page.close()
        browser.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
