import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../scripts/free-ports.ts';
import type { Cache } from '../../scripts/tools/cache.ts';
import { debianRoot } from '../cluster/images.ts';
import { waitUntil } from '../wait-until.ts';

/** The programs of Debian's package, run from the folder it is unpacked in. */
export interface MonitoringTools {
  readonly prometheus: string;
  readonly promtool: string;
}

/** Unpacks Debian's Prometheus into the cache unless it is there, which takes some seconds. */
export async function prepareMonitoringTools(cache: Cache): Promise<MonitoringTools> {
  const root = await debianRoot('prometheus', ['prometheus'], cache);
  return { prometheus: join(root, 'usr/bin/prometheus'), promtool: join(root, 'usr/bin/promtool') };
}

interface PrometheusOptions {
  /** Seconds between two scrapes, and two evaluations. */
  readonly interval: number;
  /** Each an entry of `scrape_configs`. */
  readonly scrapeConfigs: readonly object[];
  /** Each an entry of a rule file's `groups`. */
  readonly ruleGroups?: readonly object[];
}

/** One series of a response to an instant query. */
interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Seconds since the epoch, and the value. */
  readonly samples: readonly (readonly [number, number])[];
}

interface Alert {
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface RuleState {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  /** RFC 3339. */
  readonly lastEvaluation: string;
  readonly alerts: readonly Alert[];
}

interface Target {
  readonly labels: Readonly<Record<string, string>>;
  readonly scrapeUrl: string;
  readonly health: 'up' | 'down' | 'unknown';
}

/** A Prometheus of its own, on a port that the system picks. */
export class Prometheus implements AsyncDisposable {
  private constructor(
    readonly url: string,
    private readonly child: Bun.Subprocess,
    private readonly folder: string,
  ) {}

  /** Resolves when it is ready. Throws with its log if it does not. */
  static async start(
    tools: Pick<MonitoringTools, 'prometheus'>,
    { interval, scrapeConfigs, ruleGroups = [] }: PrometheusOptions,
  ): Promise<Prometheus> {
    const folder = await mkdtemp(join(tmpdir(), 'gkems-prometheus-'));
    const every = `${interval * 1000}ms`;
    await Bun.write(join(folder, 'rules.json'), JSON.stringify({ groups: ruleGroups })); // JSON is YAML
    const config = {
      global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: every },
      rule_files: ['rules.json'],
      scrape_configs: scrapeConfigs,
    };
    await Bun.write(join(folder, 'prometheus.yml'), JSON.stringify(config));
    const [port] = await freePorts(1);
    const command = [
      tools.prometheus,
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ];
    const log = join(folder, 'log');
    const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'ignore', stderr: Bun.file(log) });
    const prometheus = new Prometheus(`http://127.0.0.1:${port}`, child, folder);
    try {
      await waitUntil('Prometheus is ready', async () => {
        if (child.exitCode !== null) return true;
        return (await fetch(`${prometheus.url}/-/ready`)).ok;
      });
      if (child.exitCode !== null) throw new Error(`Prometheus ended: ${await Bun.file(log).text()}`);
    } catch (error) {
      await prometheus[Symbol.asyncDispose]();
      throw error;
    }
    return prometheus;
  }

  /** The present value of each series. */
  async query(query: string): Promise<readonly Series[]> {
    const { result } = (await this.#get('query', { query })) as { result: VectorElement[] };
    return result.map(({ metric, value }) => ({
      labels: metric,
      samples: value === undefined ? [] : [sample(value)],
    }));
  }

  /** What is scraped, and whether it answers. */
  async targets(): Promise<readonly Target[]> {
    const { activeTargets } = (await this.#get('targets', { state: 'active' })) as {
      activeTargets: Target[];
    };
    return activeTargets;
  }

  /** The alerting rules, with the alerts of each. */
  async rules(): Promise<readonly RuleState[]> {
    const { groups } = (await this.#get('rules', { type: 'alert' })) as { groups: { rules: RuleState[] }[] };
    return groups.flatMap(({ rules }) => rules);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.child.exited;
    await rm(this.folder, { recursive: true, force: true });
  }

  /** https://prometheus.io/docs/prometheus/latest/querying/api/ says the shape of each `data`, by path. */
  async #get(path: string, parameters: Readonly<Record<string, string>>): Promise<unknown> {
    const response = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { status, data, error } = (await response.json()) as Record<string, unknown>;
    if (status !== 'success') throw new Error(`${path} ${JSON.stringify(parameters)}: ${error}`);
    return data;
  }
}

type WireSample = readonly [number, string];

interface VectorElement {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: WireSample;
}

function sample([at, value]: WireSample): readonly [number, number] {
  return [at, value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value)];
}
