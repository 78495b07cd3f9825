import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NativeClient } from 'formation-sdk/native';
import { operations } from '../src/generated/operations.js';
import { Transport } from '../src/transport.js';
import { failure, hangUp, serving } from './server.js';

test('an operation is sent as its document says', async () => {
  const { url, asked } = await serving([200, { ok: true }]);
  const native = new NativeClient({ baseUrl: url, apiKey: 'token' });
  assert.deepEqual(await native.getVm({ path: { vm: 'a/b c' }, query: { project: 'x&y' } }), { ok: true });
  await native.listVms();
  await native.changeVm({ path: { vm: 'web' }, body: { memory: '1GiB' } });
  const sent = asked.map(({ method, url, headers, body }) => [method, url, headers['content-type'], body]);
  assert.deepEqual(sent, [
    ['GET', '/v1/vms/a%2Fb%20c?project=x%26y', undefined, undefined],
    ['GET', '/v1/vms', undefined, undefined],
    ['PATCH', '/v1/vms/web', 'application/merge-patch+json', { memory: '1GiB' }],
  ]);
  await assert.rejects(native.getVm({ path: { vm: '' } }), /path\.vm is missing/);
  for (const vm of ['.', '..']) {
    await assert.rejects(native.getVm({ path: { vm } }), { name: 'TypeError', message: `path.vm cannot be ${vm}` });
  }
  await assert.rejects(async () => native.followTask({ path: { id: '..' } }).next(), /path\.id cannot be/);
  assert.equal(asked.length, 3);
  await native.getVm({ path: { vm: '%2e%2e' } });
  assert.equal(asked[3].url, '/v1/vms/%252e%252e');
});

test('what makes something has one key however often it is sent, and so is sent again', async () => {
  const { url, asked } = await serving(hangUp, failure(503), [202, { task: {} }]);
  const native = new NativeClient({ baseUrl: url });
  await native.createVm({ body: { name: 'web' }, header: { Prefer: 'wait=10' } });
  const keys = asked.map(({ headers }) => headers['idempotency-key']);
  assert.match(keys[0], /^[0-9a-f]{32}$/);
  assert.deepEqual(keys, [keys[0], keys[0], keys[0]]);
  assert.equal(asked[2].headers.prefer, 'wait=10');
  await native.createVm({ body: { name: 'web' }, header: { 'Idempotency-Key': 'mine' } });
  assert.equal(asked.at(-1).headers['idempotency-key'], 'mine');
});

test('what is no document is answered as it is, and nothing as nothing', async () => {
  const { url } = await serving(
    (request, response) => response.end('a log'),
    (request, response) => response.writeHead(204).end(),
  );
  const native = new NativeClient({ baseUrl: url });
  const log = await native.getVmLog({ path: { vm: 'web' } });
  assert.equal(await log.text(), 'a log');
  assert.equal(await native.thawVm({ path: { vm: 'web' } }), undefined);
});

test('a file is sent as it is, and as a stream only once', async () => {
  const { url, asked } = await serving(failure(503), [201, { task: {} }]);
  const native = new NativeClient({ baseUrl: url });
  const path = { name: 'golden' };
  const body = new Blob(['the image']).stream();
  await assert.rejects(native.uploadImage({ path, query: {}, body }), { name: 'ServerError' });
  await native.uploadImage({ path, query: {}, body: new TextEncoder().encode('the image') });
  const sent = asked.map(({ method, headers, body }) => [method, headers['content-type'], body]);
  assert.deepEqual(sent, [
    ['PUT', 'application/octet-stream', 'the image'],
    ['PUT', 'application/octet-stream', 'the image'],
  ]);
});

test('a stream is not sent again after it was read, and the token that was refused is not shown again', async () => {
  const { url, asked } = await serving(failure(401), failure(429, { 'Retry-After': '0' }), [201, { task: {} }]);
  const tokens = ['old', 'new'];
  const credential = {
    show: async () => ({ token: tokens[0], renewable: tokens.length > 1 }),
    forget: () => tokens.shift(),
  };
  const native = new NativeClient(new Transport(url, credential, {}));
  const upload = () => native.uploadImage({ path: { name: 'golden' }, query: {}, body: new Blob(['the image']).stream() });
  await assert.rejects(upload(), { name: 'AuthenticationError' });
  await assert.rejects(upload(), { name: 'RateLimitError' });
  await upload();
  const sent = asked.map(({ headers, body }) => [headers.authorization, body]);
  assert.deepEqual(sent, [
    ['Bearer old', 'the image'],
    ['Bearer new', 'the image'],
    ['Bearer new', 'the image'],
  ]);
});

test('every operation is a method, but those that go on in another protocol', () => {
  const native = new NativeClient({ baseUrl: 'http://127.0.0.1:1' });
  assert(Object.keys(operations).every((id) => typeof native[id] === 'function'));
  assert.deepEqual([native.openVmConsole, native.openVmScreen], [undefined, undefined]);
});
