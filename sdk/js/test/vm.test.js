import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Formation, TaskError } from 'formation-sdk';
import { DONE, serving } from './server.js';

const INFO = {
  build_id: 'b-1',
  name: 'web-server',
  owner: 'default',
  state: 'running',
  resources: { vcpu_count: 2, mem_size_mib: 2048, disk_size: 10 },
  ip_address: '192.168.100.5',
  created_at: 1677721600,
  updated_at: 1677724200,
};

test('a VM is made as the service wants to hear it, and its one id has both names', async () => {
  const { url, asked } = await serving([200, { success: true, vm_id: 'b-1', message: 'made', task_id: 't-1' }]);
  const formation = new Formation({ baseUrl: url, apiKey: 'token\n' });
  const machine = { vcpuCount: 2, memSizeMib: 2048, diskSize: 10, bootArgs: 'quiet', kernel: 'k', rootfs: 'r' };
  const created = await formation.vm.create({ name: 'web-server', owner: 'me', ...machine });
  assert.deepEqual(created, { success: true, vmId: 'b-1', buildId: 'b-1', message: 'made', taskId: 't-1' });
  const { method, headers, body } = asked[0];
  assert.deepEqual([method, headers.authorization, headers['content-type']], ['POST', 'Bearer token', 'application/json']);
  const vmConfig = { vcpu_count: 2, mem_size_mib: 2048, disk_size: 10, boot_args: 'quiet', kernel: 'k', rootfs: 'r' };
  assert.deepEqual(body, { name: 'web-server', owner: 'me', vm_config: vmConfig });
  await assert.rejects(formation.vm.create({ name: 'web-server', diskSizeGib: 10 }), TypeError);
  assert.equal(asked.length, 1);
});

test('every endpoint of the door has its method', async () => {
  const target = { build_id: 'b-1' };
  const calls = [
    [(formation) => formation.health(), '/health', undefined],
    [(formation) => formation.ping(), '/ping', { message: 'ping' }],
    [({ vm }) => vm.create({ name: 'a' }), '/vm/create', { name: 'a', vm_config: {} }],
    [({ vm }) => vm.boot('b-1'), '/vm/boot', target],
    [({ vm }) => vm.start({ buildId: 'b-1' }), '/vm/start', target],
    [({ vm }) => vm.stop('b-1'), '/vm/stop', target],
    [({ vm }) => vm.stop('b-1', { force: true, owner: 'me' }), '/vm/stop', { ...target, force: true, owner: 'me' }],
    [({ vm }) => vm.reboot('b-1'), '/vm/reboot', target],
    [({ vm }) => vm.powerButton('b-1'), '/vm/power-button', target],
    [({ vm }) => vm.delete('b-1'), '/vm/delete', target],
    [({ vm }) => vm.getInfo('b-1', { owner: 'me' }), '/vm/info', { ...target, owner: 'me' }],
    [({ vm }) => vm.list(), '/vm/list', {}],
    [({ vm }) => vm.list({ owner: 'me' }), '/vm/list', { owner: 'me' }],
    [({ vm }) => vm.task({ taskId: 't-1' }), '/vm/task', { task_id: 't-1' }],
    [({ vm }) => vm.commit('b-1', { name: 'golden', disk: 'root' }), '/vm/commit', { ...target, name: 'golden', disk: 'root' }],
    [({ vm }) => vm.addDevice('b-1'), '/vm/device/add', { ...target, device: { type: 'nic' } }],
    [({ vm }) => vm.addDevice('b-1', { deviceId: 'nic1', network: 'user' }), '/vm/device/add', { ...target, device: { type: 'nic', device_id: 'nic1', network: 'user' } }],
    [({ vm }) => vm.removeDevice('b-1', 'nic1'), '/vm/device/remove', { ...target, device_id: 'nic1' }],
    [({ vm }) => vm.snapshot('b-1', { snapshotName: 'one' }), '/vm/snapshot', { ...target, snapshot_name: 'one' }],
    [({ vm }) => vm.coredump('b-1'), '/vm/coredump', target],
    [({ vm }) => vm.restore('b-1'), '/vm/restore', target],
    [({ vm }) => vm.resizeVcpu('b-1'), '/vm/resize/vcpu', target],
    [({ vm }) => vm.resizeMemory('b-1'), '/vm/resize/memory', target],
    [({ vm }) => vm.addDisk('b-1'), '/vm/disk/add', target],
    [({ vm }) => vm.addFs('b-1'), '/vm/fs/add', target],
    [({ vm }) => vm.migrateTo('b-1'), '/vm/migrate/to', target],
    [({ vm }) => vm.migrateFrom('b-1'), '/vm/migrate/from', target],
  ];
  const { url, asked } = await serving(DONE);
  const formation = new Formation({ baseUrl: `${url}/`, apiKey: 'token' });
  for (const [call, path, body] of calls) {
    await call(formation);
    const { url, body: sent, headers } = asked.at(-1);
    assert.deepEqual([url, sent], [path, body]);
    assert.equal(headers.authorization, path === '/health' ? undefined : 'Bearer token', path);
  }
  const document = JSON.parse(readFileSync(new URL('../../../docs/doors/vmm.openapi.json', import.meta.url), 'utf8'));
  const served = new Set(calls.map(([, path]) => path));
  assert.deepEqual(Object.keys(document.paths).filter((path) => !served.has(path)), []);
});

test('what the service shows has the names of fields that are usual here', async () => {
  const { url } = await serving([200, INFO], [200, [INFO]]);
  const { vm } = new Formation({ baseUrl: url });
  const info = {
    buildId: 'b-1',
    name: 'web-server',
    owner: 'default',
    state: 'running',
    resources: { vcpuCount: 2, memSizeMib: 2048, diskSize: 10 },
    ipAddress: '192.168.100.5',
    createdAt: 1677721600,
    updatedAt: 1677724200,
  };
  assert.deepEqual(await vm.getInfo('b-1'), info);
  assert.deepEqual(await vm.list(), [info]);
});

test('a task is waited for until its end, however it ends', async () => {
  const task = (state) => [200, { success: true, task_id: 't-1', operation: 'vm.stop', state, message: 'why', created_at: 1 }];
  const { url, asked } = await serving(task('queued'), task('running'), task('done'), task('failed'), task('running'));
  const { vm } = new Formation({ baseUrl: url });
  assert.equal((await vm.waitForTask({ taskId: 't-1' })).state, 'done');
  assert.equal(asked.length, 3);
  await assert.rejects(vm.waitForTask('t-1'), (error) => {
    assert(error instanceof TaskError);
    assert.deepEqual([error.message, error.task.taskId], ['vm.stop failed: why', 't-1']);
    return true;
  });
  await assert.rejects(vm.waitForTask('t-1', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' });
});

test('what is no id is not sent', async () => {
  const { url, asked } = await serving(DONE);
  const { vm } = new Formation({ baseUrl: url });
  for (const nothing of [undefined, '', {}, { vmId: 'b-1' }, 7]) {
    await assert.rejects(vm.start(nothing), TypeError);
    await assert.rejects(vm.task(nothing), TypeError);
  }
  assert.equal(asked.length, 0);
});
