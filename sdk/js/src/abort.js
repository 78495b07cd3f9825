/**
 * Waiting that a signal ends. `AbortSignal.any` does some of this, where there is one: not in Node 18.
 */

/**
 * Waits.
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>} rejects with the signal's reason
 */
export function sleep(milliseconds, signal) {
  return unlessAborted(
    (done) => {
      const timer = setTimeout(done, milliseconds);
      return () => clearTimeout(timer);
    },
    signal,
  );
}

/**
 * A promise, for as long as the signal is quiet.
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>} rejects with the signal's reason
 */
export function abortable(promise, signal) {
  return unlessAborted((done, failed) => {
    promise.then(done, failed);
    return () => {};
  }, signal);
}

/**
 * @template T
 * @param {(done: (value: T) => void, failed: (reason: unknown) => void) => () => void} begin returns what ends it
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
function unlessAborted(begin, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const over = () => {
      end();
      signal?.removeEventListener('abort', onAbort);
    };
    const onAbort = () => {
      over();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort);
    const end = begin(
      (value) => {
        over();
        resolve(value);
      },
      (reason) => {
        over();
        reject(reason);
      },
    );
  });
}

/**
 * A controller that is aborted with the signal, too, until `release` is called.
 * @param {AbortSignal} [signal]
 */
export function linked(signal) {
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal?.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort);
  return { controller, release: () => signal?.removeEventListener('abort', onAbort) };
}
