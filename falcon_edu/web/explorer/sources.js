// Where an explorer has its numbers from: a Falcon in a worker, or what was recorded before.

import { connect } from "../client.js";
import { next_tokens } from "./looks.js";

/**
 * Return the source of a Falcon in a worker, given what its call `load` takes: {url} or
 * {header, weights}. Weights are fetched at once; `loaded` is a promise of them.
 */
export function from_worker(worker, model, on_progress, sampler = { name: "top_p", p: 0.7 }) {
  const ask = connect(worker);
  const loaded = ask("load", model, on_progress);
  return {
    loaded,
    async record(text) {
      const { vocabulary } = await loaded;
      const { tokens, attention_weights, logits } = await ask("record", { text });
      const next = logits.map((row) => next_tokens(row, vocabulary));
      return { tokens, attention_weights, next_tokens: next };
    },
    async generate(text, on_text) {
      await loaded;
      const options = { text, ...sampler };
      return (await ask("generate", options, (progress) => on_text(progress.text))).text;
    },
  };
}

/** Return the bytes that a text in base64 stands for. */
export function bytes_of(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/**
 * Return the source of one text that was recorded before, whatever it is asked: its attention
 * weights are those of each layer in base64, all rows (n, k) after each other.
 */
export function from_record({ tokens, attention_weights, next_tokens }) {
  const cells = (tokens.length * (tokens.length + 1)) / 2;
  const unpacked = attention_weights.map((packed) => {
    const all = new Float32Array(bytes_of(packed).buffer);
    const heads = all.length / cells;
    const start = (query) => (heads * query * (query + 1)) / 2;
    return tokens.map((_, query) => all.subarray(start(query), start(query + 1)));
  });
  return { record: async () => ({ tokens, attention_weights: unpacked, next_tokens }) };
}
