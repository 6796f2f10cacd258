// Probabilities of tokens as bars: those of the next tokens after the chosen one.

import { make } from "./parts.js";
import { percent, spoken, token_label } from "./words.js";

/** Make a row of a list of bars: a name, probabilities by what their bars are, what is said. */
export function make_row(name, probabilities, said) {
  const bars = Object.entries(probabilities).map(([kind, probability]) => {
    const bar = make("span", { class: `falcon-${kind}` });
    bar.style.width = `${100 * probability}%`;
    return bar;
  });
  const drawn = make("span", { class: "falcon-bar", "aria-hidden": "true" }, ...bars);
  return make("li", {}, make("span", {}, name), drawn, make("span", {}, said));
}

/** Make a row that compares what is now with what was before, if they are to be compared. */
export function make_compared_row(name, { before, now }, is_compared) {
  if (!is_compared) return make_row(name, { now }, percent(now));
  return make_row(name, { now, before }, `${percent(before)} → ${percent(now)}`);
}

/** Make the part. */
export function make_bars() {
  const title = make("div", { class: "falcon-title" });
  const list = make("ul", { class: "falcon-bars" });
  let shown; // the position that is shown

  return {
    element: make("div", {}, title, list),
    read() {
      shown = null;
    },
    show({ tokens, next_tokens }, { query }) {
      if (query === shown) return;
      shown = query;
      title.textContent = `After ${spoken(tokens[query], query === 0)} comes`;
      const row = ([token, now]) => make_row(token_label(token), { now }, percent(now));
      list.replaceChildren(...next_tokens[query].map(row));
    },
  };
}
