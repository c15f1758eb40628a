import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { applyPatch } from 'rfc6902';
import { mutatePod } from '../../server/admission/pod-mutation.ts';
import type { AdmissionRequest } from '../../server/admission/review.ts';
import { type SandboxWorld, startSandboxWorld } from '../../server/sandbox/sandbox-world.ts';
import { INJECTION_SETTINGS } from '../../server/testing/injection-settings.ts';
import { nodeClients, pythonClients } from './client-programs.ts';
import { SCOPES, TIMEOUT } from './client-suite.ts';
import { canMount, runWithFiles } from './injected-files.ts';

setDefaultTimeout(TIMEOUT);

const HERE = import.meta.dir;
const PREFIX = 'cloud.google.com';

/** Of a Pod, as far as its containers see it. */
interface InjectedPod {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly spec: {
    readonly volumes: readonly {
      readonly name: string;
      readonly projected?: {
        readonly sources: readonly {
          readonly serviceAccountToken: {
            readonly path: string;
            readonly audience: string;
            readonly expirationSeconds: number;
          };
        }[];
      };
      readonly downwardAPI?: { readonly items: readonly { readonly path: string }[] };
    }[];
    readonly containers: readonly {
      readonly env: readonly { readonly name: string; readonly value: string }[];
      readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
    }[];
  };
}

