import { POD_ADDRESSES } from './cluster.ts';
import { askedOfServer, CASES, type ServerOptions, startServer } from './contenders.ts';
import { send } from './load.ts';
import { peakResidentMemory, type ResidentMemory, residentMemory } from './machine.ts';
import type { StandInsProcess } from './stand-ins-process.ts';
import { median } from './statistics.ts';

const [TOKEN] = CASES;
const SETTLE_MILLISECONDS = 30_000;

interface MemoryFigures {
  readonly requests: number;
  /** Ready, nobody has asked yet. */
  readonly started: ResidentMemory;
  /** Each Pod has its token. */
  readonly before: ResidentMemory;
  /** With the last response. */
  readonly after: ResidentMemory;
  /** Half a minute later. */
  readonly settled: ResidentMemory;
  /** As `after` and `settled`, once more as many requests later. */
  readonly afterTwice: ResidentMemory;
  readonly settledTwice: ResidentMemory;
  /** The most it ever had, MiB. */
  readonly peak: number;
}

interface NewScopeFigures {
  /** Medians in milliseconds. */
  readonly answer: number;
  readonly googleCall: number;
  /** Of the differences. */
  readonly ours: number;
  /** Calls to Google for one new scope. */
  readonly googleCalls: number;
}

interface RestFigures {
  readonly seconds: number;
  /** Requests to the API server, `verb resource` each. */
  readonly requests: readonly string[];
}

export interface AloneFigures {
  readonly memory: MemoryFigures;
  readonly newScope: NewScopeFigures;
  readonly rest: RestFigures;
}

/** Memory, a new scope and rest, in that order, of one server that starts for them. */
export async function measureAlone(
  options: ServerOptions & { readonly standIns: StandInsProcess },
  wanted: { readonly memoryRequests: number; readonly restSeconds: number },
  progress: (text: string) => void,
): Promise<AloneFigures> {
  await using server = await startServer(options);
  const memory = await measureMemory(server.pid, wanted.memoryRequests, progress);
  progress('a new scope with Google at 100 ms');
  const newScope = await measureNewScope(options.standIns, options.clouds.google);
  progress(`${wanted.restSeconds} s at rest`);
  const rest = await measureRest(options.standIns, wanted.restSeconds);
  return { memory, newScope, rest };
}

async function measureMemory(
  pid: number,
  requests: number,
  progress: (text: string) => void,
): Promise<MemoryFigures> {
  const started = residentMemory(pid);
  progress(`memory: the first token of ${POD_ADDRESSES.length} Pods`);
  await fromEachPod(1);
  const before = residentMemory(pid);
  const each = Math.ceil(requests / POD_ADDRESSES.length);
  progress(`memory: ${requests} requests from ${POD_ADDRESSES.length} Pods, twice`);
  await fromEachPod(each);
  const after = residentMemory(pid);
  await Bun.sleep(SETTLE_MILLISECONDS);
  const settled = residentMemory(pid);
  await fromEachPod(each);
  const afterTwice = residentMemory(pid);
  await Bun.sleep(SETTLE_MILLISECONDS);
  const settledTwice = residentMemory(pid);
  const peak = peakResidentMemory(pid);
  return { requests, started, before, after, settled, afterTwice, settledTwice, peak };
}

async function fromEachPod(requests: number): Promise<void> {
  for (const address of POD_ADDRESSES) await send(askedOfServer(TOKEN.path, address), requests);
}

const GOOGLE_DELAY_MILLISECONDS = 100;
const SCOPES = 20;

/**
 * The time of a response with a scope that is not cached, less that of one call to the same slow Google at the
 * same moment. The federated token is cached by then, as it is for any Pod that has asked before.
 */
async function measureNewScope(standIns: StandInsProcess, google: string): Promise<NewScopeFigures> {
  await standIns.tell({ do: 'delay-google', milliseconds: GOOGLE_DELAY_MILLISECONDS });
  const answers: number[] = [];
  const calls: number[] = [];
  let googleCalls = 0;
  for (let index = 0; index < SCOPES; index++) {
    await standIns.tell({ do: 'forget-calls' });
    const { url, headers } = askedOfServer(`${TOKEN.path}?scopes=https://www.googleapis.com/auth/s${index}`);
    answers.push(await milliseconds(url, { headers }, 200));
    googleCalls = Math.max(googleCalls, (await standIns.tell({ do: 'tell-calls' })).google);
    // it refuses the call without a token, after the same delay
    const generate = `${google}/v1/projects/-/serviceAccounts/nobody@example.iam.gserviceaccount.com`;
    calls.push(await milliseconds(`${generate}:generateAccessToken`, { method: 'POST', body: '{}' }, 401));
  }
  await standIns.tell({ do: 'delay-google', milliseconds: 0 });
  const differences = answers.map((answer, index) => answer - (calls[index] ?? Number.NaN));
  return { answer: median(answers), googleCall: median(calls), ours: median(differences), googleCalls };
}

async function milliseconds(url: string, init: RequestInit, expected: number): Promise<number> {
  const start = performance.now();
  const response = await fetch(url, init);
  await response.arrayBuffer();
  if (response.status !== expected) throw new Error(`${url} answered ${response.status}`);
  return performance.now() - start;
}

async function measureRest(standIns: StandInsProcess, seconds: number): Promise<RestFigures> {
  await standIns.tell({ do: 'forget-calls' });
  await Bun.sleep(seconds * 1000);
  const { kubernetes } = await standIns.tell({ do: 'tell-calls' });
  return { seconds, requests: kubernetes };
}
