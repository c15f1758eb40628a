import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { pod, serviceAccount } from '../sandbox/kubernetes/objects.ts';
import { type SandboxWorld, sandboxSettings, startSandboxWorld } from '../sandbox/sandbox-world.ts';
import { explainIn, injected, outcomes, stepOf, withInitNetwork } from '../testing/explain-in-sandbox.ts';
import { explanationText, STEP_TITLES } from './explanation.ts';

const READER = 'reader@sandbox-project.iam.gserviceaccount.com';
const PRINCIPAL =
  'principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/sandbox-pool' +
  '/subject/system:serviceaccount:default:';
/** Those of Google; others follow if their clouds are switched on. */
const ALL = Object.keys(STEP_TITLES).filter((step) => !/^(aws|azure)-/.test(step));

let world: SandboxWorld;
let health: Bun.Server<undefined>;
let readiness: { status: number; words: string };

beforeEach(async () => {
  world = await startSandboxWorld();
  readiness = { status: 200, words: 'ok\n' };
  health = Bun.serve({
    port: 0,
    fetch: (request) =>
      new URL(request.url).pathname === '/readyz'
        ? new Response(readiness.words, { status: readiness.status })
        : new Response(null, { status: 404 }),
  });
  for (const name of ['annotated', 'direct', 'denied']) world.kubernetes.put(injected(podOf(name)));
});

afterEach(async () => {
  await health.stop(true);
  await world[Symbol.asyncDispose]();
});

function podOf(name: string, namespace = 'default') {
  const found = world.kubernetes.get('Pod', namespace, name);
  if (found === undefined) throw new Error(`no Pod ${name}`);
  return found;
}

const explained = (name: string, changed = {}) => explainIn(world, health.port ?? 0, name, changed);

/** The steps up to `failed` are ok, it fails, and those in `reached` are looked at in spite of it. */
function failsAt(failed: string, reached: readonly string[] = []): string[] {
  return ALL.map((step, position) => {
    if (step === failed) return `${step} failed`;
    return `${step} ${position < ALL.indexOf(failed) || reached.includes(step) ? 'ok' : 'not-reached'}`;
  });
}

describe('a Pod that gets its tokens', () => {
  test('has every step ok, and what was found said', async () => {
    const explanation = await explained('default/annotated');
    expect(outcomes(explanation)).toEqual(ALL.map((step) => `${step} ok`));
    expect(explanation).toMatchObject({ pod: 'default/annotated', node: 'sandbox-node', ok: true });
    expect(stepOf(explanation, 'route').facts).toEqual({ mode: 'Redirect' });
    expect(stepOf(explanation, 'address').facts).toEqual({ knownAs: 'Pod', addresses: '127.0.0.11' });
    expect(stepOf(explanation, 'annotation').summary).toBe(READER);
    expect(stepOf(explanation, 'token-request').facts).toMatchObject({
      issuer: world.kubernetes.issuer,
      subject: 'system:serviceaccount:default:annotated',
      audience: world.provider.audience,
      pod: 'annotated',
      node: 'sandbox-node',
      expiresAt: expect.stringMatching(/^20.*Z$/),
    });
    expect(stepOf(explanation, 'id-token').summary).toBe(`of ${READER}, in one step`);
  });

  test('by environment variables is injected too', async () => {
    world.kubernetes.put(injected(pod({ name: 'plain' }), 'Environment'));
    expect(stepOf(await explained('default/plain'), 'route')).toMatchObject({
      outcome: 'ok',
      facts: { mode: 'Environment' },
    });
  });

  test('without an annotation has the federated token, and needs no ID token', async () => {
    const explanation = await explained('default/direct');
    expect(outcomes(explanation)).toEqual(
      ALL.map((step) => `${step} ${step === 'id-token' ? 'not-reached' : 'ok'}`),
    );
    expect(explanation.ok).toBe(true);
    expect(stepOf(explanation, 'access-token').facts).toEqual({ of: `${PRINCIPAL}direct` });
    expect(stepOf(explanation, 'id-token').summary).toBe('there is none without an annotation');
    expect(world.google.journal.calls.map(({ method }) => method)).toEqual(['token']);
    expect(world.google.journal.calls[0]?.scopes).toHaveLength(2);
  });

  test('on the host network is its Node', async () => {
    const explanation = await explained('kube-system/node');
    expect(explanation.ok).toBe(true);
    expect(stepOf(explanation, 'route').remedy).toContain('GCE_METADATA_ROOT to 127.0.0.1:16321');
    expect(stepOf(explanation, 'address').facts).toEqual({ knownAs: 'Node' });
    expect(stepOf(explanation, 'service-account').summary).toBe(
      'kube-system/node, the one of Node sandbox-node',
    );
    expect(stepOf(explanation, 'token-request').facts).toMatchObject({ node: 'sandbox-node' });
    expect(stepOf(explanation, 'token-request').facts).not.toHaveProperty('pod');
  });

  test('has an ID token by the account itself if its role gives access tokens only', async () => {
    world.google.serviceAccounts.workloadIdentityUserGrantsIdTokens = false;
    world.google.serviceAccounts.bind(
      READER,
      'roles/iam.serviceAccountOpenIdTokenCreator',
      `serviceAccount:${READER}`,
    );
    const step = stepOf(await explained('default/annotated'), 'id-token');
    expect(step).toMatchObject({ outcome: 'ok', summary: `of ${READER}, asked for by the account itself` });
  });
});

