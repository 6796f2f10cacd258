// What a Falcon would say after each of its layers, and how well the token that truly comes does.

import { make_control } from "./controls.js";
import { lens_sentence, number, strength, told } from "./lens.js";
import { fit, is_still_there, walk } from "./looks.js";
import { make, unique } from "./parts.js";
import { make_rare } from "./rare.js";
import { make_reading } from "./reading.js";
import { make_stages } from "./stages.js";
import { make_status } from "./status.js";
import { on_theme, theme_of } from "./theme.js";
import { make_tokens } from "./tokens.js";
import { make_writer } from "./writer.js";

const SHOWN = ["rank", "probability"];

/** Return `read(text)`: a promise of what a Falcon's source records, with `columns` (`lens.js`). */
function columns_of(source) {
  let known = { token_ids: [], columns: [] };
  return async (text) => {
    const [recorded, { vocabulary }] = await Promise.all([source.record(text), source.loaded]);
    const { token_ids } = recorded;
    const other = token_ids.findIndex((id, i) => id !== known.token_ids[i]);
    const same = other < 0 ? token_ids.length : other; // tokens of the text before
    const column = async (_, i) => {
      if (i + 1 < same) return known.columns[i];
      const stages = await source.logit_lens(text, i);
      return stages.map((logits) => told(logits, token_ids[i + 1], vocabulary));
    };
    known = { token_ids, columns: await Promise.all(token_ids.map(column)) };
    return { ...recorded, columns: known.columns };
  };
}

/**
 * Show the explorer of a text in an element, and return {ready, go, lose, remove}.
 *
 * The source is a Falcon's, or answers `record(text)` with a promise of {tokens, columns} as
 * `lens.js` has them. `on_view({query, show})` is told where somebody went by hand, and where one
 * is in another text. The others are as in `explorer.js`.
 */
export function mount_logit_lens(
  element,
  source,
  { text = "", query = -1, show = "rank", on_view } = {},
) {
  let seen; // what was recorded of the text
  let view = { query }; // the token that was chosen
  let glance = null; // what the hand is over: {query, stage}
  let width; // that was seen last: while a theme comes, there may be another for a moment
  let chosen = false; // whether a token was chosen while a text is read
  const record = source.logit_lens ? columns_of(source) : source.record;
  const tell = () => on_view?.({ ...view, show });
  const hand = {
    choose({ query }) {
      [view, glance, chosen] = [fit(seen, { query }), null, reading.is_busy()];
      draw();
      tell();
    },
    peek(change) {
      if (!seen || status.is_pinned() || (!change && !glance)) return;
      glance = change;
      draw();
    },
    walk(part, key) {
      const next = seen && walk(seen, view, part, key);
      if (next) hand.choose(next);
      return Boolean(next);
    },
    pin: () => status.pin(),
  };
  const tokens = make_tokens(hand, {
    shows: "what the Falcon would say after it. The stronger the color, the better its guess.",
    strengths: ({ columns }) => columns.map((stages) => strength(stages.at(-1), show)),
    said: (_, i, { columns }) => `${show} ${number(columns[i].at(-1), show) || "unknown"}`,
  });
  const writer = make_writer(text, { read });
  const [rare, status] = [make_rare(), make_status()];
  const given = { kind: "buttons", label: "What is told of the token that comes", options: SHOWN };
  const control = make_control(given, unique("falcon-lens"), (i) => {
    show = SHOWN[i];
    draw();
    tell();
  });
  const stages = make_stages(hand);
  const parts = [writer, rare, tokens, control, status, stages].map((part) => part.element);
  const root = make("div", { class: "falcon-explorer" }, ...parts);
  const reading = make_reading(root, status.say, writer.refuse);
  const hide = (is_hidden) =>
    [tokens, control, stages].forEach((part) => (part.element.hidden = is_hidden));
  hide(true); // until there is something to see
  element.replaceChildren(root);

  function draw() {
    const [theme, now] = [theme_of(root), { ...view, ...glance }];
    tokens.show(seen, now, { theme, chosen: view });
    // Where the hand is in the table, that must not move.
    const near = "stage" in now ? view.query : now.query;
    width ??= root.clientWidth;
    stages.show(seen, now, near, { show, theme, width });
    control.show({ value: SHOWN.indexOf(show) });
    status.say(lens_sentence(seen, now, show));
  }
  function read(now) {
    text = now;
    if (!reading.is_busy()) chosen = false;
    return reading.read(record(now), (recorded) => {
      const is_first = !seen;
      const is_kept = chosen && is_still_there(seen, recorded, view.query);
      if (!is_kept) view = { query: is_first ? query : -1 };
      [seen, glance, chosen] = [recorded, null, false];
      view = fit(seen, view);
      hide(false);
      tokens.read(seen, Infinity);
      rare.read(seen);
      draw();
      if (!is_first) tell();
    });
  }
  const fit_width = () => {
    if (!seen || width === root.clientWidth) return;
    width = root.clientWidth;
    draw();
  };
  const resized = new ResizeObserver(fit_width);
  resized.observe(root);
  const forget_theme = on_theme(() => seen && draw());
  return {
    ready: read(text),
    async go({ text: now = text, ...there }) {
      if (now !== text && !(writer.write(now), await read(now))) return;
      if (!seen || (there.query === view.query && there.show === show)) return;
      [glance, view, show] = [null, fit(seen, there), there.show];
      draw();
    },
    lose(reason) {
      writer.lose(reason); // for the eyes
      status.say(reason); // for the ears
    },
    remove() {
      resized.disconnect();
      forget_theme();
    },
  };
}
