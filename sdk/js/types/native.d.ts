/**
 * The native API: a method for each operation of its OpenAPI document, by the operation's id, and its feed.
 */

import type { components, operations } from '../src/generated/schema.js';
import type { Options, RequestOptions } from './index.js';

/** The documents of the native API, by their names: `Schemas['Vm']`. */
export type Schemas = components['schemas'];

/** What the native API is reached by, and who calls it. */
export interface NativeOptions extends Omit<Options, 'baseUrl' | 'nativeUrl'> {
  /** Where it is: `http://127.0.0.1:7100`. */
  baseUrl: string;
}

/** Where the changes go on from. */
export interface Ready {
  type: 'ready';
  position: string;
  /** The view's revision at this position. */
  revision: number;
}

/** One change. */
export type ChangeEvent = { type: 'change' } & Schemas['Change'];

/**
 * Changes were missed, since the reader was away for too long or too slow, or the service began anew: everything
 * that was asked for, as it is now, in place of them. What is not in it is gone.
 */
export interface Gap {
  type: 'gap';
  position: string;
  revision: number;
  vms?: Schemas['Vm'][];
  tasks?: Schemas['Task'][];
  images?: Schemas['Image'][];
  networks?: Schemas['ShownNetwork'][];
  host?: Schemas['Host'];
}

/** What the feed tells: first that it is ready, then changes and gaps. */
export type FeedEvent = Ready | ChangeEvent | Gap;

/** What of the feed is told. */
export interface EventOptions extends RequestOptions {
  /** Go on after this position. Default: from now. */
  since?: string;
  /** Only changes of these kinds. Default: of all. */
  kinds?: Schemas['ResourceKind'][];
  /** Only changes of this VM and its tasks: its id or name. */
  vm?: string;
  /** How often in a row the stream may break before anything comes. Default: 10, which takes about a minute. */
  retries?: number;
}

/** The operations whose answer is no answer but another protocol. */
type Upgrades = { [Id in keyof operations]: operations[Id]['responses'] extends { 101: unknown } ? Id : never }[keyof operations];

/** What an operation's body is written as. */
type Written<Content> = Content extends { 'application/json': infer Body }
  ? Body
  : Content extends { 'application/merge-patch+json': infer Body }
    ? Body
    : NonNullable<RequestInit['body']>;

type Body<Operation> = Operation extends { requestBody: { content: infer Content } }
  ? { body: Written<Content> }
  : Operation extends { requestBody?: { content: infer Content } }
    ? { body?: Written<Content> }
    : { body?: undefined };

/** Its parameters, but for the headers whose answers this client has no use for. */
type Parameters<Given> = {
  [Place in keyof Given]: Place extends 'header' ? Omit<NonNullable<Given[Place]>, 'If-None-Match' | 'Last-Event-ID'> : Given[Place];
};

/** What an operation is given: its `path`, `query` and `header` parameters, and its `body`. */
export type Given<Id extends keyof operations> = Omit<Parameters<operations[Id]['parameters']>, 'cookie'> & Body<operations[Id]>;

type Documents<Responses> = {
  [Status in keyof Responses & (200 | 201 | 202)]: Responses[Status] extends { content: { 'application/json': infer Document } }
    ? Document
    : never;
}[keyof Responses & (200 | 201 | 202)];

/** What an operation answers: a document, a stream of them, nothing, or what is to be read from a `Response`. */
export type Answer<Id extends keyof operations> = operations[Id]['responses'] extends {
  200: { content: { 'text/event-stream': infer Event } };
}
  ? AsyncGenerator<Event, void, undefined>
  : Promise<
      operations[Id]['responses'] extends { 204: unknown }
        ? void
        : [Documents<operations[Id]['responses']>] extends [never]
          ? Response
          : Documents<operations[Id]['responses']>
    >;

type Operations = {
  [Id in Exclude<keyof operations, Upgrades>]: {} extends Given<Id>
    ? (given?: Given<Id>, options?: RequestOptions) => Answer<Id>
    : (given: Given<Id>, options?: RequestOptions) => Answer<Id>;
};

/** The native API. An operation that makes something is sent with a key by which it is done once. */
export interface NativeClient extends Operations {
  /**
   * What happens, from now on or from a position on, for as long as it is read and the signal is quiet. A stream
   * that breaks goes on where it broke; where that is too long ago, a {@link Gap} says so.
   */
  events(options?: EventOptions): AsyncGenerator<FeedEvent, void, undefined>;
}

export const NativeClient: { new (options: NativeOptions): NativeClient };
