// The page's side of the worker.

/** Return a function `ask(call, options, on_progress)`; its promise is of the worker's result. */
export function connect(worker) {
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data: { id, result, error, progress } }) => {
    const { resolve, reject, on_progress } = waiting.get(id);
    if (progress) return on_progress?.(progress);
    waiting.delete(id); // or each answer would stay in memory
    return error === undefined ? resolve(result) : reject(new Error(error));
  };
  worker.onerror = ({ message = "The worker did not start." }) =>
    waiting.forEach(({ reject }) => reject(new Error(message)));
  return (call, options = {}, on_progress = null) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject, on_progress });
      worker.postMessage({ id: last, call, ...options });
    });
}
