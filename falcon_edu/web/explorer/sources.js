// Where an explorer has its numbers from: a Falcon in a worker, or what was recorded before.

import { connect } from "../client.js";
import { next_tokens } from "./looks.js";

/**
 * Return the source of a Falcon in a worker, given what its call `load` takes: {url} or
 * {header, weights}. Weights are fetched at once; `loaded` is a promise of them. `record` takes
 * heads to ablate, too, and `generate` what the worker's call does. `share` gives the source of
 * another reader of the same Falcon: what one asks for ends nothing that the other waits for.
 */
export function from_worker(worker, model, on_progress, sampler = { name: "top_p", p: 0.7 }) {
  const ask = connect(worker);
  const loaded = ask("load", model, on_progress);
  let readers = 0;

  function share() {
    const reader = ++readers;
    return {
      loaded,
      share,
      async record(text, heads = []) {
        const { vocabulary } = await loaded;
        const recorded = await ask("record", { reader, text, heads });
        const { tokens, token_ids, attention_weights, logits } = recorded;
        const next = logits.map((row) => next_tokens(row, vocabulary));
        return { tokens, token_ids, attention_weights, next_tokens: next, logits };
      },
      async generate(text, on_text, own = {}) {
        await loaded;
        const options = { reader, text, ...sampler, ...own };
        return (await ask("generate", options, (progress) => on_text(progress.text))).text;
      },
      async logit_lens(text, position) {
        await loaded;
        return ask("logit_lens", { reader, text, position });
      },
    };
  }
  return share();
}

/** Return the bytes that a text in base64 stands for. */
export function bytes_of(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** Return attention weights as `looks.js` has them, of one layer's rows (n, k) after each other. */
function rows_of(all, count) {
  const heads = all.length / ((count * (count + 1)) / 2);
  const start = (query) => (heads * query * (query + 1)) / 2;
  return Array.from({ length: count }, (_, query) => all.subarray(start(query), start(query + 1)));
}

/** Return the source of one text that was recorded before: its weights are layers in base64. */
export function from_record({ tokens, attention_weights, next_tokens }) {
  const unpacked = attention_weights.map((packed) =>
    rows_of(new Float32Array(bytes_of(packed).buffer), tokens.length),
  );
  return { record: async () => ({ tokens, attention_weights: unpacked, next_tokens }) };
}

/**
 * Return the source of a kernel, which a widget's model speaks with: `want({text})` asks, `given`
 * and `numbers` are the answer, of which `unpack(seen, numbers)` makes what is recorded.
 * `is_live()` tells whether there is a kernel.
 */
export function from_kernel(model, want, is_live, unpack) {
  let waiting = null; // for one text: what was typed before it is wanted no more

  function answer(text) {
    const { refused, ...seen } = model.get("given");
    if (refused?.text === text) throw new Error(refused.problem);
    if (seen.text !== text) return null;
    const { buffer, byteOffset, byteLength } = model.get("numbers");
    return unpack(seen, new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength)));
  }
  model.on("change:given", () => {
    if (!waiting) return;
    const { text, resolve, reject } = waiting;
    try {
      const seen = answer(text);
      if (seen) [waiting] = [null, resolve(seen)];
    } catch (problem) {
      [waiting] = [null, reject(problem)];
    }
  });
  return {
    reads: true,
    async record(text) {
      const seen = answer(text);
      if (seen) return seen;
      if (!is_live()) throw new Error("There is no kernel to read another text.");
      const promise = new Promise((resolve, reject) => (waiting = { text, resolve, reject }));
      want({ text });
      return promise;
    },
  };
}

/** Unpack attention weights, of all layers after each other. */
export function unpack_attention({ layers, ...seen }, numbers) {
  const size = numbers.length / layers;
  const layer = (_, i) => rows_of(numbers.subarray(i * size, (i + 1) * size), seen.tokens.length);
  return { ...seen, attention_weights: Array.from({ length: layers }, layer) };
}

/** Unpack the logits (v,) of the last token; names in `vocabulary` are those that are shown. */
export const unpack_logits = (seen, logits) => ({ ...seen, logits: [logits] });

/** Unpack what `lens.js` tells: ranks and then probabilities, (stages, t), beside `guesses`. */
export function unpack_lens({ guesses, ...seen }, numbers) {
  const [stages, count] = [guesses.length, seen.tokens.length];
  const told = (stage, query) => {
    const [rank, probability] = [stage, stages + stage].map((row) => numbers[row * count + query]);
    // Nothing comes after the last token.
    return Number.isNaN(rank) ? { rank: null, probability: null } : { rank, probability };
  };
  const column = (_, query) =>
    guesses.map((row, stage) => ({ guess: row[query], ...told(stage, query) }));
  return { ...seen, columns: seen.tokens.map(column) };
}
