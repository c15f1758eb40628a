// The process of the stand-ins: a cluster of one Node full of Pods, and the Google that trusts it. It receives commands
// and reports what it has seen over the channel to the process that started it.
import { writeFileSync } from 'node:fs';
import { WorkloadIdentityProvider } from '../../server/google/workload-identity-provider.ts';
import { node, pod, serviceAccount } from '../../server/sandbox/kubernetes/objects.ts';
import { StandInAws } from '../../server/sandbox/stand-in-aws.ts';
import { StandInEntra } from '../../server/sandbox/stand-in-entra.ts';
import { StandInGoogle } from '../../server/sandbox/stand-in-google.ts';
import { StandInKubernetes } from '../../server/sandbox/stand-in-kubernetes.ts';
import {
  AWS_ROLE,
  AZURE_CLIENT_ID,
  AZURE_TENANT_ID,
  NODE_NAME,
  POD_ADDRESSES,
  PROJECT_ID,
  PROVIDER_NAME,
} from './cluster.ts';
import type { FromStandIns, ToStandIns } from './stand-ins-process.ts';

const [kubeconfigFile = ''] = process.argv.slice(2);
const provider = WorkloadIdentityProvider.parse(PROVIDER_NAME);
const kubernetes = await new StandInKubernetes().start();
const google = await new StandInGoogle().start();
const aws = await new StandInAws().start();
const entra = await new StandInEntra().start();
google.addProvider({ provider, issuer: kubernetes.issuer, jwks: kubernetes.jwks });
kubernetes.put(node({ name: NODE_NAME, labels: { 'topology.kubernetes.io/zone': 'europe-west1-b' } }));
for (const [index, address] of POD_ADDRESSES.entries()) {
  const name = `workload-${index}`;
  const account = `${name}@${PROJECT_ID}.iam.gserviceaccount.com`;
  const annotations = {
    'iam.gke.io/gcp-service-account': account,
    // the first one is measured in all three clouds
    ...(index === 0 && {
      'eks.amazonaws.com/role-arn': AWS_ROLE,
      'azure.workload.identity/client-id': AZURE_CLIENT_ID,
    }),
  };
  kubernetes.put(serviceAccount({ name, annotations }));
  kubernetes.put(pod({ name, serviceAccountName: name, nodeName: NODE_NAME, ips: [address] }));
  google.serviceAccounts.add(account);
  google.serviceAccounts.bind(
    account,
    'roles/iam.workloadIdentityUser',
    `principal://iam.googleapis.com/projects/${provider.projectNumber}/locations/global` +
      `/workloadIdentityPools/${provider.pool}/subject/system:serviceaccount:default:${name}`,
  );
}
trustFirstPod();
// JSON is YAML
writeFileSync(
  kubeconfigFile,
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'stand-in', cluster: { server: kubernetes.url } }],
    users: [{ name: 'stand-in', user: {} }],
    contexts: [{ name: 'stand-in', context: { cluster: 'stand-in', user: 'stand-in' } }],
    'current-context': 'stand-in',
  }),
);

/** AWS and Entra know the ServiceAccount of the first Pod. */
function trustFirstPod(): void {
  const { issuer, jwks } = kubernetes;
  const subject = 'system:serviceaccount:default:workload-0';
  const name = issuer.replace(/^https:\/\//, '');
  const [, , , , accountID = ''] = AWS_ROLE.split(':');
  aws.issuers.publish(issuer, jwks);
  aws.iam.putOpenIDConnectProvider({ accountID, url: issuer, clientIDs: ['sts.amazonaws.com'] });
  const trust = {
    Effect: 'Allow' as const,
    Principal: { Federated: `arn:aws:iam::${accountID}:oidc-provider/${name}` },
    Action: 'sts:AssumeRoleWithWebIdentity',
    Condition: { StringEquals: { [`${name}:sub`]: subject } },
  };
  aws.iam.putRole({ arn: AWS_ROLE, trustPolicy: { Version: '2012-10-17', Statement: [trust] } });
  entra.issuers.publish(issuer, jwks);
  entra.directory.addTenant({ id: AZURE_TENANT_ID, name: 'Bench', domains: ['bench.example'] });
  entra.directory.addIdentity({
    tenantID: AZURE_TENANT_ID,
    clientID: AZURE_CLIENT_ID,
    kind: 'managed identity',
  });
  entra.directory.addFederatedCredential(AZURE_TENANT_ID, AZURE_CLIENT_ID, { issuer, subject });
}

function tell(message: FromStandIns): void {
  process.send?.(message);
}

process.on('message', (message: ToStandIns) => {
  if (message.do === 'delay-google') {
    google.faults.iam.delayMilliseconds = message.milliseconds;
    google.faults.sts.delayMilliseconds = message.milliseconds;
  }
  if (message.do === 'forget-calls') {
    kubernetes.journal.clear();
    google.journal.clear();
  }
  tell({
    kind: 'calls',
    google: google.journal.total,
    kubernetes: kubernetes.journal.calls.map(({ verb, resource }) => `${verb} ${resource}`),
  });
});
process.on('disconnect', () => process.exit());
tell({ kind: 'started', google: google.url, aws: aws.url, entra: entra.url });
