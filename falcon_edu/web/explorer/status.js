// The sentence that says what is seen, and the button that holds it still.

import { make } from "./parts.js";

/** Make the part: a live region, unless `on_say` announces the sentences. */
export function make_status(on_say) {
  const says = make("p", { class: "falcon-says", ...(on_say ? {} : { role: "status" }) });
  const button = make("button", { class: "falcon-pin", type: "button" }, "Hold still");
  let is_pinned = false;
  const pin = (now = !is_pinned) => button.setAttribute("aria-pressed", (is_pinned = now));
  pin(false);
  button.addEventListener("click", () => pin());
  return {
    element: make("div", { class: "falcon-status" }, says, button),
    pin: () => pin(),
    is_pinned: () => is_pinned,
    say: (sentence) => ((says.textContent = sentence), on_say?.(sentence)),
    // What eyes have elsewhere.
    say_before: (heard) => says.prepend(make("span", { class: "falcon-unseen" }, heard)),
  };
}
