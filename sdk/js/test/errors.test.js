import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { test } from 'node:test';
import * as sdk from 'formation-sdk';
import { DONE, failure, serving, silent, until } from './server.js';

const { Formation } = sdk;

test('each refusal is an error of its own class, with what the service said', async () => {
  const classes = {
    400: 'InvalidRequestError',
    401: 'AuthenticationError',
    403: 'PermissionError',
    404: 'NotFoundError',
    409: 'ConflictError',
    412: 'ConflictError',
    413: 'InvalidRequestError',
    418: 'ApiError',
    422: 'InvalidRequestError',
    429: 'RateLimitError',
    500: 'ServerError',
    501: 'UnsupportedError',
    507: 'ServerError',
  };
  for (const [status, name] of Object.entries(classes)) {
    const { url } = await serving(failure(Number(status), { 'Retry-After': '7' }));
    const { vm } = new Formation({ baseUrl: url, retries: 0 });
    const error = await vm.start('b-1').catch((error) => error);
    assert.equal(error.constructor, sdk[name]);
    assert(error instanceof sdk.ApiError && error instanceof sdk.FormationError);
    const said = [error.name, error.message, error.status, error.requestId, error.retryAfter];
    assert.deepEqual(said, [name, `because of ${status}`, Number(status), 'req-1', 7]);
  }
});

test('a problem document is read whole', async () => {
  const problem = {
    type: 'urn:innkeeper:error:wrong-state',
    title: 'Not possible in this state',
    status: 409,
    detail: 'web is running',
    code: 'wrong-state',
    field: 'state',
    hint: 'stop it first',
    instance: 'req-2',
    task: 't-1',
  };
  const { url } = await serving([409, problem, { 'X-Request-Id': 'req-2' }]);
  const { native } = new Formation({ nativeUrl: url });
  const error = await native.startVm({ path: { vm: 'web' } }).catch((error) => error);
  assert(error instanceof sdk.ConflictError);
  assert.equal(error.message, 'web is running; stop it first');
  const { code, field, taskId, requestId } = error;
  assert.deepEqual({ code, field, taskId, requestId }, { code: 'wrong-state', field: 'state', taskId: 't-1', requestId: 'req-2' });
});

test('what is no answer of the service is said to be none', async () => {
  const { url } = await serving([502, '<html>'], [200, '<html>']);
  const { vm } = new Formation({ baseUrl: url, retries: 0 });
  await assert.rejects(vm.list(), { name: 'ServerError', message: 'the service answered 502 Bad Gateway' });
  await assert.rejects(vm.list(), { name: 'FormationError', message: /does not answer in JSON/ });
});

test('a service that is not there, is silent, or sends its callers elsewhere is an error each', async () => {
  const nobody = new Formation({ baseUrl: 'http://127.0.0.1:1', retries: 0 });
  await assert.rejects(nobody.health(), (error) => {
    assert(error instanceof sdk.ConnectionError);
    assert.match(error.message, /^cannot reach http:\/\/127\.0\.0\.1:1: ./);
    return true;
  });
  const quiet = await serving(silent);
  let attempts = 0;
  const counted = (...parameters) => {
    attempts += 1;
    return fetch(...parameters);
  };
  const { vm } = new Formation({ baseUrl: quiet.url, timeout: 50, fetch: counted });
  await assert.rejects(vm.list(), (error) => error instanceof sdk.TimeoutError);
  assert.equal(attempts, 1, 'who has waited long enough is not made to wait again');
  const other = await serving(DONE);
  const elsewhere = await serving([307, '', { Location: other.url }]);
  const moved = new Formation({ baseUrl: elsewhere.url, apiKey: 'token', retries: 0 });
  await assert.rejects(moved.vm.list(), (error) => error instanceof sdk.ConnectionError);
  assert.equal(other.asked.length, 0, 'nobody was shown the token');
});

test('a signal ends a request, a pause and what was not begun', async () => {
  const { url, asked } = await serving(silent);
  const { vm } = new Formation({ baseUrl: url });
  const reason = new Error('enough');
  const aborted = new AbortController();
  const listing = vm.list({ signal: aborted.signal });
  await until(() => asked.length === 1);
  aborted.abort(reason);
  await assert.rejects(listing, reason);
  await assert.rejects(vm.list({ signal: aborted.signal }), reason);
  assert.equal(asked.length, 1);
  const busy = await serving(failure(429, { 'Retry-After': '30' }));
  const waiting = new Formation({ baseUrl: busy.url }).vm.list({ signal: AbortSignal.timeout(100) });
  await assert.rejects(waiting, { name: 'TimeoutError' });
});

test('a fetch that forgets its signal is given up in time all the same', async () => {
  const stalled = async () => new Response(new ReadableStream());
  for (const fetch of [() => new Promise(() => {}), stalled]) {
    const { vm } = new Formation({ fetch });
    await assert.rejects(vm.list({ timeout: 50 }), (error) => error instanceof sdk.TimeoutError);
    await assert.rejects(vm.list({ signal: AbortSignal.timeout(50) }), { name: 'TimeoutError', message: /aborted/ });
  }
});

test('what a caller is known by is not to be seen', async () => {
  const { url } = await serving(DONE);
  const formation = new Formation({ baseUrl: url, apiKey: 'a-secret' });
  await formation.vm.start('b-1');
  const shown = inspect(formation, { depth: 9, showHidden: true }) + JSON.stringify(formation);
  assert(!shown.includes('a-secret'));
});

test('options that make no sense are refused at once', () => {
  const signer = { address: '0x1', signMessage: async () => '0x' };
  for (const options of [
    { apiKey: 'a', signer },
    { apiKey: 'two\nlines' },
    { apiKey: '' },
    { baseUrl: 'ftp://127.0.0.1' },
    { baseUrl: 'http://user:secret@127.0.0.1' },
    { signer: {} },
    { signer, tokenLifetime: 3601 },
    { signer, tokenLifetime: 0 },
  ]) {
    assert.throws(() => new Formation(options), TypeError, inspect(options));
  }
});
