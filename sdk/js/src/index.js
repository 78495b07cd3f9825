export { Formation, Formation as default } from './formation.js';
export { NativeClient } from './native.js';
export {
  ApiError,
  AuthenticationError,
  ConflictError,
  ConnectionError,
  FormationError,
  InvalidRequestError,
  NotFoundError,
  PermissionError,
  RateLimitError,
  ServerError,
  TaskError,
  TimeoutError,
  UnsupportedError,
} from './errors.js';
