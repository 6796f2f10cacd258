// Has three readers share a Falcon: two write, and one reads a text after each of their tokens.
//
//     node web_readers.mjs MODULES < {folder, texts, max_length} > {written, read}.json

import { readFileSync, writeFileSync } from "node:fs";

const modules = process.argv[2];
const { folder, texts, max_length } = JSON.parse(readFileSync(0, "utf8"));
const { port1, port2 } = new MessageChannel();
globalThis.self = port2; // what a worker speaks with its page through
await import(`${modules}/worker.js`);
const { from_worker } = await import(`${modules}/explorer/sources.js`);

const header = JSON.parse(readFileSync(`${folder}/falcon.json`, "utf8"));
const weights = new Uint8Array(readFileSync(`${folder}/weights.bin`)).buffer;
const first = from_worker(port1, { header, weights });
const [second, third] = [first.share(), first.share()];
const [here, there, other] = texts;
const read = [];
const disturb = () => read.push(third.record(other));
const write = (source, text) =>
  source.generate(text, disturb, { name: "greedy", max_length });
const written = await Promise.all([write(first, here), write(second, there)]);
const tokens = (await Promise.all(read)).map((recorded) => recorded.tokens.join(""));
writeFileSync(1, JSON.stringify({ written, read: [...new Set(tokens)], count: read.length }));
port1.close();
