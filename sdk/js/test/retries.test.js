import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError, Formation, RateLimitError, ServerError } from 'formation-sdk';
import { pause, secondsOf } from '../src/retry.js';
import { DONE, failure, hangUp, serving } from './server.js';

test('a caller who asked too often waits for as long as the service says', async () => {
  const { url, asked } = await serving(failure(429, { 'Retry-After': '1' }), DONE);
  const { vm } = new Formation({ baseUrl: url });
  assert.equal((await vm.start('b-1')).success, true);
  assert.equal(asked.length, 2);
  assert(asked[1].at - asked[0].at >= 990);
});

test('a service that wants to be left alone for longer is', async () => {
  const { url, asked } = await serving(failure(429, { 'Retry-After': '61' }));
  const { vm } = new Formation({ baseUrl: url });
  await assert.rejects(vm.list(), (error) => error instanceof RateLimitError && error.retryAfter === 61);
  assert.equal(asked.length, 1);
});

test('what changes something is sent again only where it was not begun', async () => {
  for (const [first, times] of [
    [failure(429), 2],
    [failure(503, { 'Retry-After': '0' }), 2],
    [failure(503), 1],
    [failure(500), 1],
    [failure(409, { 'Retry-After': '0' }), 1],
    [hangUp, 1],
  ]) {
    const { url, asked } = await serving(first, DONE);
    const { vm } = new Formation({ baseUrl: url });
    const outcome = await vm.start('b-1').catch((error) => error);
    assert.deepEqual([asked.length, outcome.success], [times, times > 1 ? true : undefined], String(first));
  }
});

test('a read is sent again after what may pass, and so often only', async () => {
  for (const [answer, times, name] of [
    [failure(500), 3, ServerError],
    [failure(503), 3, ServerError],
    [hangUp, 3, ConnectionError],
    [failure(501), 1, ServerError],
    [failure(404), 1, Error],
  ]) {
    const { url, asked } = await serving(answer);
    const { vm } = new Formation({ baseUrl: url });
    await assert.rejects(vm.list(), (error) => error instanceof name);
    assert.equal(asked.length, times, String(answer));
  }
  const { url, asked } = await serving(failure(500));
  await assert.rejects(new Formation({ baseUrl: url, retries: 1 }).vm.list());
  await assert.rejects(new Formation({ baseUrl: url }).vm.list({ retries: 0 }));
  assert.equal(asked.length, 3);
});

test('pauses grow, have a bound, and are not all the same', () => {
  for (const [attempt, longest] of [[0, 250], [1, 500], [2, 1_000], [9, 8_000], [2_000, 8_000]]) {
    const pauses = Array.from({ length: 50 }, () => pause(attempt));
    assert(pauses.every((milliseconds) => milliseconds >= longest / 2 && milliseconds <= longest), `${attempt}`);
    assert(new Set(pauses).size > 1);
  }
});

test('a time to come back at is seconds or a date', () => {
  assert.equal(secondsOf(null), undefined);
  assert.equal(secondsOf('soon'), undefined);
  assert.equal(secondsOf(' 7 '), 7);
  assert.equal(secondsOf('Thu, 01 Jan 1970 00:00:00 GMT'), 0);
  const inTen = secondsOf(new Date(Date.now() + 10_000).toUTCString());
  assert(inTen >= 9 && inTen <= 11, `${inTen}`);
});
