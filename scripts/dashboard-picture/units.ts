type Step = readonly [size: number, suffix: string];

const SECONDS: readonly Step[] = [
  [86_400, ' d'],
  [3600, ' h'],
  [60, ' min'],
  [1, ' s'],
  [0.001, ' ms'],
];
const BYTES: readonly Step[] = [
  [1024 ** 3, ' GiB'],
  [1024 ** 2, ' MiB'],
  [1024, ' KiB'],
];

/** A value for people, in the unit that has this name with Grafana; unknown ones are plain numbers. */
export function formatted(value: number, unit: string): string {
  switch (unit) {
    case 'percentunit':
      return `${plain(value * 100)} %`;
    case 'reqps':
      return `${plain(value)} req/s`;
    case 'ops':
      return `${plain(value)} /s`;
    case 's':
      return scaled(value, SECONDS, ' s');
    case 'bytes':
      return scaled(value, BYTES, ' B');
    default:
      return plain(value);
  }
}

function scaled(value: number, steps: readonly Step[], smallest: string): string {
  const [size, suffix] = steps.find(([least]) => Math.abs(value) >= least) ?? [1, smallest];
  return `${plain(value / size)}${suffix}`;
}

function plain(value: number): string {
  return new Intl.NumberFormat('en', { maximumSignificantDigits: 3 }).format(value);
}

/** The distance of four or so round numbers from 0 to `most`. */
export function roundStep(most: number, unit: string): number {
  const base = unit === 'bytes' ? 1024 ** 2 : unit === 's' && most > 120 ? secondsBase(most) : 1;
  const rough = most / base / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10;
  return step * power * base;
}

function secondsBase(most: number): number {
  return most > 172_800 ? 86_400 : most > 7200 ? 3600 : 60;
}
