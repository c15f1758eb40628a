// Prints as JSON who a process is in each cloud, by nothing but the metadata server.
// Usage: metadata.js newest|oldest CLOUD[,CLOUD...] [FOLDER]
// A cloud is aws, azure or google. Of each: `identity`, which is a token or AWS's word for the caller, or `error`, and the
// seconds that it took. With a folder it does so again and again, a line to the file `seen` each time, until there is a file
// `end`.
import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';

const SCOPE = 'https://vault.azure.net/.default';
const [version, clouds, folder] = process.argv.slice(2);
const suffix = version === 'oldest' ? '-oldest' : '';
const asked = clouds.split(',');

/** Of each cloud what makes a client, and what it is asked. */
const identifiers = {
  async aws() {
    const { GetCallerIdentityCommand, STSClient } = await import(`@aws-sdk/client-sts${suffix}`);
    // the oldest do not know the variable
    const options = { region: 'eu-central-1', endpoint: process.env.AWS_ENDPOINT_URL_STS };
    const make = () => new STSClient(options);
    return [make, async (client) => (await client.send(new GetCallerIdentityCommand({}))).Arn];
  },
  async azure() {
    const { DefaultAzureCredential } = await import(`@azure/identity${suffix}`);
    const make = () => new DefaultAzureCredential();
    return [make, async (credential) => (await credential.getToken(SCOPE)).token];
  },
  async google() {
    const { GoogleAuth } = await import('google-auth-library');
    const make = () => new GoogleAuth({ scopes: ['https://www.googleapis.com/auth/cloud-platform'] });
    return [make, async (auth) => await auth.getAccessToken()];
  },
};
const loaded = {};
for (const cloud of asked) loaded[cloud] = await identifiers[cloud]();

async function look(cloud, clients) {
  const start = performance.now();
  const [make, identify] = loaded[cloud];
  let seen;
  try {
    clients[cloud] ??= make();
    seen = { identity: await identify(clients[cloud]) };
  } catch (error) {
    seen = { error: error.message };
  }
  return { ...seen, seconds: (performance.now() - start) / 1000 };
}

async function round(clients) {
  const line = {};
  for (const cloud of asked) line[cloud] = await look(cloud, clients);
  return JSON.stringify(line);
}

const clients = {};
if (folder === undefined) {
  process.stdout.write(await round(clients));
} else {
  while (!existsSync(join(folder, 'end'))) {
    appendFileSync(join(folder, 'seen'), `${await round(clients)}\n`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
