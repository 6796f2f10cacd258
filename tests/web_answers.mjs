// What the Falcon in the page computes, for `test_web.py`, which compares it with the package.
//
// In Node:  node web_answers.mjs MODULES < requests.json > answers.json
// where requests is {folder, requests: [{call, ...}, ...]}.

/** Answer requests with the modules at an address, given what `export_to_web` wrote. */
export async function answer(modules, header, weights, requests) {
  const { make_causal_lm } = await import(`${modules}/causal_lm.js`);
  const { run_blocks } = await import(`${modules}/backbone.js`);
  const inside = await import(`${modules}/inside.js`);
  const { alibi_bias } = await import(`${modules}/positions.js`);
  const { make_sampler } = await import(`${modules}/samplers.js`);
  const causal_lm = make_causal_lm(header, weights);
  const { tokenizer } = causal_lm;
  const ids_of = ({ text, token_ids }) => token_ids ?? inside.encode(causal_lm, text);
  // JSON writes typed arrays as objects.
  const plain = (key, x) => (ArrayBuffer.isView(x) ? [...x] : x);

  const calls = {
    tokenize: ({ texts }) =>
      texts.map((text) => {
        const ids = tokenizer.tokenize(text);
        const pieces = text.match(tokenizer.pieces) ?? [];
        return { ids, pieces, strings: tokenizer.token_strings(ids), text: tokenizer.detokenize(ids) };
      }),
    record(request) {
      const cache = inside.prefill(causal_lm, ids_of(request), request.heads);
      return inside.record(causal_lm, cache);
    },
    record_in_steps(request) {
      // The last tokens one after the other, and texts before that leave something in the cache.
      let cache = null;
      for (const token_ids of request.before) {
        cache = inside.prefill(causal_lm, token_ids, request.heads, cache);
        inside.record(causal_lm, cache);
      }
      cache = inside.prefill(causal_lm, request.token_ids.slice(0, -3), request.heads, cache);
      for (const id of request.token_ids.slice(-3)) run_blocks(causal_lm, [id], cache);
      return inside.record(causal_lm, cache);
    },
    logit_lens(request) {
      const cache = inside.prefill(causal_lm, ids_of(request), request.heads);
      return cache.token_ids.map((_, position) => inside.logit_lens(causal_lm, cache, position));
    },
    generate(request) {
      const cache = inside.prefill(causal_lm, ids_of(request), request.heads);
      const token_ids = [...inside.generate(causal_lm, cache, request)];
      return { token_ids, text: tokenizer.detokenize(cache.token_ids) };
    },
    alibi_bias: (request) => alibi_bias(...request.arguments),
    distribution: ({ logits, ...options }) =>
      make_sampler(options).distribution(Float32Array.from(logits)),
    draws({ logits, count, ...options }) {
      const sampler = make_sampler(options);
      return Array.from({ length: count }, () => sampler.next_token(Float32Array.from(logits)));
    },
  };
  return requests.map((request) => {
    try {
      return JSON.parse(JSON.stringify(calls[request.call](request), plain));
    } catch (error) {
      return { error: error.message };
    }
  });
}

if (globalThis.process?.argv[1]?.endsWith("web_answers.mjs")) {
  const { readFileSync, writeFileSync } = await import("node:fs");
  const { folder, requests } = JSON.parse(readFileSync(0, "utf8"));
  const header = JSON.parse(readFileSync(`${folder}/falcon.json`, "utf8"));
  const weights = new Uint8Array(readFileSync(`${folder}/weights.bin`)).buffer;
  const answers = await answer(process.argv[2], header, weights, requests);
  writeFileSync(1, JSON.stringify(answers));
}
