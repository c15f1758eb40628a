import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { end, isRunning, type ProcessIdentity } from './daemon.ts';
import { type MachineRecord, removeMachine } from './node-machine.ts';

/** The record in a cluster's folder of what was started, for stopping it. */
export interface ClusterRecord {
  readonly mode: 'api' | 'node';
  readonly kubeconfig: string;
  /** In the order they were started. */
  readonly processes: Readonly<Record<string, ProcessIdentity>>;
  readonly machine?: MachineRecord;
}

const recordFile = (folder: string) => join(folder, 'cluster.json');

/** Undefined if no cluster lives in the folder. */
export async function readRecord(folder: string): Promise<ClusterRecord | undefined> {
  const text = await readFile(recordFile(folder), 'utf8').catch(() => undefined);
  // written by writeRecord alone
  return text === undefined ? undefined : (JSON.parse(text) as ClusterRecord);
}

export async function writeRecord(folder: string, record: ClusterRecord): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await Bun.write(`${recordFile(folder)}.partial`, JSON.stringify(record, undefined, 2));
  await rename(`${recordFile(folder)}.partial`, recordFile(folder));
}

/** Whether each process of the cluster still runs. */
export function processStates(record: ClusterRecord): Readonly<Record<string, boolean>> {
  const processes = { ...record.processes, ...(record.machine && { node: record.machine.parent }) };
  return Object.fromEntries(Object.entries(processes).map(([name, identity]) => [name, isRunning(identity)]));
}

/** Stops what the cluster in the folder started, and nothing else, then removes the folder. False if there is none. */
export async function stopCluster(folder: string): Promise<boolean> {
  const record = await readRecord(folder);
  if (!record) return false;
  if (record.machine) await removeMachine(record.machine);
  // nothing here is worth a goodbye: etcd's data goes with the folder
  for (const identity of Object.values(record.processes).reverse()) await end(identity, 0);
  // the record last: without it, what is left would be nobody's
  for (const name of await readdir(folder)) {
    if (join(folder, name) !== recordFile(folder)) await rm(join(folder, name), { recursive: true });
  }
  await rm(folder, { recursive: true, force: true });
  return true;
}