describe('no token is shown', () => {
  test.each(['default/annotated', 'default/direct', 'default/denied', 'kube-system/node'])(
    'of %s',
    async (name) => {
      const explanation = await explained(name);
      const told = JSON.stringify(explanation) + explanationText(explanation);
      expect(told).toContain('system:serviceaccount:');
      expect(told).not.toMatch(/ya29|eyJ|[\w-]{60,}/);
    },
  );
});

describe('the Pod', () => {
  test('that is not there ends all but the look at the server', async () => {
    const explanation = await explained('default/absent');
    expect(outcomes(explanation)).toEqual(failsAt('pod', ['server']));
    expect(explanation.ok).toBe(false);
    expect(stepOf(explanation, 'pod')).toEqual({
      step: 'pod',
      outcome: 'failed',
      code: 'pod-missing',
      summary: 'there is no Pod default/absent',
      remedy: 'See which there are: kubectl get pods --namespace default',
    });
    expect(stepOf(explanation, 'id-token').summary).toBe('needs Pod');
  });

  test('of another Node is for the server there, and no token is asked for', async () => {
    world.kubernetes.put(injected(pod({ name: 'elsewhere', nodeName: 'other-node', ips: ['10.9.0.1'] })));
    const explanation = await explained('default/elsewhere');
    expect(outcomes(explanation)).toEqual(failsAt('node', ['running', 'route', 'server']));
    expect(stepOf(explanation, 'node')).toMatchObject({
      code: 'pod-on-other-node',
      remedy: expect.stringContaining('--field-selector spec.nodeName=other-node'),
    });
    expect(world.kubernetes.journal.count(({ verb }) => verb === 'create')).toBe(0);
  });

  test('for which no Node was found is reported as such', async () => {
    const waiting = pod({ name: 'waiting', phase: 'Pending' });
    const { nodeName: _, ...spec } = waiting.spec;
    world.kubernetes.put({ ...waiting, spec });
    expect(stepOf(await explained('default/waiting'), 'node')).toMatchObject({ code: 'pod-not-scheduled' });
  });

  test.each(['Succeeded', 'Failed'] as const)('that has %s has no identity any more', async (phase) => {
    world.kubernetes.put(injected(pod({ name: 'done', phase, ips: ['10.9.0.1'] })));
    const explanation = await explained('default/done');
    expect(outcomes(explanation)).toEqual(failsAt('running', ['route', 'server']));
    expect(stepOf(explanation, 'running')).toMatchObject({ code: 'pod-finished' });
  });

  test('that has failed since init-network failed gets the cause and its remedy, once', async () => {
    const failed = injected(pod({ name: 'failed', phase: 'Failed', ips: ['10.9.0.1'] }));
    const message = 'no answer from 10.0.0.5:16321 within 5 s\nRemedy: Check the NetworkPolicies.\n';
    const terminated = { exitCode: 1, reason: 'Error', message };
    const status = {
      ...failed.status,
      initContainerStatuses: [{ name: 'init-network', state: { terminated } }],
    };
    world.kubernetes.put({ ...failed, status });
    const explanation = await explained('default/failed');
    expect(stepOf(explanation, 'running')).toMatchObject({
      code: 'pod-finished',
      summary: 'it has finished: Failed, since init-network fails: no answer from 10.0.0.5:16321 within 5 s',
    });
    expect(explanationText(explanation).split('Check the NetworkPolicies.')).toHaveLength(2);
  });
});

