// What the explorer says of tokens and numbers, as falcon_edu/plots/style.py does for pictures.

const BOUNDARY = "<|endoftext|>";
const GRAPHEMES = new Intl.Segmenter("en", { granularity: "grapheme" });
const EMOJI = /\p{Emoji_Presentation}|\p{Emoji}\ufe0f/u;
const UNSEEN = /^(?![ \n])[\p{C}\p{Z}\u2800\u3164\u115f\u1160\uffa0\u034f\ufe00-\ufe0f]$/u;
const MARK = /^\p{M}/u;

/**
 * Return a text in which everything is to be seen, but spaces and line breaks: other characters
 * that show nothing stand by their code points, and a mark without a letter on a dotted circle.
 */
export function visible(text) {
  let written = "";
  for (const { segment } of GRAPHEMES.segment(text)) {
    // What joins the parts of one emoji shows nothing either, but must stay.
    for (const character of EMOJI.test(segment) ? [segment] : segment) {
      const point = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      if (UNSEEN.test(character)) written += `U+${point}`;
      else if (MARK.test(character) && /(^|[ \n])$/.test(written)) written += `◌${character}`;
      else written += character;
    }
  }
  return written;
}

/** Return a token as the explorer writes it: `[start]`, `Once`, `·upon`, `↵`. */
export function token_label(token, is_first = false) {
  if (token === BOUNDARY) return is_first ? "[start]" : "[end]";
  const word = token.replace(/^ +/, "");
  const spaces = "·".repeat(token.length - word.length);
  return visible(spaces + word.replaceAll("\n", "↵").replaceAll("\t", "→")) || "∅";
}

/** Return a token as a sentence has it: in quotes, or in words where there is nothing to see. */
export function spoken(token, is_first = false) {
  if (token === BOUNDARY) return is_first ? "the start" : "the end";
  const word = token.replace(/^[ \n\t]+|[ \n\t]+$/g, "");
  if (word) return `“${visible(word)}”`;
  return token.includes("\n") ? "a new line" : token ? "a space" : "nothing";
}

/** Return the number of bytes that a token stands for: `\xf0` is one that is no letter alone. */
export function byte_length(token) {
  return new TextEncoder().encode(token.replace(/\\x[0-9a-f]{2}/g, "-")).length;
}

/** Write a weight as exactly as one may want it: 0.2613, 3.2e-6. */
export function exactly(weight) {
  return weight >= 0.001 ? weight.toFixed(4) : weight ? weight.toExponential(1) : "0";
}

/** Write a probability as whole percents; 0% is nothing at all, and 100% leaves hardly anything. */
export function percent(probability) {
  if (probability > 0 && probability < 0.005) return "<1%";
  if (probability < 0.9999 && probability >= 0.995) return ">99%";
  return `${Math.round(100 * probability)}%`;
}
