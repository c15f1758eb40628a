// What other clouds' libraries make of where they run: prints it as JSON.
// Usage: client.js azure|aws|detector|aws-caller|azure-workload|azure-workload-anywhere
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import { DefaultAzureCredential, WorkloadIdentityCredential } from '@azure/identity';
import { gcpDetector } from '@opentelemetry/resource-detector-gcp';

const SCOPE = 'https://vault.azure.net/.default';

async function workloadToken(options) {
  const { token } = await new WorkloadIdentityCredential(options).getToken(SCOPE);
  return { token };
}

const clients = {
  async azure() {
    await new DefaultAzureCredential().getToken(SCOPE);
    return {};
  },
  async aws() {
    return { credentials: await fromNodeProviderChain()() };
  },
  async detector() {
    const { attributes } = gcpDetector.detect();
    const values = Object.entries(attributes).map(async ([name, value]) => [name, await value]);
    return Object.fromEntries(await Promise.all(values));
  },
  async 'aws-caller'() {
    const { Arn } = await new STSClient().send(new GetCallerIdentityCommand());
    return { arn: Arn };
  },
  'azure-workload': () => workloadToken(),
  'azure-workload-anywhere': () => workloadToken({ disableInstanceDiscovery: true }),
};

const seen = await clients[process.argv[2]]().catch((error) => ({ error: error.message }));
process.stdout.write(JSON.stringify(seen));
