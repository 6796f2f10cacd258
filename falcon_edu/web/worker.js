// The worker that owns a Falcon, so that the page never waits for it.
// In: {id, call, reader, ...options}. Out: {id, result} or {id, error}, on the way {id, progress}.

import { byte_count, make_causal_lm } from "./causal_lm.js";
import { encode, generate, logit_lens, prefill, record } from "./inside.js";

let causal_lm;
const readers = new Map(); // of each its cache, and its latest call: with that ends what it writes

const read = ({ text, heads }, own) =>
  (own.cache = prefill(causal_lm, encode(causal_lm, text), heads, own.cache));

const CALLS = {
  async load({ url, header, weights }, _, progress, id) {
    const file = (name, of) => download(new URL(name, url), (bytes) => progress({ bytes, of }));
    header ??= await (await file("falcon.json")).json();
    weights ??= await (await file("weights.bin", byte_count(header.weights))).arrayBuffer();
    causal_lm = make_causal_lm(header, weights);
    for (const own of readers.values()) Object.assign(own, { cache: null, latest: id });
    const { config, sequence_length, tokenizer } = causal_lm;
    const vocabulary = tokenizer.token_strings([...tokenizer.vocabulary.keys()]);
    return { config, sequence_length, vocabulary };
  },
  record: (options, own) => record(causal_lm, read(options, own)),
  logit_lens: (options, own) => logit_lens(causal_lm, read(options, own), options.position),
  async generate(options, own, progress, id) {
    const cache = read(options, own);
    let text = options.text;
    for (const token_id of generate(causal_lm, cache, options)) {
      text = causal_lm.tokenizer.detokenize(cache.token_ids);
      progress({ token_id, text });
      await new Promise((resume) => setTimeout(resume)); // what came meanwhile is heard
      if (id !== own.latest) break;
    }
    return { text };
  },
};

/** Fetch a file, telling how many bytes have come. */
async function download(url, progress) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} did not come: ${response.status}`);
  const [parts, reader] = [[], response.body.getReader()];
  for (let part = await reader.read(), bytes = 0; !part.done; part = await reader.read()) {
    parts.push(part.value);
    progress((bytes += part.value.length));
  }
  return new Response(new Blob(parts));
}

self.onmessage = async ({ data: { id, call, reader, ...options } }) => {
  const own = Object.assign(readers.get(reader) ?? {}, { latest: id });
  readers.set(reader, own);
  try {
    if (!causal_lm && call !== "load") throw new Error("No model is loaded yet.");
    const progress = (told) => self.postMessage({ id, progress: told });
    self.postMessage({ id, result: await CALLS[call](options, own, progress, id) });
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
};
