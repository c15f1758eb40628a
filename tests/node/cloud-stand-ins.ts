import type { JSONWebKeySet } from 'jose';
import { StandInAws } from '../../server/sandbox/stand-in-aws.ts';
import { StandInEntra } from '../../server/sandbox/stand-in-entra.ts';
import type { StandInGoogle } from '../../server/sandbox/stand-in-google.ts';
import type { ApiClient } from '../cluster/api-client.ts';
import { redirectingProxy } from '../redirecting-proxy.ts';
import { standInCertificate, variablesTrusting } from '../stand-in-certificate.ts';
import type { PodOptions } from './pods.ts';

const NAMESPACE = 'default';
const AUTHORITY = 'stand-in-authority';
const AUTHORITY_MOUNT = '/stand-ins';
const AWS_AUDIENCE = 'sts.amazonaws.com';

interface ClusterIssuer {
  readonly issuer: string;
  readonly jwks: JSONWebKeySet;
}

/** AWS and Entra on the host, for Pods of the Node: they trust the tokens of its cluster, and Google's. */
export class CloudStandIns implements AsyncDisposable {
  readonly accountID = '111122223333';
  readonly tenantID = '0f1e2d3c-4b5a-4697-8877-665544332211';
  #identities = 0;

  private constructor(
    readonly aws: StandInAws,
    readonly entra: StandInEntra,
    private readonly issuer: string,
    private readonly google: StandInGoogle,
    private readonly authority: string,
    private readonly proxyURL: string,
    private readonly disposables: AsyncDisposableStack,
  ) {}

  /** `hostname` is the host's address for Pods; `speaksHTTPS` is false for a server, which trusts public authorities only. */
  static async start(
    hostname: string,
    { issuer, jwks }: ClusterIssuer,
    google: StandInGoogle,
    speaksHTTPS = true,
  ): Promise<CloudStandIns> {
    await using stack = new AsyncDisposableStack();
    const { tls: identity, authority } = await standInCertificate([hostname, 'login.microsoftonline.com']);
    const tls = speaksHTTPS ? identity : undefined;
    const aws = stack.use(await new StandInAws({ hostname, tls }).start());
    const entra = stack.use(await new StandInEntra({ hostname, tls }).start());
    const proxy = stack.use(await redirectingProxy(hostname, entra.url));
    const clouds = new CloudStandIns(aws, entra, issuer, google, authority, proxy.url, stack.move());
    aws.issuers.publish(issuer, jwks);
    aws.issuers.publish('https://accounts.google.com', google.jwks);
    aws.iam.putOpenIDConnectProvider({
      accountID: clouds.accountID,
      url: issuer,
      clientIDs: [AWS_AUDIENCE],
    });
    entra.issuers.publish(issuer, jwks);
    entra.directory.addTenant({ id: clouds.tenantID, name: 'Node' });
    return clouds;
  }

  /** A role that the ServiceAccount of that name in the Namespace `default` may assume; returns its ARN. */
  addRole(serviceAccount: string): string {
    const name = this.issuer.replace(/^https:\/\//, '');
    return this.#addRole(serviceAccount, `arn:aws:iam::${this.accountID}:oidc-provider/${name}`, {
      [`${name}:sub`]: `system:serviceaccount:${NAMESPACE}:${serviceAccount}`,
      [`${name}:aud`]: AWS_AUDIENCE,
    });
  }

  /** A role that the Google account may assume with its ID token; returns its ARN. */
  addRoleOfGoogleAccount(email: string): string {
    const { uniqueID } = this.google.serviceAccounts.add(email);
    const [name = ''] = email.split('@');
    return this.#addRole(`google-${name}`, 'accounts.google.com', { 'accounts.google.com:sub': uniqueID });
  }

  #addRole(name: string, Federated: string, StringEquals: Readonly<Record<string, string>>): string {
    const arn = `arn:aws:iam::${this.accountID}:role/${name}`;
    this.aws.iam.putRole({
      arn,
      trustPolicy: {
        Version: '2012-10-17',
        Statement: {
          Effect: 'Allow',
          Principal: { Federated },
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: { StringEquals },
        },
      },
    });
    return arn;
  }

  /** A managed identity that the ServiceAccount of that name in the Namespace `default` is; returns its client ID. */
  addManagedIdentity(serviceAccount: string): string {
    const { tenantID, issuer } = this;
    this.#identities += 1;
    const clientID = `8a9bacbd-cedf-40f1-a213-${`${this.#identities}`.padStart(12, '0')}`;
    this.entra.directory.addIdentity({ tenantID, clientID, kind: 'managed identity' });
    const subject = `system:serviceaccount:${NAMESPACE}:${serviceAccount}`;
    this.entra.directory.addFederatedCredential(tenantID, clientID, { issuer, subject });
    return clientID;
  }

  /** Puts the ConfigMap with the authority into the Namespace `default`, which {@link reach} mounts. */
  async publishAuthority(api: ApiClient): Promise<void> {
    await api.text('POST', `/api/v1/namespaces/${NAMESPACE}/configmaps`, {
      body: { metadata: { name: AUTHORITY }, data: { 'ca.crt': this.authority } },
    });
  }

  /**
   * What a Pod needs to reach the stand-ins in place of the clouds, and nothing that a webhook gives it: clients
   * find Entra by its own name, through a proxy.
   */
  get reach(): Pick<PodOptions, 'env' | 'volumes' | 'volumeMounts'> {
    return {
      env: {
        ...variablesTrusting(`${AUTHORITY_MOUNT}/ca.crt`),
        AWS_ENDPOINT_URL_STS: this.aws.url,
        HTTPS_PROXY: this.proxyURL,
        NO_PROXY: new URL(this.aws.url).hostname,
      },
      volumes: [{ name: AUTHORITY, configMap: { name: AUTHORITY } }],
      volumeMounts: [{ name: AUTHORITY, mountPath: AUTHORITY_MOUNT, readOnly: true }],
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disposables.disposeAsync();
  }
}
