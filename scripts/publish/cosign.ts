import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, run } from '../run.ts';

/** Who must have signed: the owner of a key, or somebody whom a certificate of Sigstore's authority names. */
export type Signer =
  | {
      /** Its public half: the name of a file, or a URI that cosign knows (KMS, `env://NAME`). */
      readonly key: string;
    }
  | { readonly identity: string; readonly issuer: string };

/** What cosign calls the kinds of statement that a release has, and in-toto. */
export const PREDICATES = {
  sbom: { type: 'cyclonedx', uri: 'https://cyclonedx.org/bom' },
  provenance: { type: 'slsaprovenance1', uri: 'https://slsa.dev/provenance/v1' },
} as const;

export type PredicateName = keyof typeof PREDICATES;

/** What somebody signed about an artifact (https://in-toto.io/Statement). */
export interface Statement {
  readonly predicateType: string;
  readonly subject: readonly { readonly digest: Readonly<Record<string, string>> }[];
  readonly predicate: unknown;
}

const SIGNATURE = 'https://sigstore.dev/cosign/sign/v1';

/** No such signature, or not by the one who was to sign: the message is what cosign says of it. */
export class SignatureRefused extends Error {
  override readonly name = 'SignatureRefused';
}

/** cosign failed to sign, or could not. */
export class SigningFailed extends Error {
  override readonly name = 'SigningFailed';
}

/**
 * cosign 3. A password of a key comes to it by COSIGN_PASSWORD, and how far a transparency log takes part by its other
 * variables. References are by digest.
 */
export class Cosign {
  constructor(
    private readonly program: string,
    private readonly environment: Readonly<Record<string, string | undefined>>,
  ) {}

  /** Signs; with no private key by the identity of who runs this. Throws {@link SigningFailed}. */
  async sign(reference: string, privateKey: string | undefined): Promise<void> {
    await this.#signing(['sign', ...keyFlags(privateKey), reference]);
  }

  /** Signs a file, and writes Sigstore's bundle of the signature. Throws {@link SigningFailed}. */
  async signFile(file: string, bundle: string, privateKey: string | undefined): Promise<void> {
    await this.#signing(['sign-blob', ...keyFlags(privateKey), '--bundle', bundle, file]);
  }

  /** Throws {@link SignatureRefused} unless the bundle is that signer's, of this file. */
  async verifyFile(file: string, bundle: string, signer: Signer): Promise<void> {
    await this.#verification(['verify-blob', ...signerFlags(signer), '--bundle', bundle, file]);
  }

  /** Signs a statement about the artifact. Throws {@link SigningFailed}. */
  async attest(
    reference: string,
    privateKey: string | undefined,
    name: PredicateName,
    predicate: object,
  ): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'predicate-'));
    try {
      const file = join(folder, 'predicate.json');
      await Bun.write(file, JSON.stringify(predicate));
      const flags = ['--type', PREDICATES[name].type, '--predicate', file];
      await this.#signing(['attest', ...keyFlags(privateKey), ...flags, reference]);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  /** Throws {@link SignatureRefused} unless that signer signed the artifact itself. */
  async verify(reference: string, signer: Signer): Promise<void> {
    const output = await this.#verification(['verify', ...signerFlags(signer), reference]);
    // an attestation alone is enough for cosign 3, and it says nothing of the artifact being fit for use
    const found = JSON.parse(output) as readonly { readonly critical: { readonly type: string } }[];
    if (!found.some(({ critical }) => critical.type === SIGNATURE)) {
      throw new SignatureRefused('it has attestations, and no signature');
    }
  }

  /** The statements of a kind that the signer signed about the artifact. Throws {@link SignatureRefused}. */
  async statements(reference: string, signer: Signer, name: PredicateName): Promise<readonly Statement[]> {
    const { type, uri } = PREDICATES[name];
    const flags = [...signerFlags(signer), '--type', type];
    const output = await this.#verification(['verify-attestation', ...flags, reference]);
    // an envelope a line (https://github.com/secure-systems-lab/dsse)
    return output
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { readonly payload: string })
      .map(({ payload }) => JSON.parse(Buffer.from(payload, 'base64').toString()) as Statement)
      .filter(({ predicateType }) => predicateType === uri);
  }

  /** The public half of a private key, as PEM. Throws {@link SigningFailed}. */
  async publicKey(privateKey: string): Promise<string> {
    return this.#signing(['public-key', '--key', privateKey], []);
  }

  async #signing(args: readonly string[], confirmation: readonly string[] = ['--yes']): Promise<string> {
    const finished = await this.#run([...args, ...confirmation]);
    if (finished.exitCode === 0) return finished.stdout;
    throw new SigningFailed(`cosign ${args[0]}: ${reasonOf(finished)}`);
  }

  async #verification(args: readonly string[]): Promise<string> {
    const finished = await this.#run(args);
    if (finished.exitCode === 0) return finished.stdout;
    throw new SignatureRefused(reasonOf(finished));
  }

  #run(args: readonly string[]): Promise<Finished> {
    return run([this.program, ...args], { env: this.environment });
  }
}

function keyFlags(privateKey: string | undefined): readonly string[] {
  return privateKey === undefined ? [] : ['--key', privateKey];
}

function signerFlags(signer: Signer): readonly string[] {
  return 'key' in signer
    ? ['--key', signer.key]
    : ['--certificate-identity', signer.identity, '--certificate-oidc-issuer', signer.issuer];
}

/** cosign says the same twice, after warnings. */
function reasonOf({ stderr, exitCode }: Finished): string {
  const lines = stderr.trim().split('\n');
  const error = lines.find((line) => line.startsWith('Error: '));
  return (
    error?.slice('Error: '.length).replace(/: $/, '') ??
    (lines.at(-1) || `exit code ${exitCode ?? 'by a signal'}`)
  );
}
