import { randomBytes } from 'node:crypto';
import type { Certificates } from './certificates.ts';

const serviceAccountIssuer = 'https://kubernetes.default.svc.cluster.local';

/** What every Pod and Service of a cluster may get; no other cluster sees these addresses. */
const serviceNetworks = { ipv4: '10.96.0.0/16', ipv6: 'fd00:10:96::/112' };

/** The addresses of the Service `kubernetes`: the first of each network. */
export const kubernetesServiceAddresses = ['10.96.0.1', 'fd00:10:96::1'];

export interface ControlPlane {
  readonly folder: string;
  /** Where the API server listens; a loopback address without a Node. */
  readonly address: string;
  readonly apiPort: number;
  readonly etcdPort: number;
  readonly etcdPeerPort: number;
  readonly dualStack: boolean;
  readonly certificates: Certificates;
  readonly apiServerFlags: readonly string[];
}

/** Debian's etcd, which keeps nothing safe from a power cut: it is thrown away with the cluster. */
export function etcdFlags({ folder, etcdPort, etcdPeerPort }: ControlPlane): string[] {
  const client = `http://127.0.0.1:${etcdPort}`;
  const peer = `http://127.0.0.1:${etcdPeerPort}`;
  return [
    ...['--name=etcd', `--data-dir=${folder}/etcd`, '--unsafe-no-fsync', '--log-level=warn'],
    ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
    ...[
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=etcd=${peer}`,
    ],
  ];
}

export function apiServerFlags(plane: ControlPlane): string[] {
  const { certificates: files, address } = plane;
  return [
    `--etcd-servers=http://127.0.0.1:${plane.etcdPort}`,
    ...[`--bind-address=${address}`, `--advertise-address=${address}`, `--secure-port=${plane.apiPort}`],
    // a loopback address may not stand in the Endpoints of the Service `kubernetes`
    `--endpoint-reconciler-type=${address.startsWith('127.') ? 'none' : 'lease'}`,
    `--service-cluster-ip-range=${networks(plane.dualStack)}`,
    ...[`--tls-cert-file=${files.apiServer}`, `--tls-private-key-file=${files.apiServerKey}`],
    ...['--authorization-mode=Node,RBAC', '--enable-admission-plugins=NodeRestriction'],
    `--token-auth-file=${plane.folder}/tokens.csv`,
    ...[`--client-ca-file=${files.authority}`, `--kubelet-certificate-authority=${files.authority}`],
    `--kubelet-client-certificate=${files.kubeletClient}`,
    ...[`--kubelet-client-key=${files.kubeletClientKey}`, '--kubelet-preferred-address-types=InternalIP'],
    `--service-account-issuer=${serviceAccountIssuer}`,
    `--service-account-signing-key-file=${files.serviceAccountKey}`,
    `--service-account-key-file=${files.serviceAccountKey}`,
    // the API server resolves Services to their endpoints itself: there is no kube-proxy
    ...['--allow-privileged=true', '--enable-aggregator-routing=true'],
    ...plane.apiServerFlags,
  ];
}

export function controllerManagerFlags({ folder, certificates }: ControlPlane): string[] {
  return [
    ...[`--kubeconfig=${folder}/controller-manager.kubeconfig`, '--leader-elect=false', '--secure-port=0'],
    ...[
      `--service-account-private-key-file=${certificates.serviceAccountKey}`,
      '--use-service-account-credentials',
    ],
    `--root-ca-file=${certificates.authority}`,
    `--cluster-signing-cert-file=${certificates.authority}`,
    `--cluster-signing-key-file=${certificates.authorityKey}`,
  ];
}

export function schedulerFlags({ folder }: ControlPlane): string[] {
  return [`--kubeconfig=${folder}/scheduler.kubeconfig`, '--leader-elect=false', '--secure-port=0'];
}

function networks(dualStack: boolean): string {
  return dualStack ? `${serviceNetworks.ipv4},${serviceNetworks.ipv6}` : serviceNetworks.ipv4;
}

/** Who may do what in a cluster of its own; each is known by a token in the API server's token file. */
interface ClusterUser {
  readonly name: string;
  readonly groups: readonly string[];
  readonly token: string;
}

export type ClusterUsers = Readonly<
  Record<'admin' | 'controllerManager' | 'scheduler' | 'proxy' | 'kubelet', ClusterUser>
>;

export function makeClusterUsers(nodeName: string): ClusterUsers {
  const user = (name: string, ...groups: string[]) => ({
    name,
    groups,
    token: randomBytes(24).toString('hex'),
  });
  return {
    admin: user('admin', 'system:masters'),
    controllerManager: user('system:kube-controller-manager'),
    scheduler: user('system:kube-scheduler'),
    proxy: user('system:kube-proxy'),
    kubelet: user(`system:node:${nodeName}`, 'system:nodes'),
  };
}

/** kube-apiserver's --token-auth-file: token, name, uid, groups. */
export function tokenFile(users: ClusterUsers): string {
  return Object.values(users)
    .map(({ name, groups, token }) => `${token},${name},${name},"${groups.join(',')}"\n`)
    .join('');
}

/** JSON, which is YAML. */
export function kubeconfig(server: string, authority: string, user: ClusterUser): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'cluster',
        cluster: { server, 'certificate-authority-data': Buffer.from(authority).toString('base64') },
      },
    ],
    users: [{ name: user.name, user: { token: user.token } }],
    contexts: [{ name: 'cluster', context: { cluster: 'cluster', user: user.name } }],
    'current-context': 'cluster',
  });
}
