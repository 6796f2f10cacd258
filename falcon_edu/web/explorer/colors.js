// Colors of weights: from the page's own color to one of strong contrast, in two themes.

const RAMPS = {
  light: [[243, 245, 248], [92, 163, 214], [8, 48, 107]],
  dark: [[32, 37, 45], [38, 112, 166], [190, 230, 255]],
};

/** True if a text of this color, as `getComputedStyle` gives it, stands on a dark page. */
export function is_dark(color) {
  return luminance(color.match(/[\d.]+/g).map(Number)) > 0.4;
}

/** Return the color of a weight from 0 to 1: red, green and blue, 0 to 255. */
export function ramp(weight, theme) {
  const at = 2 * Math.max(0, Math.min(1, weight));
  const i = Math.min(1, Math.floor(at));
  const [from, to] = RAMPS[theme].slice(i, i + 2);
  return from.map((start, c) => Math.round(start + (at - i) * (to[c] - start)));
}

/** Return black or white, whichever is easier to read on a color: 4.5 to 1 on every one. */
export function ink_on(rgb) {
  return luminance(rgb) < 0.179 ? "white" : "black";
}

/** Return the relative luminance of a color: WCAG 2.2, dfn-relative-luminance. */
function luminance(rgb) {
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = rgb.map((c) => linear(c / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Paint a weight into each cell of a canvas of count times count pixels, below the diagonal. */
export function paint(canvas, count, theme, weight_of) {
  canvas.width = canvas.height = count;
  const context = canvas.getContext("2d");
  const image = context.createImageData(count, count);
  const colors = Array.from({ length: 256 }, (_, level) => [...ramp(level / 255, theme), 255]);
  for (let query = 0; query < count; query++) {
    for (let key = 0; key <= query; key++) {
      const level = Math.round(255 * weight_of(query, key));
      image.data.set(colors[level], 4 * (query * count + key));
    }
  }
  context.putImageData(image, 0, 0);
}
