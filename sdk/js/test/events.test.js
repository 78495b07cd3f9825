import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError, Formation, NotFoundError } from 'formation-sdk';
import { follow } from '../src/follow.js';
import { messages } from '../src/sse.js';
import { failure, hangUp, serving, until } from './server.js';

/** What the service sends of an event. */
function event(position, document) {
  return `id: ${position}\nevent: any\ndata: ${JSON.stringify(document)}\n\n`;
}

const ready = (position) => event(position, { type: 'ready', position, revision: 1 });
const change = (position) => event(position, { type: 'change', position, kind: 'vm', action: 'modify', id: 'v' });

/** A handler that sends these, and then ends, or waits. */
function stream(texts, { stay = false, seen = {} } = {}) {
  return (request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.on('close', () => {
      seen.closed = true;
    });
    response.write(texts.join(''));
    if (!stay) response.end();
  };
}

/** A handler whose answer breaks off in its first event. */
function brokenOff(request, response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.write('id: r.1\n', () => response.destroy());
}

async function taken(events, count) {
  const found = [];
  for await (const event of events) {
    found.push(event);
    if (found.length === count) break;
  }
  return found;
}

test('the feed goes on where it broke off, and says what is missing', async () => {
  const seen = {};
  const { url, asked } = await serving(
    stream([ready('r.1'), change('r.2'), 'id: r.3\n: still here\n\n', 'id: r.9\ndata: {"half"']),
    failure(503),
    stream([ready('r.3'), change('r.4')]),
    stream([ready('s.1'), event('s.5', { type: 'gap', position: 's.5', revision: 5, vms: [] }), change('s.6')], { stay: true, seen }),
  );
  const formation = new Formation({ nativeUrl: url, apiKey: 'token' });
  const events = await taken(formation.events({ kinds: ['vm', 'task'], vm: 'web' }), 5);
  const told = events.map(({ type, position }) => `${type} ${position}`);
  assert.deepEqual(told, ['ready r.1', 'change r.2', 'change r.4', 'gap s.5', 'change s.6']);
  const from = asked.map(({ headers }) => headers['last-event-id']);
  assert.deepEqual(from, [undefined, 'r.3', 'r.3', 'r.4']);
  const { url: path, headers } = asked[0];
  assert.deepEqual([path, headers.accept, headers.authorization], ['/v1/events?kind=vm%2Ctask&vm=web', 'text/event-stream', 'Bearer token']);
  // Whoever stops reading hangs up.
  await until(() => seen.closed);
});

test('a reader may begin where it once was', async () => {
  const { url, asked } = await serving(stream([ready('r.7')], { stay: true }));
  await taken(new Formation({ nativeUrl: url }).events({ since: 'r.7' }), 1);
  assert.equal(asked[0].headers['last-event-id'], 'r.7');
});

test('what will not pass ends the feed, and so does a service that stays away', async () => {
  const none = await serving(failure(404));
  const events = (url, options) => taken(new Formation({ nativeUrl: url }).events(options), 1);
  await assert.rejects(events(none.url), (error) => error instanceof NotFoundError);
  assert.equal(none.asked.length, 1);
  for (const handler of [stream(['']), hangUp, brokenOff]) {
    const away = await serving(handler);
    await assert.rejects(events(away.url, { retries: 1 }), (error) => error instanceof ConnectionError);
    assert.equal(away.asked.length, 2);
  }
});

test('a service that wants to be left alone for long ends the feed', async () => {
  // More than a timer takes, too, which would fire at once.
  for (const seconds of ['61', '3000000', '9'.repeat(400)]) {
    const { url, asked } = await serving(failure(429, { 'Retry-After': seconds }), stream([ready('r.1')]));
    const events = taken(new Formation({ nativeUrl: url }).events({ signal: AbortSignal.timeout(5_000) }), 1);
    await assert.rejects(events, { name: 'RateLimitError', retryAfter: Number(seconds) });
    assert.equal(asked.length, 1);
  }
});

test('a signal ends the feed with its reason, whatever it is doing', async () => {
  const { url } = await serving(stream([ready('r.1')], { stay: true }));
  const reason = new Error('enough');
  const aborted = new AbortController();
  const events = new Formation({ nativeUrl: url }).events({ signal: aborted.signal });
  assert.equal((await events.next()).value.type, 'ready');
  const next = events.next();
  aborted.abort(reason);
  await assert.rejects(next, reason);
  const broken = await serving(failure(503, { 'Retry-After': '30' }));
  const waiting = new Formation({ nativeUrl: broken.url }).events({ signal: AbortSignal.timeout(100) });
  await assert.rejects(waiting.next(), { name: 'TimeoutError' });
});

test('a signal ends a stream that has forgotten it, and whoever stops reading hangs up', async () => {
  const reason = new Error('enough');
  const aborted = new AbortController();
  let cancelled = 0;
  const start = (controller) => controller.enqueue(new TextEncoder().encode(ready('r.1')));
  const cancel = () => {
    cancelled += 1;
  };
  const transport = { response: async () => new Response(new ReadableStream({ start, cancel })) };
  const events = follow(transport, { method: 'GET', path: '/' }, { signal: aborted.signal });
  await events.next();
  const next = events.next();
  aborted.abort(reason);
  await assert.rejects(next, reason);
  assert.equal(cancelled, 1);
  await taken(follow(transport, { method: 'GET', path: '/' }, {}), 1);
  assert.equal(cancelled, 2);
});

test('a stream that is silent for too long is asked for again', async () => {
  const bodies = [[ready('r.1')], [change('r.2')]];
  const asked = [];
  const transport = {
    async response({ headers }, { signal }) {
      asked.push(headers['Last-Event-ID']);
      const [text] = bodies.shift();
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(text));
          signal.addEventListener('abort', () => controller.error(signal.reason));
        },
      });
      return new Response(body);
    },
  };
  const events = follow(transport, { method: 'GET', path: '/' }, { silence: 50 });
  assert.deepEqual((await taken(events, 2)).map(({ type }) => type), ['ready', 'change']);
  assert.deepEqual(asked, [undefined, 'r.1']);
});

test('a task is followed to its end', async () => {
  const task = (state) => event('r.1', { type: 'task', position: 'r.1', revision: 1, task: { id: 't', state } });
  const { url, asked } = await serving(stream([task('running'), task('interrupted')]), stream([task('running'), task('done')]));
  const { native } = new Formation({ nativeUrl: url });
  const states = [];
  for await (const { task } of native.followTask({ path: { id: 't' } })) states.push(task.state);
  assert.deepEqual(states, ['running', 'interrupted', 'running', 'done']);
  assert.deepEqual(asked.map(({ url }) => url), ['/v1/tasks/t/events', '/v1/tasks/t/events']);
});

test('events are the same however they are cut into pieces, and however their lines end', async () => {
  const text = '\uFEFFid: 1\nevent: a\ndata: {"é":"→"}\n\n: comment\ndata:two\ndata: lines\n\ndata\nid\n\nid: 2\n: still here\n\nid: 3\ndata: cut';
  const expected = [
    { id: '1', data: '{"é":"→"}' },
    { id: '1', data: 'two\nlines' },
    { id: '', data: '' },
    { id: '2' },
  ];
  for (const end of ['\n', '\r\n', '\r']) {
    const bytes = new TextEncoder().encode(text.replaceAll('\n', end));
    for (const size of [1, 2, 3, 7, bytes.length]) {
      const pieces = async function* () {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
      };
      const found = [];
      for await (const message of messages(pieces())) found.push(message);
      assert.deepEqual(found, expected, `${JSON.stringify(end)} in pieces of ${size}`);
    }
  }
});
