// Asks five times, and says how many of the answers are still in memory, for `test_web.py`.
//
//     node web_client.mjs MODULE < null > number.json

import { writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const { connect } = await import(process.argv[2]);
const { port1, port2 } = new MessageChannel();
port2.onmessage = ({ data: { id, call } }) => port2.postMessage({ id, result: { call } });
const ask = connect(port1);
const answers = [];
for (const call of ["a", "b", "c", "d", "e"]) {
  const answer = await ask(call);
  if (answer.call !== call) throw new Error(`${call} was answered with ${answer.call}`);
  answers.push(new WeakRef(answer));
}
await new Promise((resume) => setTimeout(resume)); // what has just been read is kept till then
setFlagsFromString("--expose-gc");
runInNewContext("gc")();
writeFileSync(1, JSON.stringify(answers.filter((answer) => answer.deref()).length));
port1.close();
