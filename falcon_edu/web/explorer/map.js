// The attention map of one head: a row for each query, a column for each key.

import { paint } from "./colors.js";
import { map_layout, weight } from "./looks.js";
import { make, on_keys } from "./parts.js";
import { token_label } from "./words.js";

/** Make the part; `hand` is {choose, peek, pin, walk}. */
export function make_map(hand) {
  const title = make("div", { class: "falcon-title" });
  const [canvas, row, cell] = [make("canvas"), make("div"), make("div")];
  row.className = "falcon-mark";
  cell.className = "falcon-mark falcon-cell";
  const cells = make("div", { class: "falcon-cells" }, canvas, row, cell);
  const rows = make("div", { class: "falcon-rows" });
  const columns = make("div", { class: "falcon-columns" });
  const grid = make("div", { class: "falcon-grid", "aria-hidden": "true" }, rows, cells, columns);
  const map = make("div", { class: "falcon-map", role: "application", tabindex: 0 }, grid);
  const hint = make("div", { class: "falcon-hint" });
  hint.textContent = "Row: the token that looks. Column: the token it looks at.";
  const element = make("div", {}, title, map, hint);
  let count = 1;
  map.setAttribute("aria-roledescription", "attention map");

  function place_of({ clientX, clientY }) {
    const box = canvas.getBoundingClientRect();
    const [query, key] = [(clientY - box.top) / box.height, (clientX - box.left) / box.width].map(
      (share) => Math.max(0, Math.min(count - 1, Math.floor(share * count))),
    );
    return key > query ? null : { query, key };
  }
  cells.addEventListener("pointermove", (event) => {
    const there = place_of(event);
    if (event.buttons && there) hand.choose(there); // every picture in between
    else hand.peek(there);
  });
  cells.addEventListener("pointerleave", () => hand.peek(null));
  cells.addEventListener("pointerdown", (event) => {
    const there = place_of(event);
    if (there) hand.choose(there);
  });
  cells.addEventListener("dblclick", () => hand.pin());
  on_keys(map, (key) => hand.walk("map", key));

  function lay_out() {
    const { cell: size, has_labels } = map_layout(map.clientWidth, count);
    map.style.setProperty("--cell", `${size}px`);
    map.style.setProperty("--count", count);
    map.classList.toggle("falcon-bare", !has_labels);
  }
  new ResizeObserver(lay_out).observe(map);

  return {
    element,
    read(seen) {
      count = seen.tokens.length;
      const label = (token, i) => make("span", {}, token_label(token, i === 0));
      rows.replaceChildren(...seen.tokens.map(label));
      columns.replaceChildren(...seen.tokens.map(label));
      lay_out();
    },
    show(seen, view, { theme, is_other_head }) {
      if (is_other_head) {
        title.textContent = `Layer ${view.layer}, head ${view.head}`;
        paint(canvas, count, theme, (query, key) => weight(seen, view, query, key));
        const of = `layer ${view.layer}, head ${view.head}, ${count} by ${count}`;
        map.setAttribute("aria-label", `Attention map of ${of}: arrow keys move from cell to cell`);
      }
      const [from, to] = view.is_column ? [view.query, count] : [0, view.query + 1];
      const span = (a, b) => `${(100 * a) / count}% ${100 - (100 * b) / count}%`.split(" ");
      const box = (element, [top, bottom], [left, right]) =>
        Object.assign(element.style, { top, bottom, left, right });
      const [along, across] = [span(from, to), span(view.query, view.query + 1)];
      box(row, ...(view.is_column ? [along, across] : [across, along]));
      cell.hidden = view.key === null || view.is_column;
      if (!cell.hidden) box(cell, across, span(view.key, view.key + 1));
      for (const [labels, chosen] of [[rows, view.query], [columns, view.key]]) {
        for (const [i, label] of [...labels.children].entries()) {
          label.classList.toggle("falcon-chosen", i === chosen);
        }
      }
    },
  };
}
