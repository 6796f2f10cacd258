// Looking inside: record what a forward pass computes, ablate heads, logit lens, generate.

import { make_cache, run_blocks, truncate_cache } from "./backbone.js";
import { compute_logits } from "./causal_lm.js";
import { make_sampler } from "./samplers.js";

/** Return the token ids of a text, if the model has room for them. */
export function encode({ tokenizer, sequence_length: room }, text) {
  // A text that can't fit is not split first, for that would take long.
  const fits = text.length <= room * tokenizer.longest;
  const token_ids = fits ? tokenizer.encode(text) : [];
  if (!fits || token_ids.length > room) {
    throw new Error(`The model reads ${room} tokens, and the text has more: make it shorter.`);
  }
  if (!token_ids.length) throw new Error("The text must hold at least one token.");
  return token_ids;
}

/**
 * Have a cache hold these tokens and no others; what it holds of them already is kept.
 *
 * Heads are pairs [layer, head] that write nothing into the residual stream; for others than those
 * of the cache, and without a cache, there is a new one.
 */
export function prefill(causal_lm, token_ids, heads = [], cache = null) {
  const { num_layers, num_attention_heads } = causal_lm.config;
  for (const [layer, head] of heads) {
    if (layer in Array(num_layers).fill() && head in Array(num_attention_heads).fill()) continue;
    throw new Error(`There is no head ${head} in layer ${layer}.`);
  }
  if (String(cache?.heads) !== String(heads)) cache = make_cache(causal_lm.config, heads);
  const other = token_ids.findIndex((id, i) => id !== cache.token_ids[i]);
  truncate_cache(cache, other < 0 ? token_ids.length : other);
  run_blocks(causal_lm, token_ids.slice(cache.token_ids.length), cache);
  return cache;
}

/**
 * Return all that one may want to look at, as `falcon_edu.record`: tokens, token_ids,
 * hidden_states, num_layers + 1 times t times (m,), attention_weights, num_layers times t times
 * (n, k), where k ends with the query itself, and logits, t times (v,).
 */
export function record(causal_lm, cache) {
  const new_states = cache.hidden_states.at(-1).slice(cache.logits.length);
  cache.logits.push(...compute_logits(causal_lm, new_states));
  return {
    tokens: causal_lm.tokenizer.token_strings(cache.token_ids),
    token_ids: [...cache.token_ids],
    hidden_states: cache.hidden_states.map((states) => [...states]),
    attention_weights: cache.layers.map((layer) => [...layer.attention_weights]),
    logits: [...cache.logits],
  };
}

/** Return what the model would say of one token if it stopped after each layer: (v,) for each. */
export function logit_lens(causal_lm, cache, position) {
  return compute_logits(causal_lm, cache.hidden_states.map((states) => states.at(position)));
}

/** Yield the ids that continue the tokens in a cache, until an end token or `max_length`. */
export function* generate(causal_lm, cache, { max_length = Infinity, ...options } = {}) {
  const sampler = make_sampler(options);
  const room = Math.min(max_length, causal_lm.sequence_length);
  while (cache.token_ids.length < room) {
    const [logits] = compute_logits(causal_lm, cache.hidden_states.at(-1).slice(-1));
    const token_id = sampler.next_token(logits);
    run_blocks(causal_lm, [token_id], cache);
    yield token_id;
    if (causal_lm.tokenizer.end_token_ids.includes(token_id)) return;
  }
}