describe('the route', () => {
  test('that is missing leaves the other steps to be looked at', async () => {
    world.kubernetes.put(pod({ name: 'plain', serviceAccountName: 'annotated', ips: ['10.9.0.1'] }));
    const explanation = await explained('default/plain');
    expect(outcomes(explanation)).toEqual(failsAt('route', ALL));
    expect(stepOf(explanation, 'route')).toMatchObject({ code: 'route-missing' });
  });

  test('of a Pod whose init-network failed is reported in its words, which cannot steer a terminal', async () => {
    const message =
      '{"level":"info","message":"waiting"}\n' +
      JSON.stringify({ reason: 'no answer\u001b[2J from 10.0.0.1:16321', remedy: 'Look at the firewall.' });
    const failing = withInitNetwork(
      podOf('annotated'),
      { waiting: { reason: 'CrashLoopBackOff' } },
      { terminated: { exitCode: 1, message } },
    );
    world.kubernetes.put(failing);
    const explanation = await explained('default/annotated');
    expect(stepOf(explanation, 'route')).toMatchObject({
      code: 'route-not-ready',
      summary: 'init-network fails: no answer?[2J from 10.0.0.1:16321',
      remedy: expect.stringMatching(
        /^Look at the firewall\.\nkubectl logs .* annotated --container init-network$/,
      ),
    });
  });
});

describe('the server', () => {
  test('that is not ready is reported with its reasons; Google is checked all the same', async () => {
    readiness = { status: 503, words: 'the Pods of Node sandbox-node are not known yet\n' };
    const explanation = await explained('default/annotated');
    expect(outcomes(explanation)).toEqual(failsAt('server', ALL));
    expect(stepOf(explanation, 'server').summary).toEndWith(
      '/readyz answers 503: the Pods of Node sandbox-node are not known yet',
    );
  });

  test('that does not run is reported', async () => {
    await health.stop(true);
    const step = stepOf(await explained('default/annotated'), 'server');
    expect(step).toMatchObject({ outcome: 'failed', code: 'server-not-ready' });
    expect(step.summary).toContain('cannot be asked');
  });
});

describe('the address', () => {
  test('that the kubelet has not reported is missing', async () => {
    world.kubernetes.put(injected(pod({ name: 'new', serviceAccountName: 'annotated', phase: 'Pending' })));
    const explanation = await explained('default/new');
    expect(outcomes(explanation)).toEqual(failsAt('address', ALL));
    expect(stepOf(explanation, 'address')).toMatchObject({ code: 'address-missing' });
  });

  test('that a newer Pod has is the address of that one', async () => {
    const startedAt = new Date('2026-02-01T00:00:00Z');
    world.kubernetes.put(pod({ name: 'newer', ips: ['127.0.0.11'], startedAt }));
    expect(stepOf(await explained('default/annotated'), 'address')).toMatchObject({
      code: 'address-of-another',
      summary: '127.0.0.11 belongs to Pod default/newer, which was started later',
    });
  });
});

