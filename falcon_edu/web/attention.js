// Attention: multi-head, multi-query or grouped, with ALiBi or RoPE, and a key/value cache.

import { dense, row, softmax } from "./layers.js";
import { alibi_bias, rotary_embedding } from "./positions.js";

/**
 * Compute softmax attention of one query (n, h), and return the weights it used: [(n, h), (n, k)].
 *
 * Keys and values are k arrays (g, h), those that the query may look at, so there is no mask. Each
 * serves n / g neighbouring query heads. The bias, (n, k) or null, is added before scaling.
 */
export function dot_product_attention(query, keys, values, bias, { n, g, h }) {
  const k = keys.length;
  const output = new Float32Array(n * h);
  const attention_weights = new Float32Array(n * k);
  for (let head = 0; head < n; head++) {
    const own = head * h;
    const shared = Math.floor((head * g) / n) * h;
    const weights = row(attention_weights, head, k);
    for (let j = 0; j < k; j++) {
      let score = bias ? bias[head][j] : 0;
      for (let i = 0; i < h; i++) score += query[own + i] * keys[j][shared + i];
      weights[j] = score / Math.sqrt(h);
    }
    softmax(weights);
    for (let j = 0; j < k; j++) {
      for (let i = 0; i < h; i++) output[own + i] += weights[j] * values[j][shared + i];
    }
  }
  return [output, attention_weights];
}

/**
 * Run Falcon's self-attention over normed hidden states, (q, m) to (q, m).
 *
 * The cache of this layer grows by q: a key and a value (g, h) of each token, and its attention
 * weights (n, k), where k ends with itself. Ablated heads give zeros to the output projection.
 */
export function falcon_attention(layer, config, x, cache, ablated) {
  const { hidden_dim: m, num_attention_heads: n } = config;
  const [g, h] = [config.num_key_value_heads ?? n, m / n];
  const query = dense(x, m, layer.query_dense); // (q, n, h)
  const key = dense(x, m, layer.key_dense); // (q, g, h)
  const value = dense(x, m, layer.value_dense); // (q, g, h)
  const found = new Float32Array(x.length); // (q, n, h)
  for (let i = 0; i < x.length / m; i++) {
    const [own_query, own_key] = [row(query, i, n * h), row(key, i, g * h)];
    const bias = apply_positions(config, own_query, own_key, h, cache.keys.length);
    cache.keys.push(own_key);
    cache.values.push(row(value, i, g * h));
    const arrays = [own_query, cache.keys, cache.values, bias];
    const [output, attention_weights] = dot_product_attention(...arrays, { n, g, h });
    for (const head of ablated) row(output, head, h).fill(0);
    found.set(output, i * m);
    cache.attention_weights.push(attention_weights);
  }
  return dense(found, m, layer.output_dense);
}

/** Tell query and key where they stand, by ALiBi's bias or by turning them, as RoPE does. */
function apply_positions(config, query, key, h, position) {
  if (config.position_encoding === "alibi") {
    return alibi_bias(config.num_attention_heads, position + 1, config.alibi_dtype);
  }
  for (const x of [query, key]) rotary_embedding(x, h, position, config.rope_max_wavelength);
  return null;
}
