// A service that answers as it is told, and remembers what it was asked.

import { createServer } from 'node:http';
import { after } from 'node:test';

/**
 * Starts one, which is ended with the test file. Each request is answered by the next of the handlers, and the
 * last of them answers all that come after; a handler is a function of the request and response, or a status
 * and a body.
 */
export async function serving(...handlers) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const { method, url, headers } = request;
    asked.push({ method, url, headers, body: body === '' ? undefined : parsed(body), at: Date.now() });
    const handler = handlers.length > 1 ? handlers.shift() : handlers[0];
    if (typeof handler === 'function') return handler(request, response, asked.at(-1));
    const [status, document, more = {}] = handler;
    response.writeHead(status, { 'Content-Type': 'application/json', 'X-Request-Id': 'req-1', ...more });
    response.end(typeof document === 'string' ? document : JSON.stringify(document));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${server.address().port}`, asked };
}

/** A handler that hangs up without an answer. */
export function hangUp(request) {
  request.socket.destroy();
}

/** A handler that never answers. */
export function silent() {}

/** Waits for a condition, ten seconds at the most. */
export async function until(condition) {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries === 1_000) throw new Error(`not within ten seconds: ${condition}`);
    // A condition that nobody tells of is looked at again.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What the VMM service says where it did what it was asked. */
export const DONE = [200, { success: true, message: 'done', task_id: 'task-1' }];

/** What it says where it did not. */
export function failure(status, headers = {}) {
  return [status, { success: false, message: `because of ${status}` }, headers];
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
