// The parts that a Falcon is made of. Arrays are flat, row after row; sums are in float64.

/** Return one row of an array whose rows have a width, without copying. */
export const row = (x, index, width) => x.subarray(index * width, (index + 1) * width);

/** Return x @ kernel + bias, (t, inputs) to (t, outputs); the kernel is (outputs, inputs). */
export function dense(x, inputs, { kernel, bias }) {
  const t = x.length / inputs;
  const outputs = kernel.length / inputs;
  const y = new Float32Array(t * outputs);
  for (let first = 0, rows; first < t; first += rows) {
    // Four rows at a time, as each weight that is read serves them all; one by one at the end.
    rows = first + 4 <= t ? 4 : 1;
    const a = first * inputs, b = a + inputs, c = b + inputs, d = c + inputs;
    for (let o = 0; o < outputs; o++) {
      const at = first * outputs + o, weights = o * inputs, start = bias ? bias[o] : 0;
      let s0 = start, s1 = start, s2 = start, s3 = start;
      for (let i = 0; i < inputs; i++) {
        const w = kernel[weights + i];
        s0 += w * x[a + i];
        if (rows === 1) continue;
        s1 += w * x[b + i];
        s2 += w * x[c + i];
        s3 += w * x[d + i];
      }
      y[at] = s0;
      if (rows === 1) continue;
      y[at + outputs] = s1;
      y[at + 2 * outputs] = s2;
      y[at + 3 * outputs] = s3;
    }
  }
  return y;
}

/** Return the rows of x, (t, m), with mean 0 and variance 1, scaled and shifted. */
export function layer_normalization(x, m, { gamma, beta }, epsilon) {
  const y = new Float32Array(x.length);
  for (let at = 0; at < x.length; at += m) {
    let mean = 0, variance = 0;
    for (let i = 0; i < m; i++) mean += x[at + i] / m;
    for (let i = 0; i < m; i++) variance += (x[at + i] - mean) ** 2 / m;
    const scale = 1 / Math.sqrt(variance + epsilon);
    for (let i = 0; i < m; i++) y[at + i] = (x[at + i] - mean) * scale * gamma[i] + beta[i];
  }
  return y;
}

// Abramowitz & Stegun 1964, formula 7.1.26: the error function to 1.5e-7, as float32 has it.
const P = 0.3275911;
const [A1, A2, A3, A4, A5] = [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429];

/** Return GELU: x times the probability that a standard normal number is below it. */
export function gelu(x) {
  const t = 1 / (1 + P * Math.abs(x) * Math.SQRT1_2);
  const polynomial = t * (A1 + t * (A2 + t * (A3 + t * (A4 + t * A5))));
  const tail = 0.5 * polynomial * Math.exp((-x * x) / 2);
  return x * (x < 0 ? tail : 1 - tail);
}

/** Turn scores into weights that sum to 1, in place. */
export function softmax(scores) {
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (let i = 0; i < scores.length; i++) sum += scores[i] = Math.exp(scores[i] - largest);
  for (let i = 0; i < scores.length; i++) scores[i] /= sum;
  return scores;
}

/** Return the sum of arrays of one length. */
export function add(first, ...others) {
  return first.map((value, i) => others.reduce((sum, other) => sum + other[i], value));
}
