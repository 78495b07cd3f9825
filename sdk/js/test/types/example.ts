// What a program in TypeScript may write, and what it may not.

import Formation, { ConflictError, NotFoundError, RateLimitError, type Created, type Options } from 'formation-sdk';
import { NativeClient, type Schemas } from 'formation-sdk/native';

// As viem 2.57 and ethers 6.15 declare them.
type Hex = `0x${string}`;
declare const account: {
  address: Hex;
  type: 'local';
  signMessage: (parameters: { message: string | { raw: Hex | Uint8Array } }) => Promise<Hex>;
};
declare const client: {
  account: typeof account;
  type: string;
  signMessage: (parameters: { account?: typeof account | Hex; message: string | { raw: Hex | Uint8Array } }) => Promise<Hex>;
};
declare const ethers: { getAddress(): Promise<string>; signMessage(message: string | Uint8Array): Promise<string> };

const options: Options[] = [
  { apiKey: 'token', timeout: 5_000, retries: 0 },
  { signer: account, audience: 'innkeeper' },
  { signer: client },
  { signer: ethers },
  { signer: { address: account.address, signMessage: async (message: string) => message } },
];

export async function example(signal: AbortSignal): Promise<string[]> {
  const formation = new Formation(options[0]);
  const vm: Created = await formation.vm.create({ name: 'web-server', vcpuCount: 2 }, { signal });
  await formation.vm.start(vm.buildId);
  await formation.vm.stop(vm, { force: true, owner: 'me' });
  await formation.vm.waitForTask(await formation.vm.commit(vm, { name: 'golden' }), { signal });
  const { resources, ipAddress } = await formation.vm.getInfo(vm);
  // @ts-expect-error the service's own names are not the ones here
  await formation.vm.create({ name: 'web-server', vcpu_count: 2 });
  // @ts-expect-error a name is needed
  await formation.vm.create({});
  // @ts-expect-error there is no such device
  await formation.vm.addDevice(vm, { type: 'disk' });
  return [ipAddress, String(resources.memSizeMib + 1)];
}

export function explained(error: unknown): string {
  if (error instanceof RateLimitError) return `again in ${(error.retryAfter ?? 1).toFixed()} s`;
  if (error instanceof ConflictError || error instanceof NotFoundError) return `${error.status} ${error.requestId}`;
  throw error;
}

export async function native(signal: AbortSignal): Promise<void> {
  const client = new NativeClient({ baseUrl: 'http://127.0.0.1:7100', apiKey: 'token' });
  const vm: Schemas['Vm'] = await client.getVm({ path: { vm: 'web' } }, { signal });
  const { task } = (await client.startVm({ path: { vm: vm.id }, header: { Prefer: 'wait=30' } })) as Schemas['Outcome'];
  const names: string[] = (await client.listVms()).items.map(({ name }) => name);
  const log: Response = await client.getVmLog({ path: { vm: names[0] ?? '' } });
  const nothing: void = await client.thawVm({ path: { vm: 'web' } });
  await client.changeVm({ path: { vm: 'web' }, body: { memory: '1GiB' } });
  for await (const { task: seen } of client.followTask({ path: { id: task.id } })) console.log(seen.state, log.ok, nothing);
  for await (const event of client.events({ kinds: ['vm'], signal })) {
    if (event.type === 'gap') console.log(event.vms?.length);
    else if (event.type === 'change') console.log(event.kind, event.action, event.name);
    else console.log(event.position);
  }
  // @ts-expect-error it has to be said which
  await client.getVm();
  // @ts-expect-error there is no such operation
  client.openVmConsole({ path: { vm: 'web' } });
  // @ts-expect-error there is no such kind
  client.events({ kinds: ['disk'] });
}
