// The box with a text, and the button that has the Falcon go on with it.

import { make } from "./parts.js";

/**
 * Make the part; `read(text)` is called while one types, `write(text)` on go, and `stop()`. Where
 * nobody writes there is no button.
 */
export function make_writer(text, { read, write, stop }) {
  const box = make("textarea", { rows: 2, enterkeyhint: "go", maxlength: 2000 });
  [box.value, box.spellcheck] = [text, false];
  const go = make("button", { class: "falcon-go" }, "Go on");
  const asks = write ? "A beginning, with your own name if you like" : "The text: type your own";
  const label = make("label", {}, make("span", {}, asks), box);
  const element = make("form", { class: "falcon-writer" }, label, ...(write ? [go] : []));
  let is_busy = false;

  box.addEventListener("input", () => read(box.value));
  box.addEventListener("keydown", (event) => {
    event.stopPropagation(); // letters are commands in a notebook
    if (!write || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!is_busy) write(box.value);
  });
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    if (is_busy) stop();
    else write(box.value);
  });
  return {
    element,
    busy(is_writing) {
      is_busy = is_writing;
      go.textContent = is_writing ? "Stop" : "Go on";
    },
    write: (now) => (box.value = now),
    lose: (reason) => element.replaceChildren(make("p", { class: "falcon-note" }, reason)),
    refuse: (is_refused) => box.setAttribute("aria-invalid", is_refused),
  };
}
