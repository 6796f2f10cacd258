// The text, token by token: it wraps, and each token has a color.

import { ink_on, ramp } from "./colors.js";
import { line } from "./looks.js";
import { make, on_keys, rove } from "./parts.js";
import { byte_length, exactly, spoken, token_label } from "./words.js";

const HOLD = 400; // milliseconds after which a press is one that holds
const FAINT = 0.02; // fainter ones would do no more than shade the whole text

const ATTENTION = {
  shows: "where it looks. Hold it to see who looks at it.",
  strengths: line,
  said: exactly,
};

/**
 * Make the part; `hand` is {choose, peek, pin, walk}. What one sees of a chosen token is told in
 * words; `strengths(seen, view)` gives numbers from 0 to 1, and `said(number, i, seen)` tells one.
 */
export function make_tokens(hand, { shows, strengths, said } = ATTENTION) {
  const list = make("div", { class: "falcon-tokens", role: "listbox", "aria-label": "Tokens" });
  const hint = make("div", { class: "falcon-hint" });
  hint.textContent = `Point at a word, tap it or walk with the arrow keys to see ${shows}`;
  const element = make("div", {}, list, hint);
  let options = [];
  let holding;
  const index_of = (event) => options.indexOf(event.target.closest("[role=option]"));
  const on = (name, act) =>
    list.addEventListener(name, (event) => {
      const query = index_of(event);
      if (query >= 0) act({ query, key: null }, event);
    });
  const release = () => (clearTimeout(holding), hand.peek(null));

  on("pointerover", (there, { pointerType }) => pointerType === "mouse" && hand.peek(there));
  on("click", (there) => hand.choose(there));
  on("dblclick", () => hand.pin());
  on("pointerdown", (there) => {
    clearTimeout(holding);
    holding = setTimeout(() => hand.peek({ ...there, is_column: true }), HOLD);
  });
  for (const name of ["pointerup", "pointerleave", "pointercancel"]) {
    list.addEventListener(name, release);
  }
  // A finger that holds asks for a menu, too.
  on("contextmenu", (_, event) => event.pointerType === "touch" && event.preventDefault());
  on_keys(list, (key) => {
    const there = { query: options.indexOf(document.activeElement), key: null };
    if (key === " ") return hand.peek({ ...there, is_column: true }), true;
    return hand.walk("tokens", key);
  });
  list.addEventListener("keyup", ({ key }) => key === " " && hand.peek(null));

  return {
    element,
    read(seen, written_from) {
      let length = 0; // in bytes, for a token may be a part of a letter
      options = seen.tokens.map((token, i) => {
        const label = token_label(token, i === 0);
        // A word keeps its space: this is a text. What can't be seen, or is alone, has its label.
        const text = /^ ?[^\s]/.test(token) && label.replace(/^·/, " ") === token ? token : label;
        const option = make("span", { role: "option" }, text);
        option.classList.toggle("falcon-sign", text !== token || token.startsWith("\\x"));
        option.classList.toggle("falcon-written", length >= written_from);
        length += i === 0 && text === "[start]" ? 0 : byte_length(token);
        return option;
      });
      const breaks = (i) => (seen.tokens[i].includes("\n") ? [make("br")] : []);
      list.replaceChildren(...options.flatMap((option, i) => [option, ...breaks(i)]));
    },
    show(seen, view, { theme, chosen }) {
      const all = strengths(seen, view);
      options.forEach((option, i) => {
        const rgb = ramp(all[i], theme);
        const is_faint = all[i] < FAINT;
        option.style.background = is_faint ? "" : `rgb(${rgb})`;
        option.style.color = is_faint ? "" : ink_on(rgb);
        option.setAttribute("aria-selected", i === view.query);
        const name = `${i}: ${spoken(seen.tokens[i], i === 0)}, ${said(all[i], i, seen)}`;
        option.setAttribute("aria-label", name);
      });
      rove(options, chosen.query);
    },
  };
}
