import { ask } from './ask.ts';
import type { Inhabitant } from './inhabitants.ts';
import type { SandboxWorld } from './sandbox-world.ts';

const ROLES = '/latest/meta-data/iam/security-credentials/';
const RESOURCE = 'https://vault.azure.net';
const AZURE_TOKEN = `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encodeURIComponent(RESOURCE)}`;

interface CloudVisit {
  /** What is asked. */
  readonly asks: string;
  /** The calls that it took, as the stand-in saw them. */
  readonly steps: readonly string[];
  readonly gets: string;
}

/** Asks for AWS credentials as an SDK does, by version 2 of EC2's protocol: for a session, for the role, for both. */
export async function visitAws(
  { address }: Inhabitant,
  { aws }: SandboxWorld,
  port: number,
): Promise<CloudVisit> {
  aws.journal.clear();
  const seconds = { 'X-aws-ec2-metadata-token-ttl-seconds': '300' };
  const session = await ask(address, port, '/latest/api/token', seconds, 'PUT');
  const headers = { 'X-aws-ec2-metadata-token': session.body };
  const role = (await ask(address, port, ROLES, headers)).body;
  const { status, body } = await ask(address, port, `${ROLES}${role}`, headers);
  const steps = aws.journal.calls.map(
    ({ action, roleArn, status }) => `AWS STS      ${action} of ${roleArn}: ${status}`,
  );
  const asks = `…/iam/security-credentials/${role}`;
  if (status !== 200) return { asks, steps, gets: firstLine(status, body) };
  const { Code, Message, AccessKeyId, Expiration } = JSON.parse(body);
  if (Code !== 'Success') return { asks, steps, gets: `200, ${Code}: ${Message}` };
  const arn = aws.describe(AccessKeyId)?.arn;
  return { asks, steps, gets: `200, credentials of ${arn} until ${Expiration}` };
}

/** Asks for a token of Key Vault as Azure's SDKs do on a virtual machine. */
export async function visitAzure(
  { address }: Inhabitant,
  { entra }: SandboxWorld,
  port: number,
): Promise<CloudVisit> {
  entra.journal.clear();
  const { status, body } = await ask(address, port, AZURE_TOKEN, { Metadata: 'true' });
  const steps = entra.journal.calls.map(
    ({ clientID, scope, status, code }) =>
      `Entra        token of client ${clientID} for ${scope}: ${status}${code === undefined ? '' : ` AADSTS${code}`}`,
  );
  const asks = `/metadata/identity/oauth2/token?resource=${RESOURCE}`;
  if (status !== 200) return { asks, steps, gets: firstLine(status, body) };
  const { access_token, expires_in } = JSON.parse(body);
  const client = (await entra.describe(access_token))?.clientID;
  return { asks, steps, gets: `200, a token of client ${client} for ${expires_in} s` };
}

function firstLine(status: number, body: string): string {
  return `${status} ${body.split('\n', 1)[0]}`;
}
