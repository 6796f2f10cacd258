// Tell the model where a token stands: ALiBi and RoPE, as in falcon_edu/model/positions.py.
// There is no padding here, so a token's position is its index.

/** Return the slope of each of n heads. Press et al. 2022, https://arxiv.org/abs/2108.12409. */
export function alibi_slopes(num_heads) {
  const power = 2 ** Math.floor(Math.log2(num_heads));
  const slopes = Array.from({ length: power }, (_, head) => 2 ** ((-8 / power) * (head + 1)));
  if (power === num_heads) return slopes;
  const others = alibi_slopes(2 * power).filter((_, i) => i % 2 === 0);
  return [...slopes, ...others.slice(0, num_heads - power)];
}

const SIGNIFICANT_BITS = { float32: 24, float16: 11, bfloat16: 8 };

/** Return ALiBi's bias, (n, k): the slope of the head times the position of the key. */
export function alibi_bias(num_heads, k, dtype) {
  // In doubles, adding a large multiple of a number and taking it away again leaves so many bits.
  const large = 2 ** (53 - SIGNIFICANT_BITS[dtype ?? "float32"]) + 1;
  const round = (x) => x * large - (x * large - x);
  const positions = Array.from({ length: k }, (_, position) => round(position));
  return alibi_slopes(num_heads).map((slope) => positions.map((p) => round(round(slope) * p)));
}

/**
 * Turn the pairs (x[i], x[i + h/2]) of each head of one token, in place, by an angle that grows
 * with its position. Su et al. 2021, https://arxiv.org/abs/2104.09864, section 3.2.
 */
export function rotary_embedding(x, h, position, max_wavelength) {
  const half = h / 2;
  for (let i = 0; i < half; i++) {
    const angle = position * max_wavelength ** (-i / half);
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    for (let a = i; a < x.length; a += h) {
      const b = a + half;
      [x[a], x[b]] = [x[a] * cos - x[b] * sin, x[b] * cos + x[a] * sin];
    }
  }
}