let world: SandboxWorld;
beforeAll(async () => {
  world = await startSandboxWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** What the webhook makes of a Pod of the sandbox whose ServiceAccount has these annotations. */
async function injected(name: string, annotations: Readonly<Record<string, string>>): Promise<InjectedPod> {
  const pod = {
    metadata: { name },
    spec: { serviceAccountName: name, containers: [{ name: 'app', image: 'app' }] },
  };
  const namespace = 'default';
  const request: AdmissionRequest = {
    uid: 'review',
    operation: 'CREATE',
    resource: 'pods',
    namespace,
    name,
    username: 'somebody',
    extra: new Map(),
    object: pod,
  };
  const answer = await mutatePod(request, {
    random: Math.random,
    settings: {
      ...INJECTION_SETTINGS,
      externalAccount: {
        provider: world.provider,
        audience: '',
        tokenExpirationSeconds: 3600,
        stsEndpoint: world.google.url,
        iamCredentialsEndpoint: world.google.url,
        universeDomain: 'googleapis.com',
      },
    },
    read: {
      namespace: async () => ({ name: namespace, labels: {}, annotations: {} }),
      serviceAccount: async (account) => ({ ...account, uid: 'uid', annotations }),
      configMap: async () => undefined,
    },
  });
  if (!answer.allowed) throw new Error(answer.message);
  applyPatch(pod, [...answer.patch]);
  // the patch added what the type says, or the expectations below fail
  return pod as unknown as InjectedPod;
}

/** As the kubelet mounts the volumes of the first container: files by path, empty directories, variables. */
async function seenBy(pod: InjectedPod, serviceAccountName: string) {
  const [container] = pod.spec.containers;
  if (container === undefined) throw new Error('the Pod has no container');
  const files: Record<string, string> = {};
  const directories: string[] = [];
  for (const { name, mountPath } of container.volumeMounts) {
    const { projected, downwardAPI } = pod.spec.volumes.find((volume) => volume.name === name) ?? {};
    if (projected === undefined && downwardAPI === undefined) directories.push(mountPath);
    for (const { serviceAccountToken: token } of projected?.sources ?? []) {
      const { audience, expirationSeconds } = token;
      files[join(mountPath, token.path)] = await requestToken(
        serviceAccountName,
        audience,
        expirationSeconds,
      );
    }
    for (const { path } of downwardAPI?.items ?? []) {
      files[join(mountPath, path)] = pod.metadata.annotations[`${PREFIX}/external-credentials-json`] ?? '';
    }
  }
  return { files, directories, variables: Object.fromEntries(container.env.map((e) => [e.name, e.value])) };
}

async function requestToken(name: string, audience: string, expirationSeconds: number): Promise<string> {
  const response = await fetch(
    `${world.kubernetes.url}/api/v1/namespaces/default/serviceaccounts/${name}/token`,
    { method: 'POST', body: JSON.stringify({ spec: { audiences: [audience], expirationSeconds } }) },
  );
  // a TokenRequest of the stand-in
  return ((await response.json()) as { status: { token: string } }).status.token;
}

const [python, node, mounts] = await Promise.all([pythonClients(), nodeClients(), canMount()]);
/**
 * The first knows of no external accounts; the second asks the Resource Manager API, which has no stand-in, in any case;
 * the third takes Google's own hosts alone.
 */
const CANNOT = ['google-auth 1.35', 'google-auth 2.17', 'google-auth-library 7'];
const can = ({ name }: { readonly name: string }) => !CANNOT.some((other) => name.endsWith(other));
/** As an application sets it: else clients ask that API for the project. */
const OWN_VARIABLES = { GOOGLE_CLOUD_PROJECT: 'sandbox-project' };
const clients = [
  ...python.filter(can).flatMap((client) =>
    'notRun' in client
      ? []
      : [
          {
            name: client.name,
            command: [client.command[0] ?? '', join(HERE, 'external-account/client.py')],
          },
        ],
  ),
  ...node.filter(can).map(({ name, command }) => {
    const [program = '', file = '', library = ''] = command('client.js');
    return { name, command: [program, join(HERE, 'external-account/client.js'), file, library] };
  }),
];
const hasGcloud = Bun.which('gcloud') !== null;

const kinds = [
  {
    title: 'with a Google account',
    account: 'annotated',
    annotations: () => ({ [`${PREFIX}/service-account-email`]: email() }),
    expected: () => ({ kind: 'service-account', member: `serviceAccount:${email()}` }),
  },
  {
    title: 'without one',
    account: 'direct',
    annotations: () => ({ [`${PREFIX}/injection-mode`]: 'direct' }),
    expected: () => ({
      kind: 'federated',
      member: expect.stringMatching(/^principal:.*\/subject\/system:serviceaccount:default:direct$/),
    }),
  },
] as const;

function email(): string {
  return world.inhabitants.find(({ name }) => name === 'annotated')?.googleAccount ?? '';
}

describe.skipIf(!mounts)('the credential file of an injected Pod', () => {
  describe.each(kinds)('$title', ({ account, annotations, expected }) => {
    test.each(clients)('leads $name to an access token', async ({ command }) => {
      const { files, directories, variables } = await seenBy(await injected(account, annotations()), account);
      const { exitCode, stdout, stderr } = await runWithFiles([...command, ...SCOPES], files, directories, {
        ...variables,
        ...OWN_VARIABLES,
      });
      if (exitCode !== 0) throw new Error(`${exitCode ?? 'killed'}\n${stdout}${stderr}`);
      const seen = JSON.parse(stdout);
      expect(seen.kind).toMatch(/identity_pool|IdentityPoolClient/);
      expect(world.google.describe(seen.accessToken)).toMatchObject({
        principal: expected(),
        scopes: SCOPES,
      });
    });

    test.skipIf(!hasGcloud)('leads gcloud to one, and its state to a directory of its own', async () => {
      const { files, directories, variables } = await seenBy(await injected(account, annotations()), account);
      const gcloud = async (...args: string[]) => {
        const { exitCode, stdout, stderr } = await runWithFiles(
          ['gcloud', ...args, '--quiet'],
          files,
          directories,
          variables,
        );
        if (exitCode !== 0) throw new Error(`${exitCode ?? 'killed'}\n${stdout}${stderr}`);
        return { output: stdout.trim(), stderr };
      };
      const { output, stderr } = await gcloud('auth', 'print-access-token');
      expect(world.google.describe(output)).toMatchObject({ principal: expected() });
      expect(stderr).not.toMatch(/not writable|Could not|WARNING/);
      const { output: project } = await gcloud('config', 'get', 'project');
      expect(project).toBe(account === 'annotated' ? world.projectID : '');
    });
  });
});
