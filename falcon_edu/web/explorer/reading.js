// One text after another: what comes too late is not shown, and what takes long is told.

const SLOW = 200; // milliseconds after which one is told that a text is being read

/**
 * Return {begin, end, fail, is_busy, read}, given an element, `say(sentence)` and, if somebody
 * wants to know whether a text was refused, `refuse(is_refused)`.
 *
 * `begin()` gives a function that is true once something else has begun. `read(promise, show)`
 * begins to wait for what `show` takes, and gives a promise of whether nothing else has begun.
 */
export function make_reading(element, say, refuse = () => {}) {
  let [begun, ended] = [0, 0];

  function begin() {
    const number = ++begun;
    return () => number !== begun;
  }
  function end() {
    ended = begun;
    element.removeAttribute("aria-busy");
  }
  function fail({ message }) {
    say(message);
    refuse(true);
  }
  async function read(promise, show) {
    const is_late = begin();
    const slow = setTimeout(() => {
      if (is_late()) return;
      say("The text is being read …");
      element.setAttribute("aria-busy", true);
    }, SLOW);
    try {
      const recorded = await promise;
      if (!is_late()) (show(recorded), refuse(false));
    } catch (problem) {
      if (!is_late()) fail(problem);
    }
    clearTimeout(slow);
    if (!is_late()) end();
    return !is_late();
  }
  return { begin, end, fail, is_busy: () => ended !== begun, read };
}
