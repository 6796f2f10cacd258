// One explorer: a text, where each of its tokens looks, in every head, and what comes next.

import { make_bars } from "./bars.js";
import { make_heads } from "./heads.js";
import { fit, sentence, walk } from "./looks.js";
import { make_map } from "./map.js";
import { make } from "./parts.js";
import { make_rare } from "./rare.js";
import { make_status } from "./status.js";
import { on_theme, theme_of } from "./theme.js";
import { make_tokens } from "./tokens.js";
import { byte_length } from "./words.js";
import { make_writer } from "./writer.js";

const SLOW = 200; // milliseconds after which one is told that a text is being read

/**
 * Show an explorer in an element, and return {ready, element, go, lose, remove}.
 *
 * A source answers `record(text)` with a promise of {tokens, attention_weights, next_tokens}, as
 * `looks.js` describes them. If it has `generate(text, on_text)`, a promise of the whole text, or
 * `reads` any text, there is a box to type into. What comes with the text says where to begin:
 * layer, head, query.
 *
 * `ready` is a promise of the first picture. `go({text, layer, head, query})` goes elsewhere, and
 * reads the text `again` if told so. `on_view` is told where somebody went by hand, and `on_say`,
 * where there is no live region, what is said. `lose(reason)` takes the box away; `remove` ends it.
 */
export function mount(element, source, { text = "", on_view = () => {}, on_say, ...start } = {}) {
  let seen; // what was recorded of the text
  let view = { layer: 0, head: 0, query: -1, key: null, ...start }; // what was chosen
  let glance = null; // what the hand is over, for as long as it is
  let shown = {};
  const status = make_status(on_say);
  let written_from = Infinity; // bytes of the text before what the Falcon wrote
  let latest = 0; // number of the last text: what comes of others is too late

  const hand = {
    choose(change) {
      glance = null;
      view = fit(seen, { ...view, key: null, ...change });
      show();
      on_view(view);
    },
    peek(change) {
      if (!seen || status.is_pinned() || (!change && !glance)) return;
      glance = change;
      show();
    },
    walk(part, key) {
      const next = seen && walk(seen, view, part, key);
      if (next) hand.choose(next);
      return Boolean(next);
    },
    pin: status.pin,
  };
  const tokens = make_tokens(hand);
  const parts = [tokens, make_map(hand), make_heads(hand), make_bars(), make_rare()];
  const stop = () => read(text, written_from);
  const writes = source.generate && write;
  const writer = (writes || source.reads) && make_writer(text, { read, write: writes, stop });
  const writing = make("p", { class: "falcon-writing", hidden: "" });
  const [, map, heads, bars, rare] = parts.map((part) => part.element);
  const beside = make("div", { class: "falcon-beside" }, heads, bars);
  const pictures = make("div", { class: "falcon-pictures" }, map, beside);
  const texts = [...(writer ? [writer.element] : []), writing, tokens.element, rare];
  const root = make("div", { class: "falcon-explorer" }, ...texts, status.element, pictures);
  pictures.hidden = tokens.element.hidden = true; // until there is something to see
  element.replaceChildren(root);

  function show() {
    const now = fit(seen, { ...view, ...glance });
    const is_other_head = ["layer", "head"].some((name) => now[name] !== shown[name]);
    // The focus stays with what was chosen: where the hand happens to be, it would scroll the page.
    const more = { theme: theme_of(root), is_other_head, chosen: fit(seen, view) };
    for (const part of parts) part.show(seen, now, more);
    shown = now;
    status.say(sentence(seen, now));
  }
  function renew(recorded) {
    [seen, glance, shown] = [recorded, null, {}];
    pictures.hidden = tokens.element.hidden = false;
    for (const part of parts) part.read(seen, written_from, theme_of(root));
    view = fit(seen, view);
    show();
  }
  const say = ({ message }) => (status.say(message), writer?.refuse(true));
  const wait = (reason) => (status.say(reason), root.setAttribute("aria-busy", true));

  async function read(now, from = Infinity) {
    const number = ++latest;
    [text, written_from] = [now, from];
    const slow = setTimeout(() => number === latest && wait("The text is being read …"), SLOW);
    try {
      const recorded = await source.record(now);
      if (number !== latest) return;
      view = { ...view, query: seen || start.query === undefined ? -1 : start.query, key: null };
      const is_first = !seen;
      renew(recorded);
      writer?.refuse(false);
      if (!is_first) on_view(view);
    } catch (problem) {
      if (number === latest) say(problem);
    }
    clearTimeout(slow);
    if (number === latest) (root.removeAttribute("aria-busy"), idle());
  }
  async function write(beginning) {
    const number = ++latest;
    const busy = (is_busy) => {
      root.setAttribute("aria-busy", is_busy);
      [writing.hidden, tokens.element.hidden] = [!is_busy, is_busy];
      writer.busy(is_busy);
    };
    writing.textContent = text = beginning;
    written_from = byte_length(beginning);
    busy(true);
    status.say("The Falcon is writing.");
    idle = () => (busy(false), (idle = () => {}));
    try {
      const whole = await source.generate(beginning, (so_far) => {
        if (number === latest) writing.textContent = text = so_far;
      });
      if (number !== latest) return;
      await read(whole, written_from);
      status.say_before(`The Falcon wrote: ${whole.slice(beginning.length)} `);
    } catch (problem) {
      if (number === latest) (say(problem), idle());
    }
  }
  let idle = () => {};

  const remove = on_theme(() => seen && renew(seen)); // it may change under our hands
  return {
    ready: read(text),
    element: root,
    async go({ text: now = text, again = false, ...there }) {
      if (again || now !== text) await (writer?.write(now), read(now));
      if (!seen || ["layer", "head", "query"].every((name) => there[name] === view[name])) return;
      [glance, view] = [null, fit(seen, { ...view, key: null, ...there })];
      show();
    },
    lose(reason) {
      writer.lose(reason); // for the eyes
      status.say(reason); // for the ears
    },
    remove,
  };
}
