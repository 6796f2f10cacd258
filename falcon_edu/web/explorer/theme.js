// Whether a page is light or dark, and when that changes.

import { is_dark } from "./colors.js";

/** Return the theme of an element's text. */
export const theme_of = (element) => (is_dark(getComputedStyle(element).color) ? "dark" : "light");

/** Call a function when the theme changes, the browser's or the page's; return one to end that. */
export function on_theme(act) {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", act);
  const attributeFilter = ["data-theme", "data-jp-theme-light"]; // Furo's and JupyterLab's
  const observer = new MutationObserver(act);
  observer.observe(document.body, { attributeFilter });
  return () => {
    observer.disconnect();
    scheme.removeEventListener("change", act);
  };
}
