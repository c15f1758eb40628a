import { KEY_SET_PATH, type PublicKey, parseKeySet } from '../../server/kubernetes/cluster-keys.ts';
import { Field } from '../../server/kubernetes/field.ts';
import { type RunProgram, runInstalled, shellLine } from './command-line.ts';
import { Failure } from './failure.ts';

/** Where an issuer publishes its discovery document (OpenID Connect Discovery 1.0, section 4). */
export const DISCOVERY_PATH = '/.well-known/openid-configuration';

/** Who signs the tokens of a cluster's ServiceAccounts, as the cluster itself says. */
export interface ClusterIssuer {
  /** The `iss` of its tokens. */
  readonly issuer: string;
  /** The JWK Set as the API server gives it. */
  readonly jwks: string;
  readonly keys: readonly PublicKey[];
  /** What those keys sign with, such as RS256. */
  readonly algorithms: readonly string[];
}

/** The command that prints the JWK Set. `flags` choose the cluster. */
export function keySetCommand(flags: readonly string[]): readonly string[] {
  return ['kubectl', ...flags, 'get', '--raw', KEY_SET_PATH];
}

/** Asks the cluster that kubectl's `flags` choose. Throws a {@link Failure}. */
export async function readClusterIssuer(run: RunProgram, flags: readonly string[]): Promise<ClusterIssuer> {
  const configuration = await output(run, ['kubectl', ...flags, 'get', '--raw', DISCOVERY_PATH]);
  const jwks = await output(run, keySetCommand(flags));
  const issuer = parsed(configuration, 'OpenID configuration').at('issuer').textOr('');
  if (!issuer.startsWith('https://')) {
    throw new Failure(
      `The cluster's issuer is '${issuer}', and clouds accept https URLs only.`,
      'Give the API server one: --service-account-issuer=https://… of kube-apiserver.',
    );
  }
  const keySet = parsed(jwks, 'JWKS');
  const keys = await parseKeySet(keySet);
  const algorithms = keySet
    .at('keys')
    .items()
    .map((key) => key.at('alg').textOr('RS256'));
  return { issuer, jwks, keys, algorithms: [...new Set(algorithms)] };
}

function parsed(text: string, what: string): Field {
  try {
    return new Field(JSON.parse(text), what);
  } catch {
    throw new Failure(
      `The cluster's ${what} is no JSON.`,
      'Check that kubectl talks to a Kubernetes API server.',
    );
  }
}

async function output(run: RunProgram, command: readonly string[]): Promise<string> {
  const install = 'Install it: https://kubernetes.io/docs/tasks/tools';
  const { exitCode, stdout, stderr } = await runInstalled(run, command, install);
  if (exitCode === 0) return stdout;
  throw new Failure(
    `${shellLine(command)}\n${stderr.trim()}`,
    /forbidden/i.test(stderr)
      ? 'Bind the ClusterRole system:service-account-issuer-discovery to the user of your kubeconfig.'
      : 'Choose the cluster with --kubeconfig or --context, and see that kubectl reaches it.',
  );
}
