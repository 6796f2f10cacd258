// An explorer in a notebook: anywidget calls `render` with the model that the kernel speaks with.

import { mount } from "./explorer.js";
import { mount_logit_lens } from "./logit_lens.js";
import { mount_next_token } from "./next_token.js";
import { mount_panel } from "./panel.js";
import { make } from "./parts.js";
import { from_kernel, unpack_attention, unpack_lens, unpack_logits } from "./sources.js";

const LOOKS = 1000; // milliseconds between looks at the kernel
const DISCONNECTED = ".jupyter-widgets-disconnected";
const GONE = "The kernel is gone: all that is here stays, and what is new needs the kernel.";

// The explorers that the page draws, and how they have what the kernel sends.
const KINDS = {
  attention: { mount, unpack: unpack_attention },
  next_token: { mount: mount_next_token, unpack: unpack_logits },
  logit_lens: { mount: mount_logit_lens, unpack: unpack_lens },
};

/** Show a model in an element, and return a function that ends it. */
export function render({ model, el }) {
  const place = make("div", { class: "falcon-notebook" });
  el.append(place);
  // Jupyter takes keys away from what has no such attribute, before anybody else hears of them.
  place.addEventListener("focusin", ({ target }) =>
    target.setAttribute("data-lm-suppress-shortcuts", "true"),
  );
  let is_anew = false; // a kernel that was started anew knows nothing of the model
  const hear = (_, status) => (is_anew ||= status.endsWith("restarting"));
  const changes = model.widget_manager?.kernel?.statusChanged;
  changes?.connect(hear);
  const is_live = () =>
    !is_anew && has_kernel(model.widget_manager) && !el.closest(DISCONNECTED);
  const want = (wanted) => {
    model.set("wanted", wanted);
    model.save_changes();
  };
  let shown;
  const look = () => is_live() || (clearInterval(looking), shown?.lose(GONE));
  const looking = setInterval(look, LOOKS); // nobody tells of a kernel that was shut down
  // Only in the page has an element a theme, and it comes there later.
  const coming = new ResizeObserver(() => {
    coming.disconnect();
    const kind = model.get("kind");
    const show = kind === "panel" ? show_panel : show_text;
    shown = show(place, model, want, { ...KINDS[kind], is_live });
    look();
  });
  coming.observe(place);
  return () => {
    clearInterval(looking);
    changes?.disconnect(hear);
    coming.disconnect();
    shown?.remove();
  };
}

/** Return false if a widget manager knows that its kernel has ended; not every one can tell. */
function has_kernel(manager) {
  const { kernel } = manager ?? {};
  return kernel === undefined || Boolean(kernel && !kernel.isDisposed && kernel.status !== "dead");
}

function show_text(place, model, want, { mount, unpack, is_live }) {
  const want_too = (change) => want({ ...model.get("wanted"), ...change });
  const start = model.get("wanted");
  const own = ([name]) => name in start; // of a view, what the kernel wants to know
  const on_view = (view) => want_too(Object.fromEntries(Object.entries(view).filter(own)));
  const source = from_kernel(model, want_too, is_live, unpack);
  const explorer = mount(place, source, { ...start, on_view });
  model.on("change:wanted", () => explorer.go(model.get("wanted")));
  return explorer;
}

function show_panel(place, model, want) {
  const panel = mount_panel(place, (change) => {
    const { answers } = model.get("given");
    const wanted = model.get("wanted");
    // A busy kernel hears the last word alone: it has all that was not answered yet.
    const pending = answers.number === wanted.number ? {} : wanted;
    want({ ...pending, ...change, number: (wanted.number ?? 0) + 1 });
  });
  const show = () => {
    const given = model.get("given");
    panel.show(given, model.get("numbers"), given.answers.number === model.get("wanted").number);
  };
  model.on("change:given", show);
  show();
  return panel;
}
