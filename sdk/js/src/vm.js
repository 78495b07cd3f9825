/**
 * The VMs of the VMM service: all that its door does, by the names of its endpoints.
 */

import { sleep } from './abort.js';
import { TaskError } from './errors.js';
import { fromService, toService } from './names.js';

/**
 * @typedef {import('../types/index.js').Target} Target
 * @typedef {import('../types/index.js').RequestOptions} RequestOptions
 */

/** The fields of a machine that is to be made; all others are of the request around it. */
const MACHINE = ['vcpuCount', 'memSizeMib', 'diskSize', 'bootArgs', 'kernel', 'rootfs'];

/** Between two looks at a task: the first time and the longest, in milliseconds. */
const FIRST_LOOK = 200;
const LONGEST_LOOK = 2_000;

export class Vms {
  #transport;

  /** @param {import('./transport.js').Transport} transport */
  constructor(transport) {
    this.#transport = transport;
  }

  /**
   * @param {import('../types/index.js').NewVm} vm
   * @param {RequestOptions} [options]
   * @returns {Promise<import('../types/index.js').Created>}
   */
  async create(vm, options) {
    const { name, owner, ...machine } = vm;
    const unknown = Object.keys(machine).find((field) => !MACHINE.includes(field));
    if (unknown !== undefined) {
      throw new TypeError(`a VM has no ${unknown}; it has ${['name', 'owner', ...MACHINE].join(', ')}`);
    }
    const created = await this.#ask('create', { name, owner, vmConfig: machine }, options);
    // One id under the two names that the service has for it.
    return { ...created, buildId: created.vmId };
  }

  /**
   * @param {Target} vm
   * @param {import('../types/index.js').OwnerOptions} [options]
   * @returns {Promise<import('../types/index.js').Done>}
   */
  boot(vm, options) {
    return this.#act('boot', vm, {}, options);
  }

  /**
   * @param {Target} vm
   * @param {import('../types/index.js').OwnerOptions} [options]
   * @returns {Promise<import('../types/index.js').Done>}
   */
  start(vm, options) {
    return this.#act('start', vm, {}, options);
  }

  /**
   * @param {Target} vm
   * @param {import('../types/index.js').StopOptions} [options]
   * @returns {Promise<import('../types/index.js').Done>}
   */
  stop(vm, options) {
    return this.#act('stop', vm, { force: options?.force }, options);
  }

  /**
   * @param {Target} vm
   * @param {import('../types/index.js').OwnerOptions} [options]
   * @returns {Promise<import('../types/index.js').Done>}
   */
  reboot(vm, options) {
    return this.#act('reboot', vm, {}, options);
  }

  /**
   * @param {Target} vm
   * @param {import('../types/index.js').OwnerOptions} [options]
   * @returns {Promise<import('../types/index.js').Done>}
   */
  powerButton(vm, options) {
    return this.#act('power-button', vm, {}, options);
  }

  /**
   * @param {Target} vm
   * @param {import('../types/index.js').OwnerOptions} [options]
   * @returns {Promise<import('../types/index.js').Done>}
   */
  delete(vm, options) {
    return this.#act('delete', vm, {}, options);
  }

  /**
   * @param {Target} vm
   * @param {import('../types/index.js').OwnerOptions} [options]
   * @returns {Promise<import('../types/index.js').VmInfo>}
   */
  getInfo(vm, options) {
    return this.#act('info', vm, {}, options, true);
  }

  /**
   * @param {import('../types/index.js').OwnerOptions} [options]
   * @returns {Promise<import('../types/index.js').VmInfo[]>}
   */
  list(options) {
    return this.#ask('list', { owner: options?.owner }, options, true);
  }

  /**
   * @param {Target} vm
   * @param {import('../types/index.js').CommitOptions} [options]
   * @returns {Promise<import('../types/index.js').Committed>}
   */
  commit(vm, options) {
    return this.#act('commit', vm, { name: options?.name, disk: options?.disk }, options);
  }

