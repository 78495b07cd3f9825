/**
 * An answer that is a refusal, read: the VMM service's `{"success":false,"message":…}`, or the native API's
 * problem document (RFC 9457).
 */

import { refused } from './errors.js';
import { secondsOf } from './retry.js';

/** @param {Response} response */
export async function refusalOf(response) {
  const text = await response.text();
  const body = parsed(text);
  // What is between here and the service, a proxy perhaps, may answer in another form.
  const fallback = `the service answered ${response.status} ${response.statusText}`.trimEnd();
  const said = body.detail ?? body.message ?? fallback;
  return refused(body.hint ? `${said}; ${body.hint}` : said, {
    status: response.status,
    requestId: response.headers.get('x-request-id') ?? body.instance,
    code: body.code,
    field: body.field,
    taskId: body.task,
    retryAfter: secondsOf(response.headers.get('retry-after')),
  });
}

/**
 * @param {string} text
 * @returns {Record<string, string | undefined>}
 */
function parsed(text) {
  try {
    const body = JSON.parse(text);
    return typeof body === 'object' && body !== null ? body : {};
  } catch {
    return {};
  }
}
