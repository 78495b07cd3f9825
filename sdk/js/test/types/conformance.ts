// What is declared is what there is: the sources against the declarations that are written beside them.

import * as native from 'formation-sdk/native';
import * as declared from 'formation-sdk';
import * as made from '../../src/index.js';

declare const formation: made.Formation;

export const asFormation: declared.Formation = formation;
export const asVms: declared.Vms = formation.vm;
export const asClass: new (options?: declared.Options) => declared.Formation = made.Formation;
export const asEvents: Pick<native.NativeClient, 'events'> = new made.NativeClient({ baseUrl: '' });

type Errors = Omit<typeof declared, 'Formation' | 'NativeClient' | 'default'>;
export const asErrors: Errors = made;
// And nothing is there that is not declared.
export const names: Record<keyof typeof made, unknown> = declared;
