// The words that are spelled in many tokens, as most are that a model has hardly read.

import { make } from "./parts.js";
import { visible } from "./words.js";

const TOKENS = 3; // of a rare word
const SPELLED = "Spelled in three tokens or more, as rare words are: ";
const SPECIAL = /^<\|.*\|>$/; // no part of a text, such as the start
const PART = /^(?:\p{L}|\p{M}|\\x[0-9a-f]{2})/u; // a letter, or a byte that is none alone

/** Make the sentence that names them; there is none where there are none. */
export function make_rare() {
  const element = make("p", { class: "falcon-rare", hidden: "" });
  return {
    element,
    read({ tokens }) {
      const words = rare_words(tokens).map(visible).join(", ");
      element.hidden = !words;
      element.textContent = SPELLED + words;
    },
    show() {},
  };
}

/**
 * Return the words that come in three tokens or more, each once. A tokenizer makes one token of
 * what is frequent, so these are the rare ones, with a few that it cuts badly.
 */
export function rare_words(tokens) {
  const words = [];
  for (const token of tokens) {
    const goes_on = PART.test(token) && words.length && !SPECIAL.test(words.at(-1)[0]);
    if (goes_on) words.at(-1).push(token);
    else words.push([token]);
  }
  const rare = words.filter((pieces) => pieces.length >= TOKENS).map((pieces) => pieces.join(""));
  const letters = rare.map((word) => whole(word).match(/\p{L}[\p{L}\p{M}]*/u)?.[0]);
  return [...new Set(letters.filter(Boolean))];
}

/** Return a text in which `\xc3\xa9` is the letter that these bytes are. */
function whole(text) {
  return text.replace(/(?:\\x[0-9a-f]{2})+/g, (escaped) => {
    const bytes = escaped.match(/[0-9a-f]{2}(?=\\|$)/g).map((byte) => parseInt(byte, 16));
    return new TextDecoder().decode(new Uint8Array(bytes));
  });
}
