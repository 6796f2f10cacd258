// One explorer: a text, where each of its tokens looks, in every head, and what comes next.

import { make_bars } from "./bars.js";
import { is_dark } from "./colors.js";
import { make_heads } from "./heads.js";
import { fit, sentence, walk } from "./looks.js";
import { make_map } from "./map.js";
import { make } from "./parts.js";
import { make_tokens } from "./tokens.js";
import { byte_length } from "./words.js";
import { make_writer } from "./writer.js";

/**
 * Show an explorer in an element, and return {ready, element}: a promise of its first picture.
 *
 * A source answers `record(text)` with a promise of {tokens, attention_weights, next_tokens}, as
 * `looks.js` describes them. If it has `generate(text, on_text)`, a promise of the whole text,
 * there is a box to type into. What comes with the text says where to begin: layer, head, query.
 */
export function mount(element, source, { text = "", ...start } = {}) {
  const says = make("p", { class: "falcon-says", role: "status" });
  const pin = make("button", { class: "falcon-pin", type: "button" }, "Hold still");
  pin.setAttribute("aria-pressed", false);
  let seen; // what was recorded of the text
  let view = { layer: 0, head: 0, query: -1, key: null, ...start }; // what was chosen
  let glance = null; // what the hand is over, for as long as it is
  let is_pinned = false;
  let shown = {};
  let written_from = Infinity; // bytes of the text before what the Falcon wrote
  let latest = 0; // number of the last text: what comes of others is too late

  const hand = {
    choose(change) {
      glance = null;
      view = fit(seen, { ...view, key: null, ...change });
      show();
    },
    peek(change) {
      if (!seen || is_pinned || (!change && !glance)) return;
      glance = change;
      show();
    },
    walk(part, key) {
      const next = seen && walk(seen, view, part, key);
      if (next) hand.choose(next);
      return Boolean(next);
    },
    pin() {
      is_pinned = !is_pinned;
      pin.setAttribute("aria-pressed", is_pinned);
    },
  };
  pin.addEventListener("click", hand.pin);

  const tokens = make_tokens(hand);
  const parts = [tokens, make_map(hand), make_heads(hand), make_bars()];
  const stop = () => read(text, written_from);
  const writer = source.generate && make_writer(text, { read, write, stop });
  const writing = make("p", { class: "falcon-writing", hidden: "" });
  const [, map, heads, bars] = parts.map((part) => part.element);
  const beside = make("div", { class: "falcon-beside" }, heads, bars);
  const status = make("div", { class: "falcon-status" }, says, pin);
  const pictures = make("div", { class: "falcon-pictures" }, map, beside);
  const box = writer ? [writer.element] : [];
  const text_parts = [...box, writing, tokens.element];
  const root = make("div", { class: "falcon-explorer" }, ...text_parts, status, pictures);
  pictures.hidden = tokens.element.hidden = true; // until there is something to see
  element.replaceChildren(root);

  const theme = () => (is_dark(getComputedStyle(root).color) ? "dark" : "light");
  function show() {
    const now = fit(seen, { ...view, ...glance });
    const is_other_head = ["layer", "head"].some((name) => now[name] !== shown[name]);
    // The focus stays with what was chosen: where the hand happens to be, it would scroll the page.
    const more = { theme: theme(), is_other_head, chosen: fit(seen, view) };
    for (const part of parts) part.show(seen, now, more);
    shown = now;
    says.textContent = sentence(seen, now);
  }
  function renew(recorded) {
    seen = recorded;
    pictures.hidden = tokens.element.hidden = false;
    [glance, shown] = [null, {}];
    for (const part of parts) part.read(seen, written_from, theme());
    view = fit(seen, view);
    show();
  }
  function say(problem) {
    says.textContent = problem.message;
    writer?.refuse(true);
  }

  async function read(now, from = Infinity) {
    const number = ++latest;
    [text, written_from] = [now, from];
    try {
      const recorded = await source.record(now);
      if (number !== latest) return;
      view = { ...view, query: seen || start.query === undefined ? -1 : start.query, key: null };
      renew(recorded);
      writer?.refuse(false);
    } catch (problem) {
      if (number === latest) say(problem);
    }
    if (number === latest) idle();
  }
  async function write(beginning) {
    const number = ++latest;
    const busy = (is_busy) => {
      root.setAttribute("aria-busy", is_busy);
      [writing.hidden, tokens.element.hidden] = [!is_busy, is_busy];
      writer.busy(is_busy);
    };
    says.textContent = "The Falcon is writing.";
    writing.textContent = text = beginning;
    written_from = byte_length(beginning);
    busy(true);
    idle = () => (busy(false), (idle = () => {}));
    try {
      const whole = await source.generate(beginning, (so_far) => {
        if (number === latest) writing.textContent = text = so_far;
      });
      if (number !== latest) return;
      await read(whole, written_from);
      const heard = `The Falcon wrote: ${whole.slice(beginning.length)} `;
      says.prepend(make("span", { class: "falcon-unseen" }, heard)); // eyes have it above
    } catch (problem) {
      if (number === latest) (say(problem), idle());
    }
  }
  let idle = () => {};

  // The theme may change under our hands: the browser's, or the one that a page has for itself.
  const repaint = () => seen && renew(seen);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  const attributeFilter = ["data-theme", "data-jp-theme-light"]; // Furo's and JupyterLab's
  new MutationObserver(repaint).observe(document.body, { attributeFilter });
  return { ready: read(text), element: root };
}