  /**
   * @param {Target} vm
   * @param {import('../types/index.js').NewDevice} [device]
   * @param {import('../types/index.js').OwnerOptions} [options]
   * @returns {Promise<import('../types/index.js').DeviceAdded>}
   */
  addDevice(vm, device, options) {
    return this.#act('device/add', vm, { device: { type: 'nic', ...device } }, options);
  }

  /**
   * @param {Target} vm
   * @param {string} deviceId
   * @param {import('../types/index.js').OwnerOptions} [options]
   * @returns {Promise<import('../types/index.js').Done>}
   */
  removeDevice(vm, deviceId, options) {
    return this.#act('device/remove', vm, { deviceId }, options);
  }

  /**
   * @param {import('../types/index.js').TaskTarget} task
   * @param {RequestOptions} [options]
   * @returns {Promise<import('../types/index.js').Task>}
   */
  async task(task, options) {
    return this.#ask('task', { taskId: idOf(task, 'taskId') }, options, true);
  }

  /**
   * @param {import('../types/index.js').TaskTarget} task
   * @param {RequestOptions} [options]
   * @returns {Promise<import('../types/index.js').Task>}
   */
  async waitForTask(task, options) {
    for (let pause = FIRST_LOOK; ; pause = Math.min(LONGEST_LOOK, pause * 1.5)) {
      const seen = await this.task(task, options);
      if (seen.state === 'done') return seen;
      if (seen.state !== 'queued' && seen.state !== 'running') throw new TaskError(seen);
      // The service has no endpoint that waits.
      await sleep(pause, options?.signal);
    }
  }

  /** @type {import('../types/index.js').Planned} */
  snapshot(vm, fields, options) {
    return this.#act('snapshot', vm, fields, options);
  }

  /** @type {import('../types/index.js').Planned} */
  coredump(vm, fields, options) {
    return this.#act('coredump', vm, fields, options);
  }

  /** @type {import('../types/index.js').Planned} */
  restore(vm, fields, options) {
    return this.#act('restore', vm, fields, options);
  }

  /** @type {import('../types/index.js').Planned} */
  resizeVcpu(vm, fields, options) {
    return this.#act('resize/vcpu', vm, fields, options);
  }

  /** @type {import('../types/index.js').Planned} */
  resizeMemory(vm, fields, options) {
    return this.#act('resize/memory', vm, fields, options);
  }

  /** @type {import('../types/index.js').Planned} */
  addDisk(vm, fields, options) {
    return this.#act('disk/add', vm, fields, options);
  }

  /** @type {import('../types/index.js').Planned} */
  addFs(vm, fields, options) {
    return this.#act('fs/add', vm, fields, options);
  }

  /** @type {import('../types/index.js').Planned} */
  migrateTo(vm, fields, options) {
    return this.#act('migrate/to', vm, fields, options);
  }

  /** @type {import('../types/index.js').Planned} */
  migrateFrom(vm, fields, options) {
    return this.#act('migrate/from', vm, fields, options);
  }

  /**
   * Asks for something about one VM.
   * @param {string} endpoint
   * @param {Target} vm
   * @param {Record<string, unknown>} [fields]
   * @param {import('../types/index.js').OwnerOptions} [options]
   * @param {boolean} [repeatable]
   */
  async #act(endpoint, vm, fields, options, repeatable) {
    const target = { buildId: idOf(vm, 'buildId'), owner: options?.owner };
    return this.#ask(endpoint, { ...fields, ...target }, options, repeatable);
  }

  /**
   * @param {string} endpoint
   * @param {Record<string, unknown>} fields
   * @param {RequestOptions} [options]
   * @param {boolean} [repeatable]
   */
  async #ask(endpoint, fields, options, repeatable = false) {
    const request = {
      method: 'POST',
      path: `/vm/${endpoint}`,
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(toService(fields)),
      repeatable,
    };
    return fromService(await this.#transport.json(request, options));
  }
}

/**
 * The id that is meant: itself, or what an answer of the service has it in.
 * @param {any} target
 * @param {'buildId' | 'taskId'} field
 * @returns {string}
 */
function idOf(target, field) {
  const id = typeof target === 'string' ? target : target?.[field];
  if (typeof id !== 'string' || id === '') throw new TypeError(`a ${field} is missing`);
  return id;
}
