// The worker that owns a Falcon, so that the page never waits for it.
// In: {id, call, ...options}. Out: {id, result} or {id, error}, and on the way {id, progress}.

import { byte_count, make_causal_lm } from "./causal_lm.js";
import { encode, generate, logit_lens, prefill, record } from "./inside.js";

let causal_lm, cache;
let latest; // id of the last call: a text that is still being written ends with the next one

const read = ({ text, heads }) => prefill(causal_lm, encode(causal_lm, text), heads, cache);

const CALLS = {
  async load({ url, header, weights }, progress) {
    const file = (name, of) => download(new URL(name, url), (bytes) => progress({ bytes, of }));
    header ??= await (await file("falcon.json")).json();
    weights ??= await (await file("weights.bin", byte_count(header.weights))).arrayBuffer();
    [causal_lm, cache] = [make_causal_lm(header, weights), null];
    const { config, sequence_length, tokenizer } = causal_lm;
    const vocabulary = tokenizer.token_strings([...tokenizer.vocabulary.keys()]);
    return { config, sequence_length, vocabulary };
  },
  record: (options) => record(causal_lm, (cache = read(options))),
  logit_lens: (options) => logit_lens(causal_lm, (cache = read(options)), options.position),
  async generate(options, progress, id) {
    const own = (cache = read(options));
    let text = options.text;
    for (const token_id of generate(causal_lm, own, options)) {
      text = causal_lm.tokenizer.detokenize(own.token_ids);
      progress({ token_id, text });
      await new Promise((resume) => setTimeout(resume)); // what came meanwhile is heard
      if (id !== latest) break;
    }
    return { text };
  },
  stop() {},
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

self.onmessage = async ({ data: { id, call, ...options } }) => {
  latest = id;
  try {
    if (!causal_lm && call !== "load") throw new Error("No model is loaded yet.");
    const progress = (told) => self.postMessage({ id, progress: told });
    self.postMessage({ id, result: await CALLS[call](options, progress, id) });
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
};
