// The Falcons of a page: each is fetched once, when one comes near a place that needs it.

import { make } from "../explorer/parts.js";
import { from_worker } from "../explorer/sources.js";

const falcons = new Map(); // by address: the worker, its source, and who is told how far it is

/** Return a promise that is kept when an element is in sight, or nearly so. */
export function near(element) {
  return new Promise((resolve) => {
    const look = (entries) => {
      if (entries.some((entry) => entry.isIntersecting)) resolve(observer.disconnect());
    };
    const observer = new IntersectionObserver(look, { rootMargin: "50%" });
    observer.observe(element);
  });
}

/**
 * Return a source of a Falcon when it is there, or null if it can't come. Till then a bar in an
 * element tells how far it is; why it can't come is said there, too.
 */
export async function fetch_falcon(address, element) {
  const [bar, how_far] = [make("progress"), make("span")];
  const label = make("label", {}, "The Falcon is coming into the page ", bar);
  const fetching = make("p", { class: "falcon-fetching" }, label, " ", how_far);
  element.append(fetching);
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
  const teller = ({ bytes, of }) => {
    if (!of) return;
    Object.assign(bar, { max: of, value: bytes });
    how_far.textContent = `${megabytes(bytes)} of ${megabytes(of)} MB`;
  };
  const url = new URL(address, document.baseURI).href;
  if (!falcons.has(url)) falcons.set(url, start(url));
  const falcon = falcons.get(url);
  falcon.tellers.push(teller);
  try {
    await falcon.source.loaded;
    fetching.remove();
    return falcon.source.share();
  } catch (problem) {
    falcon.worker.terminate();
    if (falcons.get(url) === falcon) falcons.delete(url); // whoever asks later may have more luck
    const reason = `There is no Falcon in this page: ${problem.message}`;
    fetching.replaceChildren(make("span", { role: "status" }, reason));
    return null;
  }
}

function start(url) {
  const tellers = [];
  const worker = new Worker(new URL("../worker.js", import.meta.url), { type: "module" });
  const tell = (progress) => tellers.forEach((teller) => teller(progress));
  return { worker, source: from_worker(worker, { url }, tell), tellers };
}
