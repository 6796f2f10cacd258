// The most probable next tokens after the chosen one.

import { make } from "./parts.js";
import { percent, spoken, token_label } from "./words.js";

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
      const bars = next_tokens[query].map(([token, probability]) => {
        const bar = make("span", { class: "falcon-bar", "aria-hidden": "true" }, make("span"));
        bar.firstChild.style.width = `${100 * probability}%`;
        const [name, number] = [token_label(token), percent(probability)];
        return make("li", {}, make("span", {}, name), bar, make("span", {}, number));
      });
      list.replaceChildren(...bars);
    },
  };
}
