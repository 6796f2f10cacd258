// Controls with a name, and a value in words.

import { make } from "./parts.js";

/**
 * Make a control; `ask(value)` is told what somebody wants, and `show(given)` shows what is.
 *
 * It is {label, kind} and, if its kind is "text", {value}; if it is "range", {min, max, step,
 * value}; if it is "choice" or "buttons", {options, value}, an index.
 */
export function make_control(given, id, ask) {
  const kinds = { text: make_text, buttons: make_buttons, range: make_slider, choice: make_slider };
  return kinds[given.kind](given, id, ask);
}

function make_slider({ label, kind }, id, ask) {
  const input = make("input", { type: "range", id });
  // No `output`, for that would be a live region, and the slider says its value itself.
  const words = make("span", { class: "falcon-value", "aria-hidden": "true" });
  const name = make("label", { for: id }, label);
  const element = make("div", { class: "falcon-control" }, name, input, words);
  let options; // what each value is called

  function say() {
    const digits = input.step.split(".")[1]?.length ?? 0;
    const text = options ? options[input.value] : Number(input.value).toFixed(digits);
    words.textContent = text;
    input.setAttribute("aria-valuetext", text);
  }
  input.addEventListener("input", () => {
    say();
    ask(Number(input.value));
  });
  return {
    element,
    show(given) {
      options = kind === "choice" ? given.options : null;
      const scale = options ? { min: 0, max: options.length - 1, step: 1 } : given;
      // The limits first: a value outside of them would be moved.
      for (const part of ["min", "max", "step"]) input[part] = scale[part];
      input.value = given.value;
      say();
    },
  };
}

function make_buttons({ label, options }, id, ask) {
  const buttons = options.map((option, i) => {
    const input = make("input", { type: "radio", name: id, value: i });
    input.addEventListener("change", () => ask(i));
    return make("label", {}, input, option);
  });
  const name = make("legend", {}, label);
  const element = make("fieldset", { class: "falcon-buttons" }, name, ...buttons);
  return {
    element,
    show({ value }) {
      buttons.forEach((button, i) => (button.firstChild.checked = i === value));
    },
  };
}

function make_text({ label }, id, ask) {
  const area = make("textarea", { id, rows: 1 });
  let asked;
  area.spellcheck = false;
  const name = make("label", { for: id }, label);
  const element = make("div", { class: "falcon-control falcon-text" }, name, area);
  area.addEventListener("keydown", (event) => {
    event.stopPropagation(); // letters are commands in a notebook
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    change();
  });
  area.addEventListener("change", change);
  return {
    element,
    show({ value }) {
      area.value = asked = value;
      area.rows = 1 + Math.floor(value.length / 80); // where a box does not fit its text
    },
  };

  function change() {
    if (area.value !== asked) ask((asked = area.value));
  }
}