describe('the ServiceAccount', () => {
  test('that is missing is named', async () => {
    world.kubernetes.put(injected(pod({ name: 'orphan', serviceAccountName: 'gone', ips: ['10.9.0.1'] })));
    const explanation = await explained('default/orphan');
    expect(outcomes(explanation)).toEqual(failsAt('service-account'));
    expect(stepOf(explanation, 'service-account')).toMatchObject({
      code: 'service-account-missing',
      remedy: expect.stringContaining('kubectl create serviceaccount --namespace default gone'),
    });
  });

  test('with an annotation that is not an email gets no token', async () => {
    const annotations = { 'iam.gke.io/gcp-service-account': 'reader' };
    world.kubernetes.put(serviceAccount({ name: 'annotated', annotations }));
    const explanation = await explained('default/annotated');
    expect(outcomes(explanation)).toEqual(failsAt('annotation'));
    expect(stepOf(explanation, 'annotation')).toMatchObject({
      code: 'account-annotation-invalid',
      summary: expect.stringContaining('"reader"'),
    });
    expect(world.google.journal.total).toBe(0);
  });

  test('of a Node that names none says how to name one', async () => {
    const node = world.kubernetes.get('Node', undefined, 'sandbox-node');
    if (node === undefined) throw new Error('no Node');
    const { annotations: _, ...metadata } = node.metadata;
    world.kubernetes.put({ ...node, metadata });
    const step = stepOf(await explained('kube-system/node'), 'service-account');
    expect(step).toMatchObject({ outcome: 'failed', code: 'node-without-service-account' });
    const byDefault = { defaultNodeServiceAccount: { namespace: 'kube-system', name: 'node' } };
    expect((await explained('kube-system/node', byDefault)).ok).toBe(true);
  });
});

describe('refusals in their own words', () => {
  test('of IAM, with the command that grants what is missing', async () => {
    const explanation = await explained('default/denied');
    const text = explanationText(explanation);
    expect(outcomes(explanation).slice(-2)).toEqual(['access-token failed', 'id-token failed']);
    const account = 'forbidden@sandbox-project.iam.gserviceaccount.com';
    const command =
      `gcloud iam service-accounts add-iam-policy-binding ${account} ` +
      `--role=roles/iam.workloadIdentityUser --member='${PRINCIPAL}denied'`;
    expect(stepOf(explanation, 'access-token')).toMatchObject({
      code: 'iam-permission-denied',
      summary:
        "Google answered 403 when asked for the access token: Permission 'iam.serviceAccounts.getAccessToken' " +
        'denied on resource (or it may not exist).',
      remedy: expect.stringContaining(command),
    });
    expect(stepOf(explanation, 'id-token').summary).toContain('iam.serviceAccounts.getOpenIdToken');
    expect(text.split(command)).toHaveLength(2);
  });

  test('of the STS, which knows nothing of the cluster', async () => {
    world.google.addProvider({
      provider: world.provider,
      issuer: world.kubernetes.issuer,
      jwks: { keys: [] },
    });
    const explanation = await explained('default/annotated');
    expect(outcomes(explanation)).toEqual(failsAt('sts'));
    expect(stepOf(explanation, 'sts')).toMatchObject({
      code: 'sts-refused',
      summary: expect.stringContaining(
        'Google answered 400 when asked for the federated token: invalid_grant',
      ),
    });
  });

  test('of the API server, that refuses a token', async () => {
    world.kubernetes.faults['serviceaccounts/token'].failWith(403);
    const explanation = await explained('default/annotated');
    expect(outcomes(explanation)).toEqual(failsAt('token-request'));
    expect(stepOf(explanation, 'token-request')).toMatchObject({
      code: 'kubernetes-forbidden',
      remedy: expect.stringContaining('create on serviceaccounts/token (RBAC)'),
    });
  });

  test('of nobody, if the API server is gone', async () => {
    await world.kubernetes.stop();
    const explanation = await explained('default/annotated');
    expect(outcomes(explanation)).toEqual(failsAt('pod', ['server']));
    expect(stepOf(explanation, 'pod')).toMatchObject({ code: 'kubernetes-unavailable' });
  });

  test('of nobody, where Google is gone', async () => {
    await world.google.stop();
    const explanation = await explained('default/annotated');
    expect(outcomes(explanation)).toEqual(failsAt('sts'));
    expect(stepOf(explanation, 'sts')).toMatchObject({ code: 'google-unavailable' });
  });
});

