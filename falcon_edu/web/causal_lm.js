// A Falcon that predicts the next token: what `export_to_web` wrote, loaded, and its logits.

import { dense, layer_normalization, row } from "./layers.js";
import { FalconTokenizer } from "./tokenizer.js";

/** Return the size of weights.bin: of each row a step of four bytes, and numbers of two. */
export const byte_count = (weights) =>
  weights.reduce((sum, [, rows, columns]) => sum + rows * (4 + 2 * columns), 0);

/**
 * Make a Falcon of falcon.json, parsed, and weights.bin. A weight is where the package has it, as
 * in `backbone.transformer_layers[0].attention_layer.query_dense.kernel`.
 */
export function make_causal_lm({ config, sequence_length, tokenizer, weights }, buffer) {
  const count = byte_count(weights);
  if (buffer.byteLength !== count) {
    throw new Error(`weights.bin must have ${count} bytes. Received: ${buffer.byteLength}`);
  }
  const steps = new Float32Array(buffer, 0, weights.reduce((sum, [, rows]) => sum + rows, 0));
  const numbers = new Int16Array(buffer, steps.byteLength);
  const backbone = { transformer_layers: [] };
  let row = 0, at = 0;
  for (const [path, rows, columns] of weights) {
    const names = path.split(".");
    const last = names.pop();
    const weight = new Float32Array(rows * columns);
    for (let i = 0; i < weight.length; at++, i++) {
      weight[i] = numbers[at] * steps[row + Math.floor(i / columns)];
    }
    row += rows;
    names.reduce((layer, name) => (layer[name] ??= {}), backbone)[last] = weight;
  }
  return { config, sequence_length, backbone, tokenizer: new FalconTokenizer(tokenizer) };
}

/** Return the logits of the next token, t times (v,), from hidden states, t times (m,). */
export function compute_logits({ config, backbone }, hidden_states) {
  const { hidden_dim: m, vocabulary_size: v, layer_norm_epsilon } = config;
  const x = new Float32Array(hidden_states.length * m); // (t, m)
  hidden_states.forEach((state, i) => x.set(state, i * m));
  const { embeddings, reverse_embeddings } = backbone.token_embedding;
  const normed = layer_normalization(x, m, backbone.final_layernorm, layer_norm_epsilon);
  const logits = dense(normed, m, { kernel: reverse_embeddings ?? embeddings }); // (t, v)
  return hidden_states.map((_, i) => row(logits, i, v));
}
