// Controls, and a picture of their values that somebody else draws.

import { make_control } from "./controls.js";
import { make, unique } from "./parts.js";
import { make_rare } from "./rare.js";

/**
 * Show a panel in an element, and return {show, lose, remove}.
 *
 * `show(given, picture, is_last)` takes {controls, tokens, alt, width, problem, remark}, the bytes
 * of a PNG, and whether these answer what was asked for last; `want({name: value})` asks. A control
 * is as `controls.js` takes it, with a name, and hidden if `is_hidden`; tokens are those of the
 * texts, and the remark is about them.
 */
export function mount_panel(element, want) {
  const prefix = unique("falcon-panel");
  const box = make("div", { class: "falcon-controls" });
  const problem = make("p", { class: "falcon-note", role: "alert", hidden: "" });
  const note = make("p", { class: "falcon-note", hidden: "" });
  const says = make("p", { class: "falcon-unseen", role: "status" });
  const remark = make("p", { class: "falcon-remark" });
  const image = make("img", { alt: "" });
  // On a phone one moves the picture, where a smaller one could not be read.
  const named = { class: "falcon-frame", role: "group", "aria-label": "Picture" };
  const frame = make("div", named, image);
  const fit = () => (frame.tabIndex = frame.scrollWidth > frame.clientWidth ? 0 : -1);
  const resized = new ResizeObserver(fit);
  for (const one of [frame, image]) resized.observe(one);
  const rare = make_rare();
  const below = [problem, note, remark, rare.element, frame, says];
  const root = make("div", { class: "falcon-explorer" }, box, ...below);
  element.replaceChildren(root);
  const made = new Map(); // each control by its name
  let slow;

  function ask(name, value) {
    want({ [name]: value });
    clearTimeout(slow);
    slow = setTimeout(() => root.setAttribute("aria-busy", true), 200);
  }
  return {
    show(given, picture, is_last) {
      for (const control of given.controls) {
        if (!made.has(control.name)) {
          const { name } = control;
          made.set(name, make_control(control, `${prefix}-${name}`, (value) => ask(name, value)));
          box.append(made.get(control.name).element);
        }
        made.get(control.name).element.hidden = control.is_hidden;
      }
      if (is_last) {
        // What was moved since then stays where the hand has it.
        for (const control of given.controls) made.get(control.name).show(control);
        clearTimeout(slow);
        root.removeAttribute("aria-busy");
      }
      rare.read(given);
      problem.hidden = !given.problem;
      problem.textContent = given.problem;
      remark.hidden = !given.remark;
      remark.textContent = given.remark;
      URL.revokeObjectURL(image.src);
      image.src = URL.createObjectURL(new Blob([picture], { type: "image/png" }));
      Object.assign(image, { alt: given.alt, width: given.width });
      if (says.dataset.alt && says.dataset.alt !== given.alt) says.textContent = given.alt;
      says.dataset.alt = given.alt;
    },
    lose(reason) {
      for (const input of box.querySelectorAll("input, textarea")) input.disabled = true;
      note.hidden = false;
      says.textContent = note.textContent = reason; // for the eyes, and for the ears
    },
    remove() {
      resized.disconnect();
      URL.revokeObjectURL(image.src);
    },
  };
}
