// The front page of the site: a Falcon in the page takes the place of its picture.

import { mount } from "./explorer.js";
import { make } from "./parts.js";
import { from_worker } from "./sources.js";

const TEXT =
  "One day, Mia and Wolfgang walked to the park. " +
  'But then Wolfgang was hungry and wanted to go home. "Please stay,';

/** Fetch a Falcon, telling how far it is, and show it in a place, whose picture stays till then. */
export async function replace_picture(place) {
  const { model, layer, head, text = TEXT } = place.dataset;
  const [bar, how_far] = [make("progress"), make("span")];
  const fetching = make("p", { class: "falcon-fetching" });
  fetching.append(make("label", {}, "The Falcon is coming into the page ", bar), " ", how_far);
  place.append(fetching);
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
  const on_progress = ({ bytes, of }) => {
    if (!of) return;
    Object.assign(bar, { max: of, value: bytes });
    how_far.textContent = `${megabytes(bytes)} of ${megabytes(of)} MB`;
  };
  try {
    const worker = new Worker(new URL("../worker.js", import.meta.url), { type: "module" });
    const source = from_worker(worker, { url: new URL(model, document.baseURI).href }, on_progress);
    await source.loaded;
    await mount(place, source, { text, layer: Number(layer), head: Number(head) }).ready;
  } catch (problem) {
    const reason = `This browser shows the picture alone: ${problem.message}`;
    fetching.replaceChildren(make("span", { role: "status" }, reason));
  }
}

const place = document.getElementById("falcon");
if (place) replace_picture(place);
