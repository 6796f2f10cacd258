// Calls functions of a module, for `test_web_explorer.py` and `test_web_site.py`.
//
//     node web_calls.mjs MODULE < [[name, argument, ...], ...] > results.json

import { readFileSync, writeFileSync } from "node:fs";

const module = await import(process.argv[2]);
const calls = JSON.parse(readFileSync(0, "utf8"));
const results = calls.map(([name, ...given]) => module[name](...given) ?? null);
writeFileSync(1, JSON.stringify(results));
