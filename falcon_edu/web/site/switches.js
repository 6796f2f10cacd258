// A button for each head, which switches it off and on again.

import { make, on_keys, rove } from "../explorer/parts.js";

/** Make the part for so many heads; `toggle([layer, head])` is told of each press. */
export function make_switches({ layers, heads }, name, toggle) {
  const title = make("div", { class: "falcon-title" }, "Press a head to switch it off");
  const grid = make("div", { class: "falcon-switches", role: "toolbar" });
  grid.setAttribute("aria-label", `Heads of ${name} to switch off`);
  grid.style.setProperty("--heads", heads);
  const pair_of = (_, i) => [Math.floor(i / heads), i % heads];
  const pairs = Array.from({ length: layers * heads }, pair_of);
  const buttons = pairs.map(([layer, head], i) => {
    const button = make("button", { type: "button" }, `head ${head}`);
    button.setAttribute("aria-label", `layer ${layer}, head ${head}`);
    button.addEventListener("click", () => (rove(buttons, i), toggle([layer, head])));
    return button;
  });
  for (let layer = 0; layer < layers; layer++) {
    const label = make("span", { "aria-hidden": "true" }, `layer ${layer}`);
    grid.append(label, ...buttons.slice(layer * heads, (layer + 1) * heads));
  }
  rove(buttons, 0);
  on_keys(grid, (key) => {
    const last = buttons.length - 1;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -heads, ArrowDown: heads };
    const ends = { Home: 0, End: last };
    const from = buttons.indexOf(document.activeElement);
    const to = Object.hasOwn(ends, key) ? ends[key] : from + steps[key];
    if (!(to >= 0 && to <= last)) return Object.hasOwn(steps, key); // nor does the page scroll
    rove(buttons, to);
    return true;
  });
  return {
    element: make("div", {}, title, grid),
    show(off) {
      const names = off.map(String);
      pairs.forEach((pair, i) => {
        buttons[i].setAttribute("aria-pressed", names.includes(String(pair)));
      });
    },
  };
}
