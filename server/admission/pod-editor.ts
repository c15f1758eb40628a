import { printable } from '../core/printable.ts';
import { InjectionRefused } from './injection.ts';
import type { JsonPatchOperation } from './json-patch.ts';
import { ListEditor, MapEditor } from './json-patch.ts';
import type {
  Container,
  EnvironmentVariable,
  HostAlias,
  PodManifest,
  Volume,
  VolumeMount,
} from './pod-manifest.ts';

/** A container of a Pod and what is added to it. */
export class ContainerEditor {
  readonly #env: ListEditor<EnvironmentVariable>;
  readonly #volumeMounts: ListEditor<VolumeMount>;
  #variableNames: Set<string> | undefined;

  constructor(private readonly container: Container) {
    this.#env = new ListEditor(container.env);
    this.#volumeMounts = new ListEditor(container.volumeMounts);
  }

  get name(): string {
    return this.container.name;
  }

  get args(): readonly string[] {
    return this.container.args ?? [];
  }

  /** Its own requests and limits. */
  get resources(): {
    requests: Readonly<Record<string, unknown>>;
    limits: Readonly<Record<string, unknown>>;
  } {
    const { requests, limits } = this.container.resources ?? {};
    return { requests: requests ?? {}, limits: limits ?? {} };
  }

  hasVariable(name: string): boolean {
    return this.#names().has(name);
  }

  /** The value of a variable; undefined if there is none, or if it is taken from elsewhere. */
  valueOf(name: string): string | undefined {
    return this.#env.find((variable) => variable.name === name)?.value;
  }

  /** Appends a variable, so that it can refer to those before it by `$(NAME)`; one of that name is kept instead. */
  addVariable(variable: EnvironmentVariable): void {
    if (this.hasVariable(variable.name)) return;
    this.#names().add(variable.name);
    this.#env.addAfter(variable);
  }

  /** Whether it mounts the volume of that name. */
  mounts(volume: string): boolean {
    return this.#volumeMounts.find(({ name }) => name === volume) !== undefined;
  }

  /** The name of the volume that it mounts at a path; undefined if there is none. */
  volumeAt(path: string): string | undefined {
    const isThere = ({ mountPath }: VolumeMount) => withoutSlash(mountPath) === withoutSlash(path);
    return this.#volumeMounts.find(isThere)?.name;
  }

  /** Whether it mounts another volume at a path. */
  mountsOtherAt(path: string, volume: string): boolean {
    return ![undefined, volume].includes(this.volumeAt(path));
  }

  /** Mounts a volume, unless the container mounts that volume already, or another at that path. */
  addVolumeMount(mount: VolumeMount): void {
    if (this.mounts(mount.name) || this.volumeAt(mount.mountPath) !== undefined) return;
    this.#volumeMounts.addAfter(mount);
  }

  /** Mounts a volume at a path, besides other paths at which it is mounted; a mount at that path is kept instead. */
  addVolumeMountAt(mount: VolumeMount): void {
    if (this.volumeAt(mount.mountPath) === undefined) this.#volumeMounts.addAfter(mount);
  }

  *operations(path: string): Generator<JsonPatchOperation> {
    yield* this.#env.operations(`${path}/env`);
    yield* this.#volumeMounts.operations(`${path}/volumeMounts`);
  }

  /** The container with what was added, for one that is itself added. */
  edited(): Container {
    const [env, volumeMounts] = [[...this.#env], [...this.#volumeMounts]];
    return {
      ...this.container,
      ...(env.length === 0 ? {} : { env }),
      ...(volumeMounts.length === 0 ? {} : { volumeMounts }),
    };
  }

  /** Of its variables; a set, so that a long list is looked through once. */
  #names(): Set<string> {
    this.#variableNames ??= new Set(this.container.env?.map(({ name }) => name));
    return this.#variableNames;
  }
}

function withoutSlash(path: unknown): string {
  return String(path).replace(/\/$/, '');
}

/** Characters. The API server passes on 4 KiB of all warnings. */
const LONGEST_WARNING = 512;
/** More than fit into these 4 KiB: what a Pod can be warned of by each container and annotation costs no more. */
const MOST_WARNINGS = 40;

/** In each list, as the patch grows with them. Real Pods have a handful. */
const MOST_CONTAINERS = 200;

/**
 * A Pod and what injections add to it. Reading includes the additions, so that each injection builds on those before
 * it. The patch consists of the additions alone, one element at a time: its cost is theirs, and fields that this version
 * does not know survive. Adding what exists already does nothing, so applying an injection twice equals once.
 */
export class PodEditor {
  readonly labels: MapEditor;
  readonly annotations: MapEditor;
  readonly nodeSelector: MapEditor;
  #containers: readonly ContainerEditor[] | undefined;
  #initContainers: readonly ContainerEditor[] | undefined;
  readonly #addedFirst: ContainerEditor[] = [];
  readonly #addedLast: ContainerEditor[] = [];
  readonly #volumes: ListEditor<Volume>;
  readonly #hostAliases: HostAliases;
  readonly #dnsSearches: ListEditor<string>;
  readonly #warnings: string[] = [];

