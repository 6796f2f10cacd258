// What may come next after a text, and what temperature, top-k and top-p leave of it.

import { make_compared_row } from "./bars.js";
import { LIMITS, TOP_K, neutral, rows_of, sentence, setting_in_words } from "./chances.js";
import { make_control } from "./controls.js";
import { make, unique } from "./parts.js";
import { make_rare } from "./rare.js";
import { make_reading } from "./reading.js";
import { token_label } from "./words.js";
import { make_writer } from "./writer.js";

/**
 * Show the explorer of a text in an element, and return {ready, go, lose, remove}.
 *
 * A source answers `record(text)` with a promise of {tokens, logits, vocabulary}; that of a Falcon
 * has the vocabulary once it is `loaded`. A setting may come with the text, and `on_view(setting)`
 * is told of others. The rest is as in `explorer.js`.
 */
export function mount_next_token(element, source, { text = "", on_view, ...start } = {}) {
  const writer = make_writer(text, { read });
  const rare = make_rare();
  const says = make("p", { class: "falcon-says", role: "status" });
  const sentence_place = make("div", { class: "falcon-status" }, says);
  const title = make("div", { class: "falcon-title" }, "What may come next");
  const list = make("ul", { class: "falcon-bars" });
  const hint = make("div", { class: "falcon-hint" });
  const next = make("div", { class: "falcon-next" }, title, list, hint);
  const box = make("div", { class: "falcon-controls" });
  const parts = [writer.element, rare.element, box, sentence_place, next];
  const root = make("div", { class: "falcon-explorer" }, ...parts);
  const reading = make_reading(root, (sentence) => (says.textContent = sentence), writer.refuse);
  let logits, vocabulary, setting;
  next.hidden = box.hidden = true; // until there is something to see
  element.replaceChildren(root);

  const prefix = unique("falcon-next");
  const change = (name) => (value) => {
    setting[name] = name === "top_k" ? (TOP_K[value] ?? logits.length) : value;
    show();
    on_view?.(setting);
  };
  const options = [...TOP_K, "all"].map(String);
  const kinds = { temperature: "range", top_k: "choice", top_p: "range" };
  const controls = Object.entries(kinds).map(([name, kind]) => {
    const given = { kind, label: name.replace("_", "-"), options, ...LIMITS[name] };
    const control = make_control(given, `${prefix}-${name}`, change(name));
    box.append(control.element);
    const at = () => (TOP_K.includes(setting.top_k) ? TOP_K.indexOf(setting.top_k) : TOP_K.length);
    const value = () => (name === "top_k" ? at() : setting[name]);
    return { show: () => control.show({ ...given, value: value() }) };
  });

  function show() {
    const rows = rows_of(logits, setting);
    const said = setting_in_words(setting, neutral(logits));
    const name = ({ id, count }) => (count ? `${count} others` : token_label(vocabulary[id]));
    list.replaceChildren(...rows.map((row) => make_compared_row(name(row), row, said)));
    hint.textContent = said ? `Thin: the Falcon. Thick: what is drawn from, ${said}.` : "";
    says.textContent = sentence(rows, vocabulary, said);
  }
  async function record(now) {
    const [recorded, loaded] = await Promise.all([source.record(now), source.loaded]);
    return { ...recorded, ...loaded };
  }
  function set(values) {
    const names = Object.keys(setting).filter((name) => name in values);
    if (names.every((name) => values[name] === setting[name])) return;
    for (const name of names) setting[name] = values[name];
    for (const control of controls) control.show();
    show();
  }
  function read(now) {
    text = now;
    return reading.read(record(now), (recorded) => {
      ({ vocabulary } = recorded);
      logits = recorded.logits.at(-1);
      setting ??= { ...neutral(logits), ...start };
      next.hidden = box.hidden = false;
      rare.read(recorded);
      for (const control of controls) control.show();
      show();
    });
  }
  return {
    ready: read(text),
    async go({ text: now = text, ...there }) {
      if (now !== text && !(writer.write(now), await read(now))) return;
      if (logits) set(there);
    },
    lose: (reason) => writer.lose((says.textContent = reason)),
    remove() {},
  };
}
