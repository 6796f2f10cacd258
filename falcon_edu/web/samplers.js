// Samplers: from logits to the next token. Draws repeat with a seed, and are others than JAX's.

import { softmax } from "./layers.js";

// What each sampler leaves of the ranked pairs of id and probability.
const RESTRICT = {
  greedy: (ranked) => ranked.slice(0, 1),
  random: (ranked) => ranked,
  top_k: (ranked, { k = 5 }) => ranked.slice(0, k),
  top_p: (ranked, { p = 0.1, k }) => {
    // A token stays if those before it don't exceed p yet, so the one that does so stays too.
    let sum = p === 1 ? -Infinity : 0; // with 1 all stay, though the sum may exceed it by rounding
    return ranked.slice(0, k).filter(([, probability]) => (sum += probability) - probability <= p);
  },
};

/**
 * Make a sampler: `distribution` and `next_token`, two functions of logits (v,).
 *
 * Its name is greedy, random, top_k or top_p; the others are arguments of the package's classes.
 */
export function make_sampler({ name = "greedy", temperature = 1, seed, ...options } = {}) {
  const { k = 1, p = 1 } = options;
  check(name in RESTRICT, "name", `one of ${Object.keys(RESTRICT).join(", ")}`, name);
  check(temperature > 0, "temperature", "above 0", temperature);
  check(Number.isInteger(k) && k >= 1, "k", "a whole number of at least 1", k);
  check(p > 0 && p <= 1, "p", "above 0 and at most 1", p);
  const random = random_numbers(seed ?? Math.random() * 2 ** 32);

  function restricted(logits) {
    const probabilities = softmax(Float32Array.from(logits, (x) => x / temperature));
    const ranked = Array.from(probabilities, (p, id) => [id, p]).sort((a, b) => b[1] - a[1]);
    const left = RESTRICT[name](ranked, options);
    const sum = left.reduce((total, [, p]) => total + p, 0);
    return left.map(([id, p]) => [id, p / sum]);
  }
  function distribution(logits) {
    const probabilities = new Float32Array(logits.length);
    for (const [id, p] of restricted(logits)) probabilities[id] = p;
    return probabilities;
  }
  function next_token(logits) {
    const left = restricted(logits);
    let rest = random();
    return (left.find(([, p]) => (rest -= p) < 0) ?? left[0])[0];
  }
  return { distribution, next_token };
}

function check(is_right, name, what, received) {
  if (!is_right) throw new Error(`\`${name}\` must be ${what}. Received: ${received}`);
}

/** Return a function that gives numbers in [0, 1), the same ones for the same seed. */
function random_numbers(seed) {
  let state = seed | 0;
  return () => {
    // Steele et al. 2014, https://doi.org/10.1145/2714064.2660195 (SplitMix), in 32 bits.
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 2 ** 32;
  };
}