  /** `pod` is never written to. */
  constructor(private readonly pod: PodManifest) {
    const { metadata, spec } = pod;
    this.labels = new MapEditor(metadata.labels);
    this.annotations = new MapEditor(metadata.annotations);
    this.nodeSelector = new MapEditor(spec.nodeSelector);
    this.#volumes = new ListEditor(spec.volumes);
    this.#hostAliases = new HostAliases(spec.hostAliases);
    this.#dnsSearches = new ListEditor(spec.dnsConfig?.searches);
  }

  /** `name`, which is empty for a Pod that the API server has yet to name, and `generateName`. */
  get metadata(): { readonly name: string; readonly generateName: string } {
    const { name, generateName } = this.pod.metadata;
    return { name: name ?? '', generateName: generateName ?? '' };
  }

  /** The fields of the spec that no injection changes. */
  get spec(): Pick<PodManifest['spec'], 'hostNetwork' | 'os' | 'resources' | 'securityContext'> {
    return this.pod.spec;
  }

  /** The name of the Pod's ServiceAccount. */
  get serviceAccountName(): string {
    return this.pod.spec.serviceAccountName || 'default';
  }

  /** Without the init containers. Throws {@link InjectionRefused} if there are more than {@link MOST_CONTAINERS}. */
  get containers(): readonly ContainerEditor[] {
    this.#containers ??= editorsOf(this.pod.spec.containers);
    return this.#containers;
  }

