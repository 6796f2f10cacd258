// What a sampler leaves of the next token's chances: pure functions, without a page.
//
// A setting is {temperature, top_k, top_p}. A row is {id, before, now}: a token, its probability
// for the model, and in what is drawn from; the last row, of all other tokens, has a count, no id.

import { make_sampler } from "../samplers.js";
import { percent, spoken } from "./words.js";

export const LIMITS = {
  temperature: { min: 0.1, max: 2, step: 0.1 },
  top_p: { min: 0.1, max: 1, step: 0.1 },
};
export const TOP_K = [1, 2, 3, 5, 10, 20, 50]; // and all
const SAID = 3; // tokens in the sentence

/** Return the setting that changes nothing, for logits (v,). */
export const neutral = (logits) => ({ temperature: 1, top_k: logits.length, top_p: 1 });

/** Return the rows of the tokens that are most probable for the model, and one of all others. */
export function rows_of(logits, { temperature, top_k, top_p }, count = 10) {
  const drawn_from = { name: "top_p", p: top_p, k: top_k, temperature };
  const both = [{ name: "random" }, drawn_from].map((of) => make_sampler(of).distribution(logits));
  const [before, now] = both;
  // Rounded first, so that a tie is the same tie on every machine.
  const rounded = Array.from(before, (p) => Math.round(p * 1e6));
  const ids = [...rounded.keys()].sort((a, b) => rounded[b] - rounded[a] || a - b);
  const rows = ids.slice(0, count).map((id) => ({ id, before: before[id], now: now[id] }));
  const others = ids.slice(count);
  if (!others.length) return rows;
  const together = (of) => others.reduce((sum, id) => sum + of[id], 0);
  return [...rows, { count: others.length, before: together(before), now: together(now) }];
}

/** Return what a setting changes, in words; nothing if it changes nothing. */
export function setting_in_words(setting, plain) {
  const changed = Object.keys(plain).filter((name) => setting[name] !== plain[name]);
  return changed.map((name) => `${name.replace("_", "-")} ${setting[name]}`).join(", ");
}

/** Say in a sentence what may come next. */
export function sentence(rows, vocabulary, setting) {
  const said = rows.slice(0, SAID).map(({ id, before, now }) => {
    const number = setting ? `${percent(now)}, was ${percent(before)}` : percent(now);
    return `${spoken(vocabulary[id])} ${number}`;
  });
  return `${setting ? `With ${setting}` : "Next may come"}: ${said.join("; ")}.`;
}
