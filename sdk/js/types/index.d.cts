/** What `require` gives: the class itself, with everything else as its properties. */

import type * as sdk from './index.js' with { 'resolution-mode': 'import' };

type Formation = sdk.Formation;
declare const Formation: typeof sdk.Formation & typeof sdk;

declare namespace Formation {
  type ApiError = sdk.ApiError;
  type AuthenticationError = sdk.AuthenticationError;
  type CommitOptions = sdk.CommitOptions;
  type Committed = sdk.Committed;
  type ConflictError = sdk.ConflictError;
  type ConnectionError = sdk.ConnectionError;
  type Created = sdk.Created;
  type DeviceAdded = sdk.DeviceAdded;
  type Done = sdk.Done;
  type FormationError = sdk.FormationError;
  type InvalidRequestError = sdk.InvalidRequestError;
  type NativeClient = sdk.NativeClient;
  type NewDevice = sdk.NewDevice;
  type NewVm = sdk.NewVm;
  type NotFoundError = sdk.NotFoundError;
  type Options = sdk.Options;
  type OwnerOptions = sdk.OwnerOptions;
  type PermissionError = sdk.PermissionError;
  type Pong = sdk.Pong;
  type RateLimitError = sdk.RateLimitError;
  type Refusal = sdk.Refusal;
  type RequestOptions = sdk.RequestOptions;
  type ServerError = sdk.ServerError;
  type Signer = sdk.Signer;
  type StopOptions = sdk.StopOptions;
  type Target = sdk.Target;
  type Task = sdk.Task;
  type TaskError = sdk.TaskError;
  type TaskTarget = sdk.TaskTarget;
  type TimeoutError = sdk.TimeoutError;
  type UnsupportedError = sdk.UnsupportedError;
  type VmInfo = sdk.VmInfo;
  type Vms = sdk.Vms;
}

export = Formation;
