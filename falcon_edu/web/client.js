// The page's side of the worker.

/** Return a function `ask(call, options, on_progress)`; its promise is of the worker's result. */
export function connect(worker) {
  const waiting = [];
  worker.onmessage = ({ data: { id, result, error, progress } }) => {
    const { resolve, reject, on_progress } = waiting[id];
    if (progress) return on_progress?.(progress);
    return error === undefined ? resolve(result) : reject(new Error(error));
  };
  worker.onerror = ({ message = "The worker did not start." }) => {
    for (const { reject } of waiting) reject(new Error(message));
  };
  return (call, options = {}, on_progress = null) =>
    new Promise((resolve, reject) => {
      const id = waiting.push({ resolve, reject, on_progress }) - 1;
      worker.postMessage({ id, call, ...options });
    });
}
