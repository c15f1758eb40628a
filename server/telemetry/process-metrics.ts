import { Counter, Gauge, type Registry } from 'prom-client';

/**
 * What every program of ours shows of itself: its build, memory, CPU time and start. prom-client's own defaults cost
 * some 10 MB resident; these are the ones that dashboards and alerts read.
 */
export function registerProcessMetrics(registry: Registry, version: string): void {
  const registers = [registry];
  const startTime = Date.now() / 1000 - process.uptime();
  new Gauge({
    name: 'gke_metadata_server_build_info',
    help: 'Always 1; the labels say what is running.',
    labelNames: ['version', 'bun_version'],
    registers,
  }).set({ version, bun_version: Bun.version }, 1);
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time spent.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'Start of the process, seconds since the Unix epoch.',
    registers,
  }).set(startTime);
}
