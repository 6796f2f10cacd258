// What is seen, and where in it one stands: pure functions, without a page.
//
// `seen` is what a source records: tokens, t strings; attention_weights[layer][query], (n, k) with
// k = query + 1; next_tokens[position], pairs [token, probability], the most probable first.
// Where no attention is seen there is one place for it, layer 0 and head 0.
// `view` is {layer, head, query, key, is_column}: `key` is null where no cell is chosen, and
// `is_column` is true where one sees who looks at the token instead of where the token looks.

import { exactly, spoken } from "./words.js";

/** Return how many layers and heads there are. */
export function sizes({ attention_weights = [[[1]]] }) {
  return { layers: attention_weights.length, heads: attention_weights[0][0].length };
}

/** Return the weight of one cell; above the diagonal there is none, which is 0. */
export function weight({ attention_weights }, { layer, head }, query, key) {
  return key > query ? 0 : attention_weights[layer][query][head * (query + 1) + key];
}

/** Return a weight for each token: where the chosen one looks, or which tokens look at it. */
export function line(seen, view) {
  const { query, is_column } = view;
  const of = (other) => weight(seen, view, ...(is_column ? [other, query] : [query, other]));
  return seen.tokens.map((_, other) => of(other));
}

/** Return the index of the largest value, the first of equal ones. */
export function strongest(values) {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}

/** Return the view nearest to a wanted one that there is: -1 is the last token, and so on. */
export function fit(seen, { layer = 0, head = 0, query = -1, key = null, is_column = false }) {
  const { layers, heads } = sizes(seen);
  const within = (i, count) => Math.max(0, Math.min(count - 1, i < 0 ? count + i : i));
  const at = within(query, seen.tokens.length);
  return {
    layer: within(layer, layers),
    head: within(head, heads),
    query: at,
    key: key === null ? null : Math.min(key, at),
    is_column,
  };
}

/** True if a token stands in another text, too, after the same tokens. */
export function is_still_there({ tokens }, other, query) {
  return tokens.slice(0, query + 1).every((token, i) => token === other.tokens[i]);
}

// What a key moves in each part, and by how much.
const ALONG = { tokens: "query", map: "key", heads: "head" };
const ACROSS = { tokens: "query", map: "query", heads: "layer" };
const STEPS = {
  ArrowLeft: [ALONG, -1],
  ArrowRight: [ALONG, 1],
  ArrowUp: [ACROSS, -1],
  ArrowDown: [ACROSS, 1],
  Home: [ALONG, -Infinity],
  End: [ALONG, Infinity],
};

/** Return the view after a key was pressed in a part, or null if the key means nothing there. */
export function walk(seen, view, part, pressed) {
  if (!Object.hasOwn(STEPS, pressed)) return null;
  const [names, step] = STEPS[pressed];
  const { layers, heads } = sizes(seen);
  const count = { layer: layers, head: heads, query: seen.tokens.length, key: view.query + 1 };
  const key = part === "map" ? (view.key ?? strongest(line(seen, view))) : null;
  const [from, name] = [{ ...view, key }, names[part]];
  const to = Math.max(0, Math.min(count[name] - 1, from[name] + step));
  return fit(seen, { ...from, [name]: to });
}

/** Say in a sentence what the view shows. */
export function sentence(seen, view) {
  const { tokens } = seen;
  const named = (i) => spoken(tokens[i], i === 0);
  const weights = line(seen, view);
  const other = view.key ?? strongest(weights);
  const where = `Layer ${view.layer}, head ${view.head}: ${named(view.query)}`;
  if (view.is_column) {
    return `${where} is looked at most by ${named(other)}, with ${weights[other].toFixed(2)}.`;
  }
  const number = view.key === null ? weights[other].toFixed(2) : exactly(weights[other]);
  return `${where} looks at ${other === view.query ? "itself" : named(other)} with ${number}.`;
}

/** Return the most probable next tokens from logits (v,): pairs of token and probability. */
export function next_tokens(logits, vocabulary, count = 6) {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const exponentials = logits.map((x) => Math.exp(x - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  const best = []; // ids, at most `count`, the most probable first
  logits.forEach((x, id) => {
    if (best.length === count && x <= logits[best.at(-1)]) return;
    const at = best.findIndex((other) => x > logits[other]);
    best.splice(at < 0 ? best.length : at, 0, id);
    best.length = Math.min(best.length, count);
  });
  return best.map((id) => [vocabulary[id], exponentials[id] / sum]);
}

/** Return the size of a map's cells in pixels, and whether there is room for labels beside them. */
export function map_layout(width, count) {
  const [labels, smallest, largest] = [76, 11, 26];
  const beside = Math.floor((width - labels) / count);
  if (beside >= smallest) return { cell: Math.min(beside, largest), has_labels: true };
  return { cell: Math.min(width / count, largest), has_labels: false };
}
