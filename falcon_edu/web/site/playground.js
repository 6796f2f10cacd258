// The playground: one text, a column for each Falcon, a sampler, and all of it in the address.

import { make_control } from "../explorer/controls.js";
import { make } from "../explorer/parts.js";
import { make_writer } from "../explorer/writer.js";
import { make_column } from "./column.js";
import { LIMITS, SAMPLERS, options_of, read_state, toggled, write_state } from "./state.js";

const PAUSE = 250; // milliseconds without a key after which a text is read

/** Show the playground in a place, whose data say how it begins, as `state.js` takes it. */
export function open_playground(place) {
  const start = JSON.parse(place.dataset.start);
  let state = read_state(location.hash, start);
  const names = Object.keys(SAMPLERS);
  const region = make("p", { class: "falcon-unseen", role: "status" });
  const link = make("a", {}, "Link to what you see");
  const anew = make("button", { type: "button" }, "Begin anew");

  const after_pause = (act) => {
    let waiting;
    return () => (clearTimeout(waiting), (waiting = setTimeout(act, PAUSE)));
  };
  const update_soon = after_pause(() => update());
  // Browsers limit how often an address may be replaced.
  const save = after_pause(() => {
    const hash = write_state(state, start);
    history.replaceState(null, "", hash || location.pathname + location.search);
    link.href = hash || "#";
  });
  function change(more) {
    Object.assign(state, more);
    show_controls();
    save();
    update_soon();
  }

  const writer = make_writer(state.text, { read: (text) => change({ text }) });
  const options = names.map((name) => name.replace("_", "-"));
  const asks = {
    sampler: { kind: "buttons", options, ask: (i) => change({ sampler: names[i] }) },
    temperature: { kind: "range", ask: (temperature) => change({ temperature }) },
    seed: { kind: "range", ask: (seed) => change({ seed }) },
  };
  const controls = Object.entries(asks).map(([label, { ask, ...given }]) => {
    const control = make_control({ label, ...given }, `falcon-${label}`, ask);
    const value = () => (label === "sampler" ? names.indexOf(state.sampler) : state[label]);
    return { ...control, show: () => control.show({ value: value(), ...LIMITS[label] }) };
  });
  function show_controls() {
    for (const control of controls) control.show();
    for (const { element } of controls.slice(1)) element.hidden = state.sampler === "greedy";
  }

  const columns = start.falcons.map((falcon) => {
    const own = () => state.falcons[falcon.name];
    const say = (sentence) => sentence && (region.textContent = sentence);
    function look({ layer, head, query }) {
      Object.assign(own(), { layer, head });
      for (const other of columns) if (other.name !== falcon.name) other.look({ query });
      save();
    }
    function toggle([layer, head]) {
      Object.assign(own(), { layer, head, off: toggled(own().off, [layer, head]) });
      save();
      update([column]);
    }
    const column = { name: falcon.name, ...make_column(falcon, start, { look, toggle, say }) };
    return column;
  });

  async function update(changed = columns) {
    const { text, falcons } = state;
    const sampler = options_of(state);
    const said = changed.map(({ name, show }) => show({ text, sampler, ...falcons[name] }));
    const news = [...new Set(await Promise.all(said))].filter(Boolean).join(" ");
    if (news) region.textContent = news;
  }
  function show_anew(hash) {
    state = read_state(hash, start);
    writer.write(state.text);
    show_controls();
    link.href = write_state(state, start) || "#";
    update();
  }
  anew.addEventListener("click", () => (show_anew(""), save()));
  addEventListener("hashchange", () => {
    // Other addresses are those of places within the page.
    if (!location.hash || location.hash.includes("=")) show_anew(location.hash);
  });

  const box = make("div", { class: "falcon-controls" }, ...controls.map((c) => c.element));
  const share = make("div", { class: "falcon-share" }, link, anew);
  const together = make("div", { class: "falcon-together" }, ...columns.map((c) => c.element));
  const parts = [writer.element, box, share, region, together];
  place.replaceChildren(make("div", { class: "falcon-explorer" }, ...parts));
  show_anew(location.hash);
  for (const column of columns) column.come();
}

const place = document.getElementById("falcon-playground");
if (place) open_playground(place);
