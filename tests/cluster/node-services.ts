import { join } from 'node:path';
import { pauseImage } from './images.ts';
import type { NodeMachine, NodeNetwork } from './node-machine.ts';

/** Debian packages of a Node's root, beside Kubernetes' own programs. */
export const nodePackages = [
  ...['containerd', 'runc', 'containernetworking-plugins', 'iptables', 'nftables'],
  ...['mount', 'iproute2', 'busybox-static'],
];

/** Files of /etc/cluster by name; `controlGroup` is the Node's place in the host's. */
export function nodeConfiguration(network: NodeNetwork, name: string): Readonly<Record<string, string>> {
  return {
    'containerd.toml': containerd,
    'cni/bridge.conflist': JSON.stringify(bridge(network)),
    'kubelet.yaml': JSON.stringify({
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      // version 1 of control groups still works, and not every machine has 2
      failCgroupV1: false,
      cgroupDriver: 'cgroupfs',
      cgroupRoot: `/${name}`,
      containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
      failSwapOn: false,
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: '/etc/cluster/ca.crt' },
      },
      authorization: { mode: 'Webhook' },
      tlsCertFile: '/etc/cluster/kubelet.crt',
      tlsPrivateKeyFile: '/etc/cluster/kubelet.key',
      staticPodPath: '/etc/cluster/static',
      clusterDomain: 'cluster.local',
      // Pods have no DNS: nothing here answers it
      resolvConf: '',
      // the machine's disk and images are its user's own affair
      evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
      imageGCHighThresholdPercent: 100,
      imageGCLowThresholdPercent: 99,
    }),
    'kube-proxy.yaml': JSON.stringify({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: 'nftables',
      hostnameOverride: name,
      clusterCIDR: network.pods.join(','),
      clientConnection: { kubeconfig: '/etc/cluster/proxy.kubeconfig' },
      // zero leaves the host's connection tracking as it is
      conntrack: { maxPerCore: 0, min: 0, tcpCloseWaitTimeout: '0s', tcpEstablishedTimeout: '0s' },
      nodePortAddresses: ['primary'],
    }),
  };
}

const containerd = `version = 2
oom_score = 0
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  # without CAP_SYS_RESOURCE, runc ends with "can't get final child's PID from pipe: EOF"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/cluster/registries"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cluster/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`;

/** Where containerd finds a registry (https://github.com/containerd/containerd/blob/main/docs/hosts.md). */
export function registryHosts(url: string): string {
  return `[host."${url}"]\n  capabilities = ["pull", "resolve"]\n`;
}

function bridge({ pods }: NodeNetwork) {
  const routes = pods.map((network) => ({ dst: network.includes(':') ? '::/0' : '0.0.0.0/0' }));
  const ranges = pods.map((subnet) => [{ subnet }]);
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        ...{ type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: true, hairpinMode: true },
        ipam: { type: 'host-local', dataDir: '/run/cni', ranges, routes },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

/** Starts containerd, gives it the images, then starts the kubelet and kube-proxy; none is waited for. */
export async function startNodeServices(
  machine: NodeMachine,
  name: string,
  logs: string,
  images: readonly string[],
): Promise<void> {
  await machine.start(['containerd', '--config=/etc/cluster/containerd.toml'], join(logs, 'containerd.log'));
  await containerdAnswers(machine);
  await Promise.all(images.map((image) => importImage(machine, image)));
  const kubelet = ['--config=/etc/cluster/kubelet.yaml', '--kubeconfig=/etc/cluster/kubelet.kubeconfig'];
  const identity = [`--hostname-override=${name}`, `--node-ip=${machine.network.node.join(',')}`];
  await machine.start(['kubelet', ...kubelet, ...identity], join(logs, 'kubelet.log'));
  await machine.start(['kube-proxy', '--config=/etc/cluster/kube-proxy.yaml'], join(logs, 'kube-proxy.log'));
}

/** Puts a docker-archive of the host among the Node's images. */
export async function importImage(machine: NodeMachine, archive: string): Promise<void> {
  await machine.run(['ctr', '--namespace=k8s.io', 'images', 'import', '-'], { stdin: archive });
}

async function containerdAnswers(machine: NodeMachine): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    try {
      await machine.run(['ctr', '--namespace=k8s.io', 'images', 'list']);
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await Bun.sleep(50);
    }
  }
}
