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

/** Return the source of one text that was recorded before; no other can be read. */
export function from_record(seen) {
  return { record: async () => seen };
}
