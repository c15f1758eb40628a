import { decodeJwt } from 'jose';
import { ask, type ServerResponse } from './ask.ts';
import { visitAws, visitAzure } from './cloud-visits.ts';
import type { Inhabitant } from './inhabitants.ts';
import type { KubernetesCall } from './kubernetes/api.ts';
import type { SandboxWorld } from './sandbox-world.ts';
import type { GoogleCall } from './stand-in-google.ts';
import { webhookTour } from './webhook-tour.ts';

const ACCOUNTS = '/computeMetadata/v1/instance/service-accounts';
const TOKEN = `${ACCOUNTS}/default/token`;
const AUDIENCE = 'https://service.example';
const IDENTITY = `${ACCOUNTS}/default/identity?audience=${encodeURIComponent(AUDIENCE)}`;
const CACHED_ASKS = 20;

interface TourOptions {
  readonly world: SandboxWorld;
  readonly serverPort: number;
  /** Milliseconds, for durations. */
  readonly clock: () => number;
  /** Takes one line of the tour. */
  readonly print: (line: string) => void;
}

/** Asks as every client in the sandbox and prints what happened: claims, never tokens. */
export async function tour(options: TourOptions): Promise<void> {
  const { world, print } = options;
  print(`Project   ${world.projectID}`);
  print(`Node      ${world.nodeName}`);
  print(`Provider  ${world.provider}`);
  for (const inhabitant of world.inhabitants) {
    print('');
    print(`── ${inhabitant.name} ── ${inhabitant.story}`);
    await visit(inhabitant, options);
  }
  print('');
  print('── webhook ── what it adds to a Pod for each label or annotation that people know');
  for (const line of await webhookTour(world)) print(`   ${line}`);
}

/** The curl command that asks what the tour asked as `inhabitant`. */
export function curlLine(inhabitant: Inhabitant, serverPort: number): string {
  return `curl --interface ${inhabitant.address} -H 'Metadata-Flavor: Google' http://127.0.0.1:${serverPort}${TOKEN}`;
}

async function visit(inhabitant: Inhabitant, options: TourOptions): Promise<void> {
  const { world, serverPort, clock, print } = options;
  const { address, namespace, serviceAccountName, googleAccount, awsRole, azureClientID } = inhabitant;
  const field = (name: string, text: string) => print(`   ${name.padEnd(13)}${text}`);
  field('who', `${address} is ServiceAccount ${namespace}/${serviceAccountName}`);
  const annotations = [googleAccount, awsRole, azureClientID].filter((value) => value !== undefined);
  field('annotations', annotations.join(', ') || 'none');

  world.kubernetes.journal.clear();
  world.google.journal.clear();
  const startedAt = clock();
  const token = await ask(address, serverPort, TOKEN);
  const cold = clock() - startedAt;
  field('asks', '…/service-accounts/default/token');
  for (const [index, step] of steps(world).entries()) field(`  ${index + 1}`, step);
  field('gets', describeToken(token, world));

  if (googleAccount !== undefined && token.status === 200) {
    field('asks', `…/service-accounts/default/identity?audience=${AUDIENCE}`);
    field('gets', describeIdToken(await ask(address, serverPort, IDENTITY)));
  }
  await visitClouds(inhabitant, options, field);
  if (token.status !== 200) return;
  const cached: number[] = [];
  for (let i = 0; i < CACHED_ASKS; i++) {
    const askedAt = clock();
    await ask(address, serverPort, TOKEN);
    cached.push(clock() - askedAt);
  }
  field('took', `${milliseconds(cold)} the first time, ${milliseconds(median(cached))} cached`);
}

async function visitClouds(
  inhabitant: Inhabitant,
  { world, serverPort }: TourOptions,
  field: (name: string, text: string) => void,
): Promise<void> {
  const { awsRole, azureClientID } = inhabitant;
  for (const [identity, visitCloud] of [
    [awsRole, visitAws],
    [azureClientID, visitAzure],
  ] as const) {
    if (identity === undefined) continue;
    const { asks, steps, gets } = await visitCloud(inhabitant, world, serverPort);
    field('asks', asks);
    for (const [index, step] of steps.entries()) field(`  ${index + 1}`, step);
    field('gets', gets);
  }
}

/** The server's calls, as Kubernetes and Google saw them. */
function steps(world: SandboxWorld): string[] {
  const kubernetes = world.kubernetes.journal.calls.map((call) => ({
    at: call.at,
    text: kubernetesStep(call),
  }));
  const google = world.google.journal.calls.map((call) => ({ at: call.at, text: googleStep(call) }));
  // the sort is stable: Kubernetes, which is called first, stays first within one millisecond
  return [...kubernetes, ...google]
    .sort((a, b) => a.at - b.at)
    .flatMap(({ text }) => (text === undefined ? [] : [text]));
}

function kubernetesStep(call: KubernetesCall): string | undefined {
  const name = `${call.namespace}/${call.name}`;
  if (call.resource === 'serviceaccounts')
    return `Kubernetes   looks at ServiceAccount ${name}: ${call.status}`;
  if (call.verb !== 'create') return undefined;
  const { kind, name: bound } = call.boundObject ?? {};
  const audiences = call.audiences?.map((audience) =>
    audience.replace(/\/projects\/.*\/providers\//, '/…/providers/'),
  );
  return `Kubernetes   TokenRequest for ${name}, bound to ${kind} ${bound}, for ${audiences?.join()}: ${call.status}`;
}

function googleStep({ method, principal, account, status }: GoogleCall): string {
  const who = principal?.replace(/^principal:.*\/subject\//, '') ?? 'an unknown principal';
  if (method === 'token') return `Google STS   exchanges that for a federated token of ${who}: ${status}`;
  return `Google IAM   ${method} of ${account}: ${status}`;
}

function describeToken({ status, body }: ServerResponse, world: SandboxWorld): string {
  if (status !== 200) return `${status} ${body.split('\n', 1)[0]}`;
  const { access_token, expires_in } = JSON.parse(body);
  const token = world.google.describe(access_token);
  const who = token?.principal.member.replace(/\/\/.*\/subject\//, '//…/subject/');
  const scopes = token?.scopes.map((scope) => scope.slice(scope.lastIndexOf('/') + 1));
  return `200, an access token of ${who} for ${expires_in} s, scopes ${scopes?.join(' and ')}`;
}

function describeIdToken({ status, body }: ServerResponse): string {
  if (status !== 200) return `${status} ${body.split('\n', 1)[0]}`;
  const { iss, aud, email } = decodeJwt(body);
  return `200, an ID token by ${iss} of ${email} for ${aud}`;
}

function milliseconds(duration: number): string {
  return `${duration.toFixed(duration < 10 ? 2 : 1)} ms`;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
