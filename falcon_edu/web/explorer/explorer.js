// One explorer: a text, where each of its tokens looks, in every head, and what comes next.

import { make_bars } from "./bars.js";
import { make_heads } from "./heads.js";
import { fit, is_still_there, sentence, walk } from "./looks.js";
import { make_map } from "./map.js";
import { make } from "./parts.js";
import { make_rare } from "./rare.js";
import { make_reading } from "./reading.js";
import { make_status } from "./status.js";
import { on_theme, theme_of } from "./theme.js";
import { make_tokens } from "./tokens.js";
import { byte_length } from "./words.js";
import { make_writer } from "./writer.js";

/**
 * Show an explorer in an element, and return {ready, element, go, lose, remove}.
 *
 * A source answers `record(text)` with a promise of {tokens, attention_weights, next_tokens}, as
 * `looks.js` describes them. If it has `generate(text, on_text)`, a promise of the whole text, or
 * `reads` any text, there is a box to type into. What comes with the text says where to begin:
 * layer, head, query.
 *
 * `ready` is a promise of the first picture. `go({text, layer, head, query})` goes elsewhere, and
 * reads the text `again` if told so. `on_view(view, is_by_hand)` is told where somebody went by
 * hand, and where one is in another text; `on_say`, where there is no live region, what is said.
 * `lose(reason)` takes the box away; `remove` ends it.
 */
export function mount(element, source, { text = "", on_view = () => {}, on_say, ...start } = {}) {
  let seen; // what was recorded of the text
  let view = { layer: 0, head: 0, query: -1, key: null, ...start }; // what was chosen
  let glance = null; // what the hand is over, for as long as it is
  let shown = {};
  const status = make_status(on_say);
  let written_from = Infinity; // bytes of the text before what the Falcon wrote
  let chosen = {}; // what somebody has chosen while a text is being read

  const hand = {
    choose(change) {
      glance = null;
      view = fit(seen, { ...view, key: null, ...change });
      chosen = reading.is_busy() ? { ...chosen, ...change } : {};
      show();
      on_view(view, true);
    },
    peek(change) {
      if (!seen || status.is_pinned() || (!change && !glance)) return;
      glance = change;
      show();
    },
    walk(part, key) {
      const next = seen && walk(seen, view, part, key);
      const { layer, head } = next ?? {};
      if (next) hand.choose(part === "heads" ? { layer, head } : next);
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
  const reading = make_reading(root, status.say, writer?.refuse);
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

  /** Read a text, and return a promise of whether it is shown with nothing chosen by hand. */
  async function read(now, from = Infinity) {
    [text, written_from] = [now, from];
    let is_by_hand = false;
    const is_last = await reading.read(source.record(now), (recorded) => {
      const is_first = !seen;
      if (!("query" in chosen) || !is_still_there(seen, recorded, view.query)) {
        view = { ...view, query: is_first ? (start.query ?? -1) : -1, key: null };
      }
      is_by_hand = Object.keys(chosen).length > 0;
      renew(recorded);
      if (!is_first) on_view(view, is_by_hand);
    });
    if (is_last) done();
    return is_last && !is_by_hand;
  }
  async function write(beginning) {
    const is_late = reading.begin();
    const busy = (is_busy) => {
      root.setAttribute("aria-busy", is_busy);
      [writing.hidden, tokens.element.hidden] = [!is_busy, is_busy];
      writer.busy(is_busy);
    };
    writing.textContent = text = beginning;
    written_from = byte_length(beginning);
    busy(true);
    status.say("The Falcon is writing.");
    idle = () => busy(false);
    try {
      const whole = await source.generate(beginning, (so_far) => {
        if (!is_late()) writing.textContent = text = so_far;
      });
      if (is_late()) return;
      await read(whole, written_from);
      status.say_before(`The Falcon wrote: ${whole.slice(beginning.length)} `);
    } catch (problem) {
      if (!is_late()) (reading.fail(problem), reading.end(), done());
    }
  }
  let idle = () => {};
  const done = () => (idle(), ([chosen, idle] = [{}, () => {}]));

  const remove = on_theme(() => seen && renew(seen)); // it may change under our hands
  return {
    ready: read(text),
    element: root,
    async go({ text: now = text, again = false, ...there }) {
      if ((again || now !== text) && !(writer?.write(now), await read(now))) return;
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
