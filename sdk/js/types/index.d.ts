/**
 * VMs on an Innkeeper host, by its VMM service.
 *
 * Sizes of memory are in MiB and those of disks in GiB; times are seconds since 1970; all durations that are
 * given here are milliseconds, but where it says otherwise.
 */

import type { EventOptions, FeedEvent, NativeClient } from './native.js';

export { NativeClient } from './native.js';

/** What a service is reached by, and who calls it. */
export interface Options {
  /** A token of `inn token create`, the daemon's own, or a wallet's JWT. */
  apiKey?: string;
  /** A wallet that signs tokens, in place of an `apiKey`. */
  signer?: Signer;
  /** For whom a wallet's tokens are: the door's configured audience. Default: `innkeeper`. */
  audience?: string;
  /** How long a wallet's token lasts, in seconds, 3600 at the most. Default: 3600. */
  tokenLifetime?: number;
  /** The VMM service. Default: `FORMATION_API_URL` of the environment, else `http://127.0.0.1:3002`. */
  baseUrl?: string;
  /** The native API. Default: `FORMATION_NATIVE_URL` of the environment, else `http://127.0.0.1:7100`. */
  nativeUrl?: string;
  /** What requests are sent with. Default: the global `fetch`. */
  fetch?: typeof globalThis.fetch;
  /** The most that one attempt may take. The service itself waits up to 20 s. Default: 60 000. */
  timeout?: number;
  /** How often a request is sent again at the most. Default: 2. */
  retries?: number;
}

/**
 * A wallet: an account or a wallet client of viem, a signer of ethers, or whatever signs a text as
 * `personal_sign` does and returns 65 bytes in hexadecimal digits.
 */
export type Signer = MessageSigner | EthersSigner | ViemAccount | ViemClient;

/** A wallet of one's own. */
export interface MessageSigner {
  readonly address: string;
  signMessage(message: string): Promise<string>;
  readonly type?: undefined;
}

/** A signer of ethers. */
export interface EthersSigner {
  getAddress(): Promise<string>;
  signMessage(message: string): Promise<string>;
  readonly type?: undefined;
}

/** An account of viem. */
export interface ViemAccount {
  readonly address: string;
  readonly type: string;
  signMessage(parameters: { message: string }): Promise<string>;
}

/** A wallet client of viem that has an account. */
export interface ViemClient {
  readonly account: { readonly address: string };
  readonly type: string;
  // Its own type of an account is a larger one.
  signMessage(parameters: { account: any; message: string }): Promise<string>;
}

/** What can be said of each request. */
export interface RequestOptions {
  /** Ends the request; it then rejects with the signal's reason. What was asked for may have been done. */
  signal?: AbortSignal;
  /** In place of the client's `timeout`. */
  timeout?: number;
  /** In place of the client's `retries`. */
  retries?: number;
}

/** What can be said of a request about VMs. */
export interface OwnerOptions extends RequestOptions {
  /** Whose: a project, or a wallet's address. Default: whoever's that the caller may act for. */
  owner?: string;
}

/** How a VM is to stop. */
export interface StopOptions extends OwnerOptions {
  /** End it at once, instead of asking its guest to power off. */
  force?: boolean;
}

/** What an image is to be made of. */
export interface CommitOptions extends OwnerOptions {
  /** The image's name. Default: the VM's, and the time. */
  name?: string;
  /** The disk's name. Default: the VM's first. */
  disk?: string;
}

/** A VM: its `buildId`, or what has it. */
export type Target = string | { readonly buildId: string };

/** A task: its `taskId`, or what has it. */
export type TaskTarget = string | { readonly taskId: string };

/** A VM to make. */
export interface NewVm {
  /** Unique among its owner's. */
  name: string;
  /** Whose it is to be. Default: the caller's. */
  owner?: string;
  /** Virtual CPUs. Default: 1. */
  vcpuCount?: number;
  /** Memory, in MiB. */
  memSizeMib?: number;
  /** Its disk, in GiB. Default: as large as its image. */
  diskSize?: number;
  /** The kernel's command line. Default: the door's. */
  bootArgs?: string;
  /** The image of its kernel. Default: the door's. */
  kernel?: string;
  /** The image that its disk begins as. Default: the door's. */
  rootfs?: string;
}

/** Something was done, or goes on: `waitForTask` waits for its end. */
export interface Done {
  success: true;
  message: string;
  taskId: string;
}

/** A VM was made. */
export interface Created extends Done {
  /** Its id. */
  buildId: string;
  /** The same. */
  vmId: string;
}

/** An image was made. */
export interface Committed extends Done {
  /** Its name, which is a `rootfs` from now on. */
  image: string;
}

/** A device was plugged in. */
export interface DeviceAdded extends Done {
  deviceId: string;
}

/** A device to plug in: a network interface. */
export interface NewDevice {
  /** Default: `nic`, which is all that there is. */
  type?: 'nic';
  /** Its name in the VM. Default: the first of `nic0`, `nic1` and so on that is free. */
  deviceId?: string;
  /** The network that it is on, `user` or `none`. Default: `default`. */
  network?: string;
  /** Its hardware address. Default: one that is chosen. */
  mac?: string;
}

/** One VM. */
export interface VmInfo {
  buildId: string;
  name: string;
  owner: string;
  /** `running`, `stopped`, `paused` and so on. */
  state: string;
  resources: {
    vcpuCount: number;
    /** In MiB. */
    memSizeMib: number;
    /** Its disks together, in GiB. */
    diskSize: number;
  };
  /** Empty until it has one. */
  ipAddress: string;
  /** In seconds since 1970. */
  createdAt: number;
  /** In seconds since 1970. */
  updatedAt: number;
}

