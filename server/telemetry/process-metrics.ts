import { Counter, Gauge, type Registry } from 'prom-client';

/**
 * Build, memory, CPU time and start of this process. The default metrics of prom-client cost some 10 MB of resident
 * memory; these are the ones that dashboards and alerts use.
 */
export function registerProcessMetrics(registry: Registry, version: string): void {
  const registers = [registry];
  const startTime = Date.now() / 1000 - process.uptime();
  new Gauge({
    name: 'gke_metadata_server_build_info',
    help: 'Always 1, labeled by the version of the program and of Bun.',
    labelNames: ['version', 'bun_version'],
    registers,
  }).set({ version, bun_version: Bun.version }, 1);
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory in bytes.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time in seconds.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'Start time of the process in seconds since the Unix epoch.',
    registers,
  }).set(startTime);
}
