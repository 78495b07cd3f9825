/**
 * What can go wrong, a class each. `catch` sees one of these, or the reason of the caller's own signal.
 */

/** Anything that this package throws, but for a `TypeError` where it is called wrongly. */
export class FormationError extends Error {
  name = 'FormationError';
}

/** No answer came: the service is not there, or the connection broke. */
export class ConnectionError extends FormationError {
  name = 'ConnectionError';
}

/** No answer came in time. What was asked for may have been done. */
export class TimeoutError extends FormationError {
  name = 'TimeoutError';
}

/** A task did not end well. */
export class TaskError extends FormationError {
  name = 'TaskError';

  /** @param {import('../types/index.js').Task} task */
  constructor(task) {
    super(`${task.operation} ${task.state}: ${task.message}`);
    this.task = task;
  }
}

/** The service answered that it will not, or could not. */
export class ApiError extends FormationError {
  name = 'ApiError';

  /**
   * @param {string} message
   * @param {import('../types/index.js').Refusal} refusal
   */
  constructor(message, refusal) {
    super(message);
    this.status = refusal.status;
    this.requestId = refusal.requestId;
    this.code = refusal.code;
    this.field = refusal.field;
    this.taskId = refusal.taskId;
    this.retryAfter = refusal.retryAfter;
  }
}

/** The request is not one that can be understood (400, 413, 422). */
export class InvalidRequestError extends ApiError {
  name = 'InvalidRequestError';
}

/** The credential is missing, wrong, or no longer good (401). */
export class AuthenticationError extends ApiError {
  name = 'AuthenticationError';
}

/** The caller may not do this (403). */
export class PermissionError extends ApiError {
  name = 'PermissionError';
}

/** There is no such thing, or it is somebody else's (404). */
export class NotFoundError extends ApiError {
  name = 'NotFoundError';
}

/** It is not possible in the state that things are in (409, 412). */
export class ConflictError extends ApiError {
  name = 'ConflictError';
}

/** The caller has asked too often; `retryAfter` says how many seconds to wait (429). */
export class RateLimitError extends ApiError {
  name = 'RateLimitError';
}

/** It failed on the service's side (500 and above). */
export class ServerError extends ApiError {
  name = 'ServerError';
}

/** This host cannot do it (501). */
export class UnsupportedError extends ServerError {
  name = 'UnsupportedError';
}

/** @type {Record<number, typeof ApiError>} */
const BY_STATUS = {
  400: InvalidRequestError,
  401: AuthenticationError,
  403: PermissionError,
  404: NotFoundError,
  409: ConflictError,
  412: ConflictError,
  413: InvalidRequestError,
  422: InvalidRequestError,
  429: RateLimitError,
  501: UnsupportedError,
};

/**
 * The error of an answer that is a refusal.
 * @param {string} message
 * @param {import('../types/index.js').Refusal} refusal
 */
export function refused(message, refusal) {
  const other = refusal.status >= 500 ? ServerError : ApiError;
  return new (BY_STATUS[refusal.status] ?? other)(message, refusal);
}
