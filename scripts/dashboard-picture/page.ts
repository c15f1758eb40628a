import type { Panel } from '../../tests/monitoring/rendered.ts';
import { type Box, drawPanel, escaped, type Line } from './panel-drawing.ts';

export interface DrawnPanel {
  readonly panel: Panel;
  readonly lines: readonly Line[];
}

const COLUMN = 54;
const ROW = 28;
const GAP = 8;

const STYLE = `
  body { margin: 0; background: #f0f1f3; font-family: 'DejaVu Sans', sans-serif; }
  .panel { position: absolute; background: white; border: 1px solid #dfe1e5; border-radius: 3px; box-sizing: border-box; overflow: hidden; }
  .row { position: absolute; font-size: 15px; font-weight: bold; color: #24292e; padding: 6px 4px; box-sizing: border-box; }
  .title { font-size: 12.5px; font-weight: bold; fill: #24292e; }
  .number { font-size: 27px; text-anchor: middle; font-weight: bold; }
  .axis, .legend { font-size: 11px; fill: #5a6068; }
  .end { text-anchor: end; } .middle { text-anchor: middle; }
  .grid { stroke: #eceef0; }
  .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
`;

/** A page with the panels in the places that they have in Grafana, and how large it is, in pixels. */
export function drawPage(panels: readonly DrawnPanel[], seconds: number): Box & { readonly html: string } {
  const places = panels.map(({ panel, lines }) => {
    const { x, y, w, h } = panel.gridPos;
    const box = { width: w * COLUMN - GAP, height: h * ROW - GAP };
    const place = `left: ${x * COLUMN + GAP}px; top: ${y * ROW + GAP}px; width: ${box.width}px; height: ${box.height}px`;
    return panel.type === 'row'
      ? `<div class="row" style="left: ${GAP}px; top: ${y * ROW + GAP / 2}px">${escaped(panel.title)}</div>`
      : `<div class="panel" style="${place}">${drawPanel(panel, lines, seconds, box)}</div>`;
  });
  return {
    width: 24 * COLUMN + GAP,
    height: Math.max(...panels.map(({ panel }) => panel.gridPos.y + panel.gridPos.h)) * ROW + GAP,
    html: `<!doctype html><meta charset="utf-8"><style>${STYLE}</style>${places.join('\n')}`,
  };
}
