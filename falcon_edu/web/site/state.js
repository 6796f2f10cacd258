// What the playground shows, and the part of an address after # that tells it:
// #text=Mia+had&sampler=top_p&temperature=0.7&seed=4&rw=3.2&rw-off=3.2_3.3
//
// A state is {text, sampler, temperature, seed, falcons}, where `falcons` has {layer, head, off} by
// the name of each model, and `off` the heads that are switched off: pairs [layer, head], in order.

export const SAMPLERS = { greedy: {}, random: {}, top_k: { k: 5 }, top_p: { p: 0.7 } };
export const LIMITS = {
  temperature: { min: 0.1, max: 2, step: 0.1 },
  seed: { min: 0, max: 99, step: 1 },
};
const BEGINNING = { sampler: "greedy", temperature: 1, seed: 0 };
const LONGEST = 2000; // letters of a text, as in the box

/**
 * Return the state that an address tells, where `start` is {text, falcons, layers, heads}: the text
 * and the models, {name, layer, head}, to begin with, and how many heads there are. Anybody can
 * write an address: what is not told, or is not right, is as at the beginning.
 */
export function read_state(hash, { text, falcons, layers, heads }) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const [words, sampler] = [said.get("text"), said.get("sampler")];
  const is_text = words !== null && words.length <= LONGEST && !words.includes("\ufffd");
  return {
    text: is_text ? words : text,
    sampler: Object.hasOwn(SAMPLERS, sampler) ? sampler : BEGINNING.sampler,
    temperature: read_number(said, "temperature"),
    seed: read_number(said, "seed"),
    falcons: Object.fromEntries(
      falcons.map(({ name, layer, head }) => {
        const [at] = read_heads(said.get(name), layers, heads);
        const off = read_heads(said.get(`${name}-off`), layers, heads);
        return [name, { layer: at?.[0] ?? layer, head: at?.[1] ?? head, off }];
      }),
    ),
  };
}

/** Return what stands after # in the address of a state, or nothing if it is the beginning. */
export function write_state(state, { text, falcons }) {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries({ text, ...BEGINNING })) {
    if (state[name] !== value) said.set(name, state[name]);
  }
  for (const { name, layer, head } of falcons) {
    const now = state.falcons[name];
    if (now.layer !== layer || now.head !== head) said.set(name, `${now.layer}.${now.head}`);
    if (now.off.length) said.set(`${name}-off`, now.off.map((pair) => pair.join(".")).join("_"));
  }
  return String(said) && `#${said}`;
}

/** Return heads with one more, or without it if they have it, in order. */
export function toggled(off, [layer, head]) {
  const others = off.filter((pair) => pair[0] !== layer || pair[1] !== head);
  if (others.length < off.length) return others;
  return [...off, [layer, head]].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

/** Return what the worker takes of a sampler; the greedy one has neither temperature nor seed. */
export function options_of({ sampler, temperature, seed }) {
  const own = { name: sampler, ...SAMPLERS[sampler] };
  return sampler === "greedy" ? own : { ...own, temperature, seed };
}

function read_number(said, name) {
  const { min, max, step } = LIMITS[name];
  const value = /^\d+(\.\d+)?$/.test(said.get(name)) ? Number(said.get(name)) : NaN;
  if (!(value >= min && value <= max)) return BEGINNING[name];
  return Number(value.toFixed(String(step).split(".")[1]?.length ?? 0)); // as a slider has it
}

/** Return the heads that a list such as 1.0_3.2 names, each once, or none if there is another. */
function read_heads(list, layers, heads) {
  if (!/^\d+\.\d+(_\d+\.\d+)*$/.test(list)) return [];
  const pairs = list.split("_").map((pair) => pair.split(".").map(Number));
  if (!pairs.every(([layer, head]) => layer < layers && head < heads)) return [];
  const once = new Map(pairs.map((pair) => [String(pair), pair]));
  return [...once.values()].reduce(toggled, []);
}
