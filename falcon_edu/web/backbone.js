// The whole model: token ids to hidden states. No token sees a later one, so what was computed
// stays, and one cache serves a text that is typed (prefill) and one that is generated (decode).

import { falcon_transformer_decoder } from "./decoder.js";
import { row } from "./layers.js";

/** Return the cache of a text without tokens, for a model in which some heads are ablated. */
export function make_cache(config, heads = []) {
  const lists = (count) => Array.from({ length: count }, () => []);
  return {
    heads, // pairs [layer, head]
    token_ids: [],
    hidden_states: lists(config.num_layers + 1), // before the first block, after each: t times (m,)
    layers: lists(config.num_layers).map(() => ({ keys: [], values: [], attention_weights: [] })),
    logits: [], // of the tokens for which they were asked
  };
}

/** Forget all but the first tokens. */
export function truncate_cache(cache, length) {
  const lists = cache.layers.flatMap((layer) => Object.values(layer));
  for (const list of [cache.token_ids, cache.logits, ...cache.hidden_states, ...lists]) {
    list.length = Math.min(list.length, length);
  }
}

/** Run token ids through all blocks, after those in the cache. */
export function run_blocks({ config, backbone }, token_ids, cache) {
  const m = config.hidden_dim;
  if (!token_ids.length) return;
  const keep = (layer, x) => {
    token_ids.forEach((_, i) => cache.hidden_states[layer].push(row(x, i, m)));
  };
  let x = new Float32Array(token_ids.length * m); // (q, m)
  token_ids.forEach((id, i) => x.set(row(backbone.token_embedding.embeddings, id, m), i * m));
  keep(0, x);
  backbone.transformer_layers.forEach((block, layer) => {
    const ablated = cache.heads.filter((pair) => pair[0] === layer).map((pair) => pair[1]);
    x = falcon_transformer_decoder(block, config, x, cache.layers[layer], ablated);
    keep(layer + 1, x);
  });
  cache.token_ids.push(...token_ids);
}
