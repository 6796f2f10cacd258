// One Falcon of the playground: what it writes, what may come next, its heads, and its explorer.

import { mount } from "../explorer/explorer.js";
import { make } from "../explorer/parts.js";
import { softmax } from "../layers.js";
import { make_next, make_story, sentence_of } from "./changes.js";
import { fetch_falcon, near } from "./fetching.js";
import { make_switches } from "./switches.js";

const WRITTEN = 40; // tokens

/**
 * Make the column of a Falcon, {title, about, model}, with so many layers and heads.
 *
 * `show({text, sampler, layer, head, off})` gives a promise of the sentence that says what has
 * changed, empty if something else was to be shown meanwhile. `hand` is {look, toggle, say}: told
 * where somebody looks, which head somebody presses, and what is to be said.
 */
export function make_column({ title, about, model }, sizes, hand) {
  const heading = make("div", {}, make("h2", {}, title), make("p", {}, about));
  const element = make("section", { class: "falcon-column", "aria-label": title }, heading);
  element.setAttribute("aria-busy", true);
  const switches = make_switches(sizes, title, hand.toggle);
  const [story, place] = [make_story(), make("div")];
  let source, explorer, vocabulary, next, wanted;
  let whole = {}; // what the Falcon with all heads does, and the text and sampler of that
  let query = -1; // the token that is chosen
  let quiet = 0; // while it is not by hand that something is shown, and not a word is said
  let latest = 0;

  async function come() {
    await near(element);
    source = await fetch_falcon(model, heading);
    element.setAttribute("aria-busy", Boolean(source));
    if (!source) return;
    ({ vocabulary } = await source.loaded);
    next = make_next(vocabulary);
    element.append(story.element, next.element, switches.element, place);
    const { text, layer, head } = wanted;
    const record = (now) => source.record(now, wanted.off);
    const on_view = (view, is_by_hand) => is_by_hand && ((query = view.query), hand.look(view));
    const on_say = (sentence) => quiet || hand.say(`${title}: ${sentence}`);
    quiet++;
    explorer = mount(place, { record }, { text, layer, head, on_view, on_say });
    await explorer.ready;
    quiet--;
    hand.say(await show(wanted));
  }

  /** Go somewhere in the explorer, without a word of it. */
  async function go(there) {
    quiet++;
    try {
      await explorer?.go(there);
    } finally {
      quiet--;
    }
  }

  async function show(now) {
    if (now.text !== wanted?.text) query = -1;
    wanted = now;
    switches.show(now.off);
    if (!explorer) return "";
    const number = ++latest;
    const is_old = () => number !== latest;
    element.setAttribute("aria-busy", true);
    const { text, layer, head } = now;
    await go({ text, again: true, layer, head });
    await go({ query }); // that of now: somebody may have chosen one meanwhile, here or elsewhere
    const said = is_old() ? "" : await compare(now, is_old);
    if (is_old()) return "";
    element.setAttribute("aria-busy", false);
    return said;
  }

  /** Show what the Falcon does with all heads and without those that are off, and say it. */
  async function compare({ text, sampler, off }, is_old) {
    async function follow(heads, before) {
      const { tokens, logits } = await source.record(text, heads);
      const found = { probabilities: softmax(Float32Array.from(logits.at(-1))), written: "" };
      const show_story = (so_far) => {
        found.written = so_far.slice(text.length);
        if (!is_old()) story.show(before ?? found, found, heads);
      };
      if (!is_old()) next.show(before ?? found, found, heads);
      const options = { ...sampler, heads, max_length: tokens.length + WRITTEN };
      show_story(await source.generate(text, show_story, options));
      return found;
    }
    try {
      const key = JSON.stringify([text, sampler]);
      const found = whole.key === key ? whole : { key, ...(await follow([])) };
      if (is_old()) return "";
      whole = found;
      next.show(whole, whole, []);
      story.show(whole, whole, []);
      const cut = off.length ? await follow(off, whole) : whole;
      return `${title} ${sentence_of(whole, cut, off, vocabulary)}`;
    } catch ({ message }) {
      if (!is_old()) (story.refuse(message), (next.element.hidden = true));
      return message;
    }
  }

  return {
    element,
    show,
    look(there) {
      query = there.query;
      go({ query });
    },
    come,
  };
}
