import { randomBytes } from 'node:crypto';

/** Who may do what in a cluster of its own; each is known by a token in the API server's token file. */
export interface ClusterUser {
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
