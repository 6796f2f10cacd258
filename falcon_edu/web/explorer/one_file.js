// The start of a page that is one file: what it shows stands in it as data (`one_file.py`).

import { mount } from "./explorer.js";
import { bytes_of, from_record, from_worker } from "./sources.js";

const data = JSON.parse(document.getElementById("falcon-data").textContent);

function source() {
  if (data.seen) return from_record(data.seen);
  const { header, weights, worker } = data;
  const script = new Blob([worker], { type: "text/javascript" });
  const model = { header, weights: bytes_of(weights).buffer };
  return from_worker(new Worker(URL.createObjectURL(script)), model);
}

mount(document.getElementById("falcon"), source(), data.start);
