// One decoder block: attention and MLP around the residual stream.

import { falcon_attention } from "./attention.js";
import { add, dense, gelu, layer_normalization } from "./layers.js";

/** Run a block, sequential (RW) or parallel (7B, 40B), (q, m) to (q, m); cache as in attention. */
export function falcon_transformer_decoder(block, config, inputs, cache, ablated) {
  const { hidden_dim: m, intermediate_dim: f } = config;
  const norm = (x, layer) => layer_normalization(x, m, layer, config.layer_norm_epsilon);
  const mlp = (x) => dense(dense(x, m, block.dense_h_to_4h).map(gelu), f, block.dense_4h_to_h);

  let x = norm(inputs, block.input_layernorm);
  const attention_output = falcon_attention(block.attention_layer, config, x, cache, ablated);
  if (config.parallel_attention) {
    const mlp_input = block.mlp_layernorm ? norm(inputs, block.mlp_layernorm) : x;
    return add(inputs, attention_output, mlp(mlp_input));
  }
  x = add(inputs, attention_output);
  return add(x, mlp(norm(x, block.post_attention_layernorm)));
}
