// All heads, a small map each, and under it where the chosen token looks most.

import { paint } from "./colors.js";
import { line, sizes, strongest, weight } from "./looks.js";
import { make, on_keys, rove } from "./parts.js";
import { spoken, token_label } from "./words.js";

const MOST_COLUMNS = 8; // that a phone has room for

/** Make the part; `hand` is {choose, peek, pin, walk}. */
export function make_heads(hand) {
  const grid = make("div", { class: "falcon-heads", role: "radiogroup" });
  const title = make("div", { class: "falcon-title" });
  const hint = make("div", { class: "falcon-hint" });
  const element = make("div", {}, title, grid, hint);
  let tiles = [];
  const tile_of = ({ target }) => tiles.find((tile) => tile.element.contains(target));
  const choose = (event) => {
    const tile = tile_of(event);
    if (tile) hand.choose({ layer: tile.layer, head: tile.head });
  };
  grid.addEventListener("click", choose);
  grid.addEventListener("pointerover", (event) => event.buttons & 1 && choose(event)); // drag
  on_keys(grid, (key) => hand.walk("heads", key));

  function make_tile(layer, head) {
    const [canvas, mark, says] = [make("canvas"), make("span"), make("span")];
    mark.className = "falcon-mark";
    const picture = make("span", { class: "falcon-picture" }, canvas, mark);
    const element = make("span", { role: "radio" }, picture, says);
    return { element, layer, head, canvas, mark, says };
  }
  return {
    element,
    read(seen, _, theme) {
      const { layers, heads } = sizes(seen);
      const count = seen.tokens.length;
      if (tiles.length !== layers * heads) {
        const numbers = [...Array(layers * heads).keys()];
        tiles = numbers.map((i) => make_tile(Math.floor(i / heads), i % heads));
        grid.replaceChildren(...tiles.map((tile) => tile.element));
        grid.style.setProperty("--columns", Math.min(heads, MOST_COLUMNS));
        const rows = `Layer after layer, ${MOST_COLUMNS} heads in a row.`;
        hint.textContent = heads > MOST_COLUMNS ? rows : "Row: layer. Column: head.";
      }
      for (const tile of tiles) {
        paint(tile.canvas, count, theme, (query, key) => weight(seen, tile, query, key));
      }
    },
    show(seen, view) {
      const count = seen.tokens.length;
      const named = spoken(seen.tokens[view.query], view.query === 0);
      title.textContent = view.is_column ? `Who looks at ${named}` : `Where ${named} looks`;
      for (const { element, layer, head, mark, says } of tiles) {
        const weights = line(seen, { ...view, layer, head });
        const best = strongest(weights);
        const [at, size] = [`${(100 * view.query) / count}%`, `${100 / count}%`];
        const column = { left: at, width: size, top: 0, height: "100%" };
        const row = { left: 0, width: "100%", top: at, height: size };
        Object.assign(mark.style, view.is_column ? column : row);
        const number = weights[best].toFixed(2);
        const token = token_label(seen.tokens[best], best === 0).replace(/^·(?=.)/, "");
        says.replaceChildren(make("span", {}, token), number);
        const to = best === view.query ? "itself" : spoken(seen.tokens[best], best === 0);
        element.setAttribute("aria-label", `layer ${layer}, head ${head}: ${to}, ${number}`);
        element.setAttribute("aria-checked", layer === view.layer && head === view.head);
      }
      grid.setAttribute("aria-label", `Layer and head: ${title.textContent}`);
      const chosen = tiles.findIndex((t) => t.layer === view.layer && t.head === view.head);
      rove(tiles.map((tile) => tile.element), chosen);
    },
  };
}
