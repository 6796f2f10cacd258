// What a Falcon without some of its heads does otherwise: its words, and what it thinks comes next.

import { make_compared_row } from "../explorer/bars.js";
import { make } from "../explorer/parts.js";
import { percent, spoken, token_label } from "../explorer/words.js";

const BARS = 4; // of each of both

/** Say which heads are off. */
export function without(off) {
  const [layer, head] = off[0] ?? [];
  return off.length === 1 ? `without layer ${layer}, head ${head}` : `without ${off.length} heads`;
}

/** Return a text in two parts: the words at its beginning that another has, too, and the rest. */
export function split_at_difference(text, other) {
  const words = (of) => of.split(/(?=\s)/);
  const [ours, theirs] = [words(text), words(other)];
  const first = ours.findIndex((word, i) => word !== theirs[i]);
  return first < 0 ? [text, ""] : [ours.slice(0, first).join(""), ours.slice(first).join("")];
}

/**
 * Return what is most probable before or now, {id, before, now}: first what was, then what is new.
 * Both are probabilities (v,).
 */
export function next_of_both(before, now, count = BARS) {
  const best = (of) => Array.from(of.keys()).sort((a, b) => of[b] - of[a]).slice(0, count);
  const ids = [...new Set([...best(before), ...best(now)])];
  return ids.map((id) => ({ id, before: before[id], now: now[id] }));
}

/** Say in a sentence what has changed: of the token that was the most probable, and the words. */
export function sentence_of(before, now, off, vocabulary) {
  if (!off.length) return `goes on: ${before.written.trim()}`;
  const [best] = next_of_both(before.probabilities, now.probabilities);
  const number = `${percent(best.now)}, was ${percent(best.before)}`;
  const goes_on = now.written === before.written ? "as before" : now.written.trim();
  return `${without(off)}: ${spoken(vocabulary[best.id])} ${number}. It goes on: ${goes_on}`;
}

/**
 * Make the part with the words. `show(before, now, off)` takes what a Falcon does with all heads
 * and without those that are off: {written, probabilities (v,)}.
 */
export function make_story() {
  const [title, whole, cut] = [make("div", { class: "falcon-title" }), make("p"), make("p")];
  const label = (text) => make("span", { class: "falcon-hint" }, `${text}: `);
  return {
    element: make("div", { class: "falcon-story" }, title, whole, cut),
    show(before, now, off) {
      title.textContent = "It goes on";
      cut.hidden = !off.length;
      const [words, new_words] = [before, now].map(({ written }) => written.trimStart());
      whole.replaceChildren(...(off.length ? [label("all heads")] : []), words);
      if (!off.length) return;
      const [same, other] = split_at_difference(new_words, words);
      cut.replaceChildren(label(without(off)), same, make("mark", {}, other));
    },
    refuse(problem) {
      title.textContent = "";
      cut.hidden = true;
      whole.textContent = problem;
    },
  };
}

/** Make the part with the bars; `show` takes the same arguments as that of the words. */
export function make_next(vocabulary) {
  const title = make("div", { class: "falcon-title" }, "Next comes");
  const list = make("ul", { class: "falcon-bars" });
  const hint = make("div", { class: "falcon-hint" });
  const element = make("div", { class: "falcon-next" }, title, list, hint);
  return {
    element,
    show(before, now, off) {
      element.hidden = false;
      const next = next_of_both(before.probabilities, now.probabilities);
      const row = (each) => make_compared_row(token_label(vocabulary[each.id]), each, off.length);
      list.replaceChildren(...next.map(row));
      hint.textContent = off.length ? `Thin: with all heads. Thick: ${without(off)}.` : "";
    },
  };
}
