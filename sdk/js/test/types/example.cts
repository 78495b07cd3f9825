// The same from a program that requires.

import Formation = require('formation-sdk');
import native = require('formation-sdk/native');

const formation = new Formation({ apiKey: 'token' });
const { NotFoundError } = Formation;

export async function address(vm: Formation.Target): Promise<string> {
  try {
    const info: Formation.VmInfo = await formation.vm.getInfo(vm);
    return info.ipAddress;
  } catch (error) {
    if (error instanceof NotFoundError) return error.message;
    throw error;
  }
}

export const client = new native.NativeClient({ baseUrl: 'http://127.0.0.1:7100' });
