// The table of the logit lens: a row for each stage, a column for each token near the chosen one.

import { ink_on, ramp } from "./colors.js";
import { columns_shown, number, stage_name, strength } from "./lens.js";
import { make } from "./parts.js";
import { token_label } from "./words.js";

/** Make the part; `hand` is {choose, peek, pin}. */
export function make_stages(hand) {
  const table = make("table", { class: "falcon-stages" });
  const element = make("div", {}, table);
  let cells = []; // {cell, query, stage}
  let drawn = {}; // what the table shows

  const there_of = ({ target }) => {
    const found = cells.find(({ cell }) => cell.contains(target));
    return found ? { query: found.query, stage: found.stage } : null;
  };
  table.addEventListener("pointermove", (event) => hand.peek(there_of(event)));
  table.addEventListener("pointerleave", () => hand.peek(null));
  table.addEventListener("click", (event) => there_of(event) && hand.choose(there_of(event)));
  table.addEventListener("dblclick", () => hand.pin());

  function make_cell(told, show, theme) {
    const guess = make("span", {}, token_label(told.guess));
    const cell = make("td", {}, guess, number(told, show));
    if (told.rank === null) return cell;
    const rgb = ramp(strength(told, show), theme);
    Object.assign(cell.style, { background: `rgb(${rgb})`, color: ink_on(rgb) });
    return cell;
  }
  function draw({ seen: { tokens, columns }, first, end, show, theme }) {
    const queries = [...Array(end - first).keys()].map((i) => first + i);
    const label = (i) => (i in tokens ? token_label(tokens[i], i === 0) : "");
    const row = (name, made) => make("tr", {}, make("th", { scope: "row" }, name), ...made);
    const top = queries.map((query) => make("th", { scope: "col" }, label(query)));
    const bottom = queries.map((query) => make("td", {}, label(query + 1)));
    cells = columns[0].flatMap((_, stage) =>
      queries.map((query) => {
        const cell = make_cell(columns[query][stage], show, theme);
        return { cell, query, stage };
      }),
    );
    const rows = columns[0].map((_, stage) => {
      const own = cells.filter((each) => each.stage === stage);
      return row(stage_name(stage), own.map(({ cell }) => cell));
    });
    const title = `The best guess at each stage, and the ${show} of the token that comes next`;
    const caption = make("caption", { class: "falcon-title" }, title);
    table.replaceChildren(caption, row("it reads", top), ...rows, row("comes next", bottom));
  }
  return {
    element,
    /** Show what is seen around the token `near` in a width, and mark a token, or one stage. */
    show(seen, { query, stage }, near, { show, theme, width }) {
      const now = drawn.seen === seen ? drawn.first : null;
      const [first, end] = columns_shown(width, seen.tokens.length, near, now);
      const wanted = { seen, first, end, show, theme };
      // What the hand is over stays as it is, or a click would get lost.
      if (Object.keys(wanted).some((name) => wanted[name] !== drawn[name])) draw(wanted);
      drawn = wanted;
      for (const { cell, ...at } of cells) {
        const is_chosen = at.query === query && (stage === undefined || at.stage === stage);
        cell.classList.toggle("falcon-chosen", is_chosen);
      }
    },
  };
}