/** How far a task has come. */
export interface Task {
  /** Whether it has not failed. */
  success: boolean;
  taskId: string;
  operation: string;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'interrupted';
  /** The VM that it is done to. */
  buildId?: string;
  message: string;
  /** In seconds since 1970. */
  createdAt: number;
}

/** The answer to a ping. */
export interface Pong {
  message: string;
  /** The service's time, in seconds since 1970. */
  timestamp: number;
}

/** An endpoint that the service plans: a host that cannot do it yet answers with an {@link UnsupportedError}. */
export type Planned = (vm: Target, fields?: Record<string, unknown>, options?: OwnerOptions) => Promise<Done>;

/** The VMs of a service. */
export interface Vms {
  /** Makes a VM. */
  create(vm: NewVm, options?: RequestOptions): Promise<Created>;
  /** Boots a VM for the first time; afterwards a {@link ConflictError}. */
  boot(vm: Target, options?: OwnerOptions): Promise<Done>;
  /** Starts a VM that is stopped. */
  start(vm: Target, options?: OwnerOptions): Promise<Done>;
  /** Asks a VM's guest to power off; with `force`, ends it at once. */
  stop(vm: Target, options?: StopOptions): Promise<Done>;
  /** Reboots a VM that runs. */
  reboot(vm: Target, options?: OwnerOptions): Promise<Done>;
  /** Presses a VM's power button, and does not wait for what its guest makes of it. */
  powerButton(vm: Target, options?: OwnerOptions): Promise<Done>;
  /** Deletes a VM and what is its own. */
  delete(vm: Target, options?: OwnerOptions): Promise<Done>;
  /** Reads a VM. */
  getInfo(vm: Target, options?: OwnerOptions): Promise<VmInfo>;
  /** All VMs that the caller may see, oldest first. */
  list(options?: OwnerOptions): Promise<VmInfo[]>;
  /** Makes an image of a stopped VM's disk. */
  commit(vm: Target, options?: CommitOptions): Promise<Committed>;
  /** Plugs a network interface in, while the VM runs, too. */
  addDevice(vm: Target, device?: NewDevice, options?: OwnerOptions): Promise<DeviceAdded>;
  /** Takes a network interface out; it is gone when its guest has let go of it. */
  removeDevice(vm: Target, deviceId: string, options?: OwnerOptions): Promise<Done>;
  /** How far something has come. */
  task(task: TaskTarget, options?: RequestOptions): Promise<Task>;
  /**
   * Waits until something is done, for as long as the signal is quiet; the other options are of each look.
   * Of a task that did not end well, or that was interrupted, it rejects with a {@link TaskError}.
   */
  waitForTask(task: TaskTarget, options?: RequestOptions): Promise<Task>;
  snapshot: Planned;
  coredump: Planned;
  restore: Planned;
  resizeVcpu: Planned;
  resizeMemory: Planned;
  addDisk: Planned;
  addFs: Planned;
  migrateTo: Planned;
  migrateFrom: Planned;
}

/** A service, and who calls it. */
export class Formation {
  constructor(options?: Options);
  /** The VMs. */
  readonly vm: Vms;
  /** The native API, which has more of everything. */
  readonly native: NativeClient;
  /** `healthy`, where the service is there; needs no credential. */
  health(options?: RequestOptions): Promise<string>;
  /** Whether requests are answered, and the service's time. */
  ping(options?: RequestOptions): Promise<Pong>;
  /** What happens, from the native API: see {@link NativeClient.events}. */
  events(options?: EventOptions): AsyncGenerator<FeedEvent, void, undefined>;
}

export default Formation;

/** Anything that this package throws, but for a `TypeError` where it is called wrongly. */
export class FormationError extends Error {}

/** No answer came: the service is not there, or the connection broke. */
export class ConnectionError extends FormationError {}

/** No answer came in time. What was asked for may have been done. */
export class TimeoutError extends FormationError {}

/** A task did not end well. */
export class TaskError extends FormationError {
  constructor(task: Task);
  readonly task: Task;
}

/** What a service says of a refusal. */
export interface Refusal {
  /** The HTTP status. */
  status: number;
  /** The request's id, as it is in the service's log. */
  requestId?: string;
  /** The native API's stable code, such as `wrong-state`. */
  code?: string;
  /** The field at fault, where the native API names one. */
  field?: string;
  /** The task that failed, where the native API names one. */
  taskId?: string;
  /** How many seconds to wait before the request is sent again. */
  retryAfter?: number;
}

/** The service answered that it will not, or could not. */
export class ApiError extends FormationError implements Refusal {
  constructor(message: string, refusal: Refusal);
  readonly status: number;
  readonly requestId?: string;
  readonly code?: string;
  readonly field?: string;
  readonly taskId?: string;
  readonly retryAfter?: number;
}

/** The request is not one that can be understood (400, 413, 422). */
export class InvalidRequestError extends ApiError {}

/** The credential is missing, wrong, or no longer good (401). */
export class AuthenticationError extends ApiError {}

/** The caller may not do this (403). */
export class PermissionError extends ApiError {}

/** There is no such thing, or it is somebody else's (404). */
export class NotFoundError extends ApiError {}

/** It is not possible in the state that things are in (409, 412). */
export class ConflictError extends ApiError {}

/** The caller has asked too often; `retryAfter` says how many seconds to wait (429). */
export class RateLimitError extends ApiError {}

/** It failed on the service's side (500 and above). */
export class ServerError extends ApiError {}

/** This host cannot do it (501). */
export class UnsupportedError extends ServerError {}
