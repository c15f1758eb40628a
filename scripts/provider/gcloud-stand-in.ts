import type { Finished } from '../run.ts';

/** As for the real one: the address of the IAM API, and whose token is sent. */
interface GcloudEnvironment {
  readonly CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM?: string | undefined;
  readonly CLOUDSDK_AUTH_ACCESS_TOKEN_FILE?: string | undefined;
}

const PROJECT = ['--project', '--location', '--quiet'];
const PROVIDER = [...PROJECT, '--workload-identity-pool'];
const SETTINGS = ['--display-name', '--description', '--disabled', '--no-disabled'];
const OIDC = [...SETTINGS, '--attribute-mapping', '--issuer-uri', '--allowed-audiences', '--jwk-json-path'];

/** The commands and the flags of each, from the reference of gcloud 528: the part that may be used here. */
const COMMANDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['workload-identity-pools describe', [...PROJECT, '--format']],
  ['workload-identity-pools create', [...PROJECT, ...SETTINGS]],
  ['workload-identity-pools undelete', PROJECT],
  ['workload-identity-pools providers describe', [...PROVIDER, '--format']],
  ['workload-identity-pools providers create-oidc', [...PROVIDER, ...OIDC]],
  ['workload-identity-pools providers update-oidc', [...PROVIDER, ...OIDC]],
  ['workload-identity-pools providers undelete', PROVIDER],
]);

const NOT_LOGGED_IN =
  'You do not currently have an active account selected.\nPlease run:\n\n  $ gcloud auth login\n';

/** What `gcloud ARGS` does, for the commands above: it refuses the rest as the real one does. */
export async function gcloud(args: readonly string[], environment: GcloudEnvironment): Promise<Finished> {
  const position = args.findIndex((argument) => argument.startsWith('--'));
  const [iam, ...words] = args.slice(0, position);
  const id = words.pop() ?? '';
  const name = words.join(' ');
  const failed = (exitCode: number, message: string) => ({
    exitCode,
    stdout: '',
    stderr: `ERROR: (gcloud.iam.${name.replaceAll(' ', '.')}) ${message}\n`,
  });
  const known = COMMANDS.get(name);
  if (iam !== 'iam' || known === undefined) return failed(2, `Invalid choice: '${name}'.`);
  const flags = new Map(args.slice(position).map(flag));
  const unknown = [...flags.keys()].find((key) => !known.includes(key));
  if (unknown !== undefined) return failed(2, `unrecognized arguments: ${unknown}`);
  if (environment.CLOUDSDK_AUTH_ACCESS_TOKEN_FILE === undefined) return failed(1, NOT_LOGGED_IN);
  const { url, method, body } = await requestOf(words, id, flags);
  const base = environment.CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM ?? '';
  const response = await fetch(new URL(url, base), { method, ...(body && { body: JSON.stringify(body) }) });
  // an object, by the API's description
  const answer = (await response.json()) as {
    error?: { status: string; message: string; details: object[] };
  };
  if (answer.error === undefined) return { exitCode: 0, stdout: JSON.stringify(answer), stderr: '' };
  const { status, message, details } = answer.error;
  return failed(1, [`${status}: ${message}`, ...details.map((detail) => JSON.stringify(detail))].join('\n'));
}

function flag(argument: string): [string, string] {
  const [key = '', ...value] = argument.split('=');
  return [key, value.join('=')];
}

async function requestOf(words: readonly string[], id: string, flags: ReadonlyMap<string, string>) {
  const isProvider = words[1] === 'providers';
  const verb = words.at(-1);
  const pools = `v1/projects/${flags.get('--project')}/locations/${flags.get('--location')}/workloadIdentityPools`;
  const collection = isProvider ? `${pools}/${flags.get('--workload-identity-pool')}/providers` : pools;
  switch (verb) {
    case 'describe':
      return { method: 'GET', url: `${collection}/${id}`, body: undefined };
    case 'undelete':
      return { method: 'POST', url: `${collection}/${id}:undelete`, body: {} };
    case 'create':
      return { method: 'POST', url: `${collection}?workloadIdentityPoolId=${id}`, body: {} };
    case 'create-oidc':
      return {
        method: 'POST',
        url: `${collection}?workloadIdentityPoolProviderId=${id}`,
        body: (await fieldsOf(flags)).body,
      };
    default: {
      const { mask, body } = await fieldsOf(flags);
      return { method: 'PATCH', url: `${collection}/${id}?updateMask=${mask.join(',')}`, body };
    }
  }
}

/** The fields of a provider that flags set, and their names in an update mask. */
async function fieldsOf(flags: ReadonlyMap<string, string>) {
  const oidc: Record<string, unknown> = {};
  const mask: string[] = [];
  const set = async (name: string, field: string, read: (value: string) => unknown) => {
    const value = flags.get(name);
    if (value === undefined) return;
    mask.push(`oidc.${field}`);
    oidc[field] = await read(value);
  };
  await set('--issuer-uri', 'issuerUri', String);
  await set('--jwk-json-path', 'jwksJson', (path) => Bun.file(path).text());
  await set('--allowed-audiences', 'allowedAudiences', (value) => value.split(','));
  const mapping = flags.get('--attribute-mapping');
  if (mapping !== undefined) mask.push('attributeMapping');
  return { mask, body: { ...(mapping !== undefined && { attributeMapping: dictionary(mapping) }), oidc } };
}

/** `gcloud topic escaping`: by commas, or by what stands between two carets. */
function dictionary(text: string): Record<string, string> {
  const [, delimiter = ',', rest = text] = /^\^(.+?)\^(.*)$/.exec(text) ?? [];
  return Object.fromEntries(rest.split(delimiter).map(flag));
}

if (import.meta.main) {
  const { CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM, CLOUDSDK_AUTH_ACCESS_TOKEN_FILE } = process.env;
  const environment = { CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM, CLOUDSDK_AUTH_ACCESS_TOKEN_FILE };
  const { exitCode, stdout, stderr } = await gcloud(process.argv.slice(2), environment);
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = exitCode ?? 1;
}