describe('Azure, if it is switched on', () => {
  const CLIENT = '8a9bacbd-cedf-40f1-a213-00000000000';
  const withAzure = () => ({
    azure: {
      authorityHost: world.entra.url,
      tenantID: world.azureTenantID,
      audience: 'api://AzureADTokenExchange',
    },
  });
  const azureSteps = async (name: string) => {
    const explanation = await explained(name, withAzure());
    return [stepOf(explanation, 'azure-identity'), stepOf(explanation, 'azure-token')];
  };

  test('is two steps more, which say who the Pod is there', async () => {
    const [identity, token] = await azureSteps('default/annotated');
    expect(identity).toMatchObject({
      outcome: 'ok',
      facts: { clientID: `${CLIENT}1`, tenantID: world.azureTenantID },
    });
    expect(token).toMatchObject({ outcome: 'ok', summary: `of client ${CLIENT}1` });
  });

  test('needs no identity', async () => {
    const [identity, token] = await azureSteps('default/direct');
    expect(identity).toMatchObject({
      outcome: 'not-reached',
      summary: 'ServiceAccount default/direct has no annotation azure.workload.identity/client-id',
    });
    expect(token).toMatchObject({ outcome: 'not-reached', summary: 'not needed' });
  });

  test("refuses in Entra's words, with what to do", async () => {
    const [identity, token] = await azureSteps('default/denied');
    expect(identity?.outcome).toBe('ok');
    expect(token).toMatchObject({
      outcome: 'failed',
      code: 'entra-refused',
      summary: expect.stringMatching(/^Entra responded 401 when asked for the access token: AADSTS/),
      remedy: expect.stringContaining('federated credential'),
    });
  });
});

describe('AWS, if it is switched on', () => {
  const ROLE = 'arn:aws:iam::111122223333:role';
  const awsSteps = async (name: string) => {
    const explanation = await explained(name, { aws: sandboxSettings(world).aws });
    return [stepOf(explanation, 'aws-role'), stepOf(explanation, 'aws-credentials')];
  };

  test('is two steps more, which say which role the Pod has', async () => {
    const [role, credentials] = await awsSteps('default/annotated');
    expect(role).toMatchObject({
      outcome: 'ok',
      summary: `${ROLE}/reader`,
      facts: { role: `${ROLE}/reader` },
    });
    expect(credentials).toMatchObject({ outcome: 'ok', summary: `of ${ROLE}/reader` });
    expect(JSON.stringify(credentials)).not.toContain('ASIA');
  });

  test('a role by the Google account is reported as such', async () => {
    const annotations = {
      'iam.gke.io/gcp-service-account': READER,
      'amazonaws.com/role-arn': `${ROLE}/reader`,
    };
    world.kubernetes.put(serviceAccount({ name: 'annotated', namespace: 'default', annotations }));
    const [role, credentials] = await awsSteps('default/annotated');
    expect(role?.summary).toBe(`${ROLE}/reader, by the ID token of its Google account`);
    expect(credentials?.outcome).toBe('ok');
  });

  test('needs no role', async () => {
    const [role, credentials] = await awsSteps('default/direct');
    expect(role).toMatchObject({
      outcome: 'not-reached',
      summary: 'ServiceAccount default/direct has no annotation eks.amazonaws.com/role-arn',
    });
    expect(credentials).toMatchObject({ outcome: 'not-reached', summary: 'not needed' });
  });

  test("refuses in AWS's words, with what to do", async () => {
    const [, credentials] = await awsSteps('default/denied');
    expect(credentials).toMatchObject({
      outcome: 'failed',
      code: 'aws-sts-refused',
      summary: expect.stringContaining(
        'AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity',
      ),
      remedy: expect.stringContaining('trust policy'),
    });
  });
});