  /** In the order in which they start. Throws {@link InjectionRefused} if there are more than {@link MOST_CONTAINERS}. */
  get initContainers(): readonly ContainerEditor[] {
    return [...this.#addedFirst, ...this.#ownInitContainers(), ...this.#addedLast];
  }

  /** Init containers and containers. */
  get allContainers(): readonly ContainerEditor[] {
    return [...this.initContainers, ...this.containers];
  }

  /**
   * Adds an init container, or a native sidecar: before the Pod's own (behind those that were added there already),
   * or after them. One of that name is kept instead.
   */
  addInitContainer(container: Container, place: 'first' | 'last'): void {
    if (this.initContainers.some(({ name }) => name === container.name)) return;
    (place === 'first' ? this.#addedFirst : this.#addedLast).push(new ContainerEditor(container));
  }

  hasVolume(name: string): boolean {
    return this.volume(name) !== undefined;
  }

  volume(name: string): Volume | undefined {
    return this.#volumes.find((volume) => volume.name === name);
  }

  /** Adds a volume before the Pod's own or after them; one of that name is kept instead. */
  addVolume(volume: Volume, place: 'first' | 'last'): void {
    if (this.hasVolume(volume.name)) return;
    if (place === 'first') this.#volumes.addBefore(volume);
    else this.#volumes.addAfter(volume);
  }

  /** Adds a volume after the Pod's own, or replaces the one of that name. */
  setVolume(volume: Volume): void {
    const there = this.volume(volume.name);
    if (there === undefined) this.#volumes.addAfter(volume);
    else this.#volumes.replace(there, volume);
  }

  /** The names of all volumes. */
  get volumeNames(): readonly string[] {
    return [...this.#volumes].map(({ name }) => name);
  }

  /** The addresses that the Pod's hostAliases give a name. */
  addressesOf(hostname: string): readonly string[] {
    return this.#hostAliases.addressesOf(hostname);
  }

  addHostname(address: string, hostname: string): void {
    this.#hostAliases.add(address, hostname);
  }

  /** Adds a domain in which names are looked up, after the Pod's own. */
  addDnsSearch(domain: string): void {
    if (this.#dnsSearches.find((search) => search === domain) === undefined)
      this.#dnsSearches.addAfter(domain);
  }

  /** Adds a warning, which `kubectl` prints: of one line, cut if a name in it is longer than names are. */
  warn(warning: string): void {
    if (this.#warnings.length < MOST_WARNINGS) this.#warnings.push(printable(warning, LONGEST_WARNING));
  }

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** The JSON Patch that makes the additions; empty if there are none. */
  patch(): JsonPatchOperation[] {
    return [...this.#operations()];
  }

  *#operations(): Generator<JsonPatchOperation> {
    yield* this.labels.operations('/metadata/labels');
    yield* this.annotations.operations('/metadata/annotations');
    yield* this.nodeSelector.operations('/spec/nodeSelector');
    yield* this.#volumes.operations('/spec/volumes');
    // edit containers before added ones change their indexes
    for (const [index, container] of (this.#containers ?? []).entries()) {
      yield* container.operations(`/spec/containers/${index}`);
    }
    for (const [index, container] of (this.#initContainers ?? []).entries()) {
      yield* container.operations(`/spec/initContainers/${index}`);
    }
    const initContainers = new ListEditor(this.pod.spec.initContainers);
    for (const container of this.#addedFirst) initContainers.addBefore(container.edited());
    for (const container of this.#addedLast) initContainers.addAfter(container.edited());
    yield* initContainers.operations('/spec/initContainers');
    yield* this.#hostAliases.operations('/spec/hostAliases');
    yield* this.#dnsConfigOperations('/spec/dnsConfig');
  }

  *#dnsConfigOperations(path: string): Generator<JsonPatchOperation> {
    const { dnsConfig } = this.pod.spec;
    const hasConfig = dnsConfig !== undefined && dnsConfig !== null;
    const searches = [...this.#dnsSearches];
    if (hasConfig) yield* this.#dnsSearches.operations(`${path}/searches`);
    else if (searches.length > 0) yield { op: 'add', path, value: { searches } };
  }

  #ownInitContainers(): readonly ContainerEditor[] {
    this.#initContainers ??= editorsOf(this.pod.spec.initContainers ?? []);
    return this.#initContainers;
  }
}

/** Whether a Pod runs on Windows, as it says itself. */
export function isWindows({ spec, nodeSelector }: PodEditor): boolean {
  return (
    spec.os?.name === 'windows' ||
    nodeSelector.get('kubernetes.io/os') === 'windows' ||
    nodeSelector.get('beta.kubernetes.io/os') === 'windows'
  );
}

function editorsOf(containers: readonly Container[]): readonly ContainerEditor[] {
  if (containers.length > MOST_CONTAINERS) {
    throw new InjectionRefused(
      `the Pod has ${containers.length} containers, and at most ${MOST_CONTAINERS} can be injected: split it up`,
    );
  }
  return containers.map((container) => new ContainerEditor(container));
}

/** hostAliases with one element for each address: another hostname is added to it. */
class HostAliases {
  readonly #aliases: ListEditor<HostAlias>;
  readonly #hostnames = new Map<HostAlias, ListEditor<string>>();

  constructor(original: readonly HostAlias[] | null | undefined) {
    this.#aliases = new ListEditor(original);
  }

  addressesOf(hostname: string): string[] {
    return [...this.#aliases].filter((alias) => this.#has(alias, hostname)).map(({ ip }) => ip);
  }

  add(ip: string, hostname: string): void {
    const alias = this.#aliases.find((candidate) => candidate.ip === ip);
    if (alias === undefined) {
      this.#aliases.addAfter({ ip, hostnames: [hostname] });
    } else if (!this.#has(alias, hostname)) {
      const hostnames = this.#hostnames.get(alias) ?? new ListEditor(alias.hostnames);
      hostnames.addAfter(hostname);
      this.#hostnames.set(alias, hostnames);
    }
  }

  *operations(path: string): Generator<JsonPatchOperation> {
    yield* this.#aliases.operations(path);
    // indexes are final: nothing is added before the original elements
    for (const [index, alias] of [...this.#aliases].entries()) {
      const hostnames = this.#hostnames.get(alias);
      if (hostnames !== undefined) yield* hostnames.operations(`${path}/${index}/hostnames`);
    }
  }

  #has(alias: HostAlias, hostname: string): boolean {
    const hostnames = this.#hostnames.get(alias) ?? alias.hostnames ?? [];
    return [...hostnames].includes(hostname);
  }
}
