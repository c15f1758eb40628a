interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';

export interface PodObject {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: ObjectMeta;
  readonly spec: {
    readonly serviceAccountName: string;
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly restartPolicy: string;
    readonly containers: readonly { readonly name: string; readonly image: string }[];
  };
  readonly status: {
    readonly phase: PodPhase;
    readonly hostIP?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly startTime?: string;
  };
}

export interface ServiceAccountObject {
  readonly apiVersion: 'v1';
  readonly kind: 'ServiceAccount';
  readonly metadata: ObjectMeta;
}

interface NodeObject {
  readonly apiVersion: 'v1';
  readonly kind: 'Node';
  readonly metadata: ObjectMeta;
  readonly spec: { readonly podCIDR?: string };
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
}

/** The kinds the stand-in keeps. */
export interface ObjectOfKind {
  readonly Pod: PodObject;
  readonly ServiceAccount: ServiceAccountObject;
  readonly Node: NodeObject;
}

export type Kind = keyof ObjectOfKind;
export type KubernetesObject = ObjectOfKind[Kind];

interface CommonOptions {
  readonly name: string;
  /** A new one by default: another object of the same name is another object. */
  readonly uid?: string;
  readonly createdAt?: Date;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface PodOptions extends CommonOptions {
  readonly namespace?: string;
  readonly nodeName?: string;
  readonly serviceAccountName?: string;
  readonly hostNetwork?: boolean;
  /** `status.podIPs`; none by default, as before the kubelet has reported them. */
  readonly ips?: readonly string[];
  readonly phase?: PodPhase;
  readonly startedAt?: Date;
}

/** A Pod as the API server shows it: on `sandbox-node`, running, with the namespace's default ServiceAccount. */
export function pod(options: PodOptions): PodObject {
  const { ips = [], createdAt = CREATED } = options;
  const [podIP] = ips;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadata(options, options.namespace ?? 'default'),
    spec: {
      serviceAccountName: options.serviceAccountName ?? 'default',
      nodeName: options.nodeName ?? 'sandbox-node',
      ...(options.hostNetwork === true && { hostNetwork: true }),
      restartPolicy: 'Always',
      containers: [{ name: 'main', image: 'example.org/main:1' }],
    },
    status: {
      phase: options.phase ?? 'Running',
      ...(podIP !== undefined && { podIP, podIPs: ips.map((ip) => ({ ip })) }),
      startTime: timestamp(options.startedAt ?? createdAt),
    },
  };
}

/** A ServiceAccount in `default`, without annotations. */
export function serviceAccount(
  options: CommonOptions & { readonly namespace?: string },
): ServiceAccountObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata(options, options.namespace ?? 'default'),
  };
}

/** A Node with its InternalIPs and its host name. */
export function node(options: CommonOptions & { readonly ips?: readonly string[] }): NodeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: metadata(options, undefined),
    spec: {},
    status: {
      addresses: [
        ...(options.ips ?? []).map((address) => ({ type: 'InternalIP', address })),
        { type: 'Hostname', address: options.name },
      ],
    },
  };
}

const CREATED = new Date('2026-01-01T00:00:00Z');

/** RFC 3339 in whole seconds, as `metav1.Time` is written. */
export function timestamp(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

function metadata(options: CommonOptions, namespace: string | undefined): ObjectMeta {
  return {
    name: options.name,
    ...(namespace !== undefined && { namespace }),
    uid: options.uid ?? crypto.randomUUID(),
    creationTimestamp: timestamp(options.createdAt ?? CREATED),
    ...(options.labels && { labels: options.labels }),
    ...(options.annotations && { annotations: options.annotations }),
  };
}
