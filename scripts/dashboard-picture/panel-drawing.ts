import type { Panel } from '../../tests/monitoring/rendered.ts';
import { formatted, roundStep } from './units.ts';

/** A line of a graph, or the one number of a stat. */
export interface Line {
  readonly name: string;
  /** Seconds from the graph's beginning, and the value. */
  readonly points: readonly (readonly [number, number])[];
}

export interface Box {
  readonly width: number;
  readonly height: number;
}

// Grafana's "classic" palette begins so
const COLOURS = [
  '#73bf69',
  '#e8b800',
  '#5794f2',
  '#ff9830',
  '#f2495c',
  '#b877d9',
  '#33a2a8',
  '#8f3bb8',
  '#96601d',
];
const THRESHOLD_COLOURS: Readonly<Record<string, string>> = {
  green: '#3c9a4b',
  orange: '#e07b00',
  red: '#d1334a',
};
const PADDING = 12;
const TITLE_HEIGHT = 30;
const AXIS_WIDTH = 62;
const TIME_HEIGHT = 20;
const LEGEND_LINE = 17;
// of DejaVu Sans at 11 px, on average
const LETTER_WIDTH = 6.4;

/** The panel as an SVG of this size; `seconds` is how long the graph is. */
export function drawPanel(panel: Panel, lines: readonly Line[], seconds: number, box: Box): string {
  const content =
    panel.type === 'stat' ? drawNumber(panel, lines, box) : drawGraph(panel, lines, seconds, box);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${box.width}" height="${box.height}">`,
    `<text x="${PADDING}" y="21" class="title">${escaped(panel.title)}</text>`,
    content,
    '</svg>',
  ].join('\n');
}

function drawNumber({ fieldConfig }: Panel, [line]: readonly Line[], { width, height }: Box): string {
  const { unit = 'none', thresholds } = fieldConfig?.defaults ?? {};
  const [, value = Number.NaN] = line?.points.at(-1) ?? [];
  const reached = thresholds?.steps.filter((step) => step.value === null || value >= step.value).at(-1);
  const colour = THRESHOLD_COLOURS[reached?.color ?? ''] ?? 'black';
  const place = `x="${width / 2}" y="${(height + TITLE_HEIGHT) / 2 + 8}"`;
  return `<text ${place} class="number" fill="${colour}">${formatted(value, unit)}</text>`;
}

function drawGraph({ fieldConfig }: Panel, lines: readonly Line[], seconds: number, box: Box): string {
  const { unit = 'none' } = fieldConfig?.defaults ?? {};
  const legend = legendLines(lines, box.width - 2 * PADDING);
  const left = PADDING + AXIS_WIDTH;
  const bottom = box.height - PADDING - legend.length * LEGEND_LINE - TIME_HEIGHT;
  const top = TITLE_HEIGHT + 8;
  const most = Math.max(
    ...lines.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite),
    0,
  );
  const step = roundStep(most > 0 ? most : 1, unit);
  const limit =
    unit === 'percentunit'
      ? Math.min(1, Math.ceil(most / step) * step)
      : Math.max(1, Math.ceil(most / step)) * step;
  const x = (second: number) => left + (second / seconds) * (box.width - PADDING - left);
  const y = (value: number) => bottom - (value / limit) * (bottom - top);

  const parts: string[] = [];
  for (let value = 0; value <= limit * 1.0001; value += step) {
    parts.push(
      `<line x1="${left}" x2="${box.width - PADDING}" y1="${y(value)}" y2="${y(value)}" class="grid"/>`,
    );
    parts.push(`<text x="${left - 8}" y="${y(value) + 4}" class="axis end">${formatted(value, unit)}</text>`);
  }
  for (let second = 0; second < seconds; second += 60) {
    parts.push(`<text x="${x(second)}" y="${bottom + 16}" class="axis middle">${second / 60}:00</text>`);
  }
  for (const [index, { points }] of lines.entries()) {
    for (const stretch of stretches(points)) {
      const path = stretch.map(([second, value]) => `${x(second).toFixed(1)},${y(value).toFixed(1)}`);
      const ends = [stretch.at(-1), stretch[0]].map((point) => `${x(point?.[0] ?? 0).toFixed(1)},${bottom}`);
      parts.push(`<polygon points="${[...path, ...ends].join(' ')}" fill="${colour(index)}" opacity="0.1"/>`);
      parts.push(`<polyline points="${path.join(' ')}" stroke="${colour(index)}" class="line"/>`);
    }
  }
  for (const [row, entries] of legend.entries()) {
    const baseline = box.height - PADDING - (legend.length - 1 - row) * LEGEND_LINE + 2;
    for (const { index, text, at } of entries) {
      parts.push(
        `<rect x="${PADDING + at}" y="${baseline - 6}" width="12" height="3" fill="${colour(index)}"/>`,
      );
      parts.push(`<text x="${PADDING + at + 17}" y="${baseline}" class="legend">${escaped(text)}</text>`);
    }
  }
  return parts.join('\n');
}

/** Without the samples that are no number: there the line is broken. */
function stretches(points: Line['points']): Line['points'][] {
  const found: [number, number][][] = [[]];
  for (const [second, value] of points) {
    if (Number.isFinite(value)) found.at(-1)?.push([second, value]);
    else found.push([]);
  }
  return found.filter((stretch) => stretch.length > 1);
}

interface LegendEntry {
  readonly index: number;
  readonly text: string;
  readonly at: number;
}

/** The names of the lines in as many lines of text as they take. */
function legendLines(lines: readonly Line[], width: number): LegendEntry[][] {
  const longest = Math.floor((width - 20) / LETTER_WIDTH);
  const rows: LegendEntry[][] = [[]];
  let at = 0;
  for (const [index, { name }] of lines.entries()) {
    // the end of a path tells more than its beginning
    const text = name.length > longest ? `…${name.slice(1 - longest)}` : name;
    const taken = text.length * LETTER_WIDTH + 34;
    if (at > 0 && at + taken > width + 14) {
      rows.push([]);
      at = 0;
    }
    rows.at(-1)?.push({ index, text, at });
    at += taken;
  }
  return rows;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? 'black';
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
