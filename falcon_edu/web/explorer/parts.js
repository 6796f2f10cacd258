// How the parts of an explorer make elements, and hear keys.

/** Make an element: `make("p", { class: "x", role: "y" }, child, "text")`. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Return an id that no other explorer has: in a notebook each comes with these modules anew. */
export const unique = (name) => `${name}-${Math.random().toString(36).slice(2)}`;

/** Give arrow keys to a part, and to nobody around it: a notebook would move its selection. */
export function on_keys(element, walk) {
  element.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !walk(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  });
}

/** Move the one place in a group that the Tab key stops at, and the focus if the group has it. */
export function rove(elements, chosen) {
  const has_focus = elements.includes(document.activeElement);
  elements.forEach((element, i) => element.setAttribute("tabindex", i === chosen ? 0 : -1));
  if (has_focus) elements[chosen].focus({ preventScroll: false });
}
