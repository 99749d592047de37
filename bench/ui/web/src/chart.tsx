// A chart over time (uPlot) with what a reader without eyes for it needs beside it: a summary and a table.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { clock } from "./format";
import { type Fault, type Phase } from "./types";
import { isLasting, type Trial, type Values } from "./model";
import { thin, type Keep } from "./thin";

export interface Line {
  name: string;
  css: string;  // of the style sheet: line-<css> has its colour and dashes
  values: Values;
  keep: Keep;
}

export interface ChartProps {
  title: string;
  hint: string;
  trial: Trial;
  lines: Line[];
  format: (value: number | null | undefined) => string;
  axis: (value: number) => string;
  logarithmic?: boolean;
  max?: number;    // a line above it is cut, and its peak written
  from_s: number;  // what is shown
  to_s: number;
  at_s: number | null;  // where the cursor is; null: nowhere
  onCursor: (at_s: number | null) => void;
}

const kTableRows = 40;

// Dash patterns must be known to the canvas; the colours come from the style sheet, so that both schemes work.
const kDashes: Record<string, number[]> = {
  p99: [], p50: [7, 4], p999: [9, 3, 1, 3], max: [1, 4], offered: [1, 4], answered: [7, 4], admitted: [],
  failed: [9, 3, 1, 3], dropped: [2, 3], lane0: [], lane1: [7, 4], lane2: [2, 4], lane3: [10, 3, 2, 3], lane4: [4, 3],
  lane5: [1, 5],
};
const kWide = new Set(["p99", "admitted"]);

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const scheme = useColourScheme();
  const first = Math.max(0, props.trial.indexAt(props.from_s));
  const thinned = thin(props.trial.time, props.lines, first, 600);
  const shape = props.lines.map((line) => line.css + line.name).join() + props.logarithmic;

  useEffect(() => {
    const element = box.current!;
    const made = new uPlot(optionsOf(latest, element), [[], ...props.lines.map(() => [])] as uPlot.AlignedData, element);
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize(sizeOf(element)));
    sized.observe(element);
    return () => {
      sized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, scheme]);

  useEffect(() => {
    plot.current?.setData([thinned.time, ...thinned.columns] as uPlot.AlignedData);
  });

  const index = props.trial.indexAt(props.at_s ?? Infinity);
  return (
    <figure class="chart">
      <figcaption>{props.title} <span class="note inline">{props.hint}
        {thinned.every > 1 && ` Each point stands for ${clock(thinned.every * props.trial.step_s)}.`}</span></figcaption>
      <ul class="legend">
        {props.lines.map((line) => (
          <li key={line.name}><svg viewBox="0 0 34 10" aria-hidden="true"><path class={`line line-${line.css}`} d="M1 5H33" /></svg>
            {line.name} <b>{index >= 0 ? props.format(line.values[index]) : "–"}</b></li>
        ))}
      </ul>
      <div class="plot" ref={box} role="img" aria-label={summary(props)} />
      <Table {...props} first={first} />
    </figure>
  );
}

function Table(props: ChartProps & { first: number }) {
  const [open, setOpen] = useState(false);
  const rows = open ? thin(props.trial.time, props.lines, props.first, kTableRows) : null;
  return (
    <details onToggle={(event) => setOpen((event.target as HTMLDetailsElement).open)}>
      <summary>{props.title} as a table</summary>
      {rows && <div class="scroll steps" tabIndex={0} role="region" aria-label={`${props.title}, table`}>
        <table class="numbers">
          <thead><tr><th scope="col">until</th><th scope="col">phase</th>
            {props.lines.map((line) => <th scope="col" key={line.name}>{line.name}</th>)}</tr></thead>
          <tbody>{rows.time.map((at, row) => (
            <tr key={at}><th scope="row">{clock(at)}</th>
              <td class="text">{[props.trial.phaseAt(at - props.trial.step_s / 2), ...props.trial.faultsAt(at).map((f) => f.fault)]
                .filter(Boolean).join(", ")}</td>
              {rows.columns.map((column, i) => <td key={i}>{props.format(column[row])}</td>)}</tr>
          ))}</tbody>
        </table>
      </div>}
    </details>
  );
}

// "p99: 12 ms at the end, at most 210 ms at 21 s (pause)."
function summary(props: ChartProps): string {
  const { trial } = props;
  if (!trial.time.length) return `${props.title}: nothing yet.`;
  const parts = props.lines.map((line) => {
    let peak = -1;
    line.values.forEach((value, i) => {
      if (value !== null && (peak < 0 || value > line.values[peak]!)) peak = i;
    });
    if (peak < 0) return `${line.name}: none`;
    const phase = trial.phaseAt(trial.time[peak] - trial.step_s / 2);
    return `${line.name}: ${props.format(line.values[line.values.length - 1])} at the end, at most ` +
      `${props.format(line.values[peak])} at ${clock(trial.time[peak])}${phase ? ` (${phase})` : ""}`;
  });
  return `${props.title}. ${parts.join("; ")}.`;
}

function sizeOf(element: HTMLElement) {
  const width = Math.max(200, element.clientWidth);
  return { width, height: width < 480 ? 170 : 210 };
}

function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function strokeOf(line: string): string {
  const probe = document.createElementNS("http://www.w3.org/2000/svg", "path");
  probe.setAttribute("class", `line line-${line}`);
  const holder = document.querySelector("svg") ?? document.body;
  holder.appendChild(probe);
  const colour = getComputedStyle(probe).stroke;
  probe.remove();
  return colour;
}

type Latest = { current: ChartProps };

function optionsOf(latest: Latest, element: HTMLElement): uPlot.Options {
  const props = latest.current;
  const axis: Partial<uPlot.Axis> = {
    stroke: css("--soft"), font: "11px system-ui, sans-serif", grid: { stroke: css("--rule"), width: 1 },
    ticks: { stroke: css("--rule"), width: 1, size: 4 },
  };
  return {
    ...sizeOf(element),
    padding: [18, 14, 0, 0],  // the names of faults stand above
    legend: { show: false },
    cursor: { points: { show: false }, y: false, drag: { setScale: false, x: false, y: false } },
    scales: {
      x: { time: false, range: () => [latest.current.from_s, Math.max(latest.current.to_s, latest.current.from_s + 1)] },
      y: props.logarithmic
        ? { distr: 3, range: (_, min, max) => powersAround(min, max) }
        : { range: (_, __, max) => [0, latest.current.max ?? Math.max(1, (max ?? 1) * 1.08)] },
    },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map(clock), size: 26, gap: 3 },
      { ...axis, values: (_, ticks) => ticks.map((v) => v === null ? "" : latest.current.axis(v)), size: 56, gap: 4,
        ...(props.logarithmic ? { filter: onlyPowers, grid: { ...axis.grid, filter: onlyPowers }, ticks: { ...axis.ticks, filter: onlyPowers } } : {}) },
    ],
    series: [{}, ...props.lines.map((line) => ({
      stroke: strokeOf(line.css), width: kWide.has(line.css) ? 2 : 1.6, dash: kDashes[line.css] ?? [], points: { show: false },
      spanGaps: false,
    }))],
    hooks: {
      drawClear: [(plot) => drawBackground(plot, latest.current)],
      draw: [(plot) => drawForeground(plot, latest.current)],
      setCursor: [(plot) => {
        const left = plot.cursor.left ?? -1;
        if (left >= 0 && plot.cursor.event) latest.current.onCursor(plot.posToVal(left, "x"));
      }],
    },
  };
}

function powersAround(min: number | null, max: number | null): [number, number] {
  const low = 10 ** Math.floor(Math.log10(Math.max(min ?? 1e-4, 1e-6)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(max ?? 1e-2, 1e-5)));
  return [low, Math.max(high, low * 100)];
}

function onlyPowers(_: uPlot, splits: number[]): (number | null)[] {
  return splits.map((value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6 ? value : null);
}

// Faults as bands with their names, phases as lines.
function drawBackground(plot: uPlot, props: ChartProps) {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio || 1;
  const place = (at_s: number) => Math.min(Math.max(plot.valToPos(at_s, "x", true), bbox.left), bbox.left + bbox.width);
  ctx.save();
  ctx.font = `600 ${11 * scale}px system-ui, sans-serif`;
  ctx.textBaseline = "bottom";
  let named = -Infinity;
  for (const fault of props.trial.faults.values()) {
    if (fault.applied_s === null || outside(fault, props)) continue;
    const begin = place(fault.applied_s);
    const end = isLasting(fault) ? place(fault.healed_s ?? Infinity) : begin;
    ctx.globalAlpha = 0.18;
    ctx.fillStyle = css("--fault");
    ctx.fillRect(begin, bbox.top, Math.max(end - begin, 1), bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(begin, bbox.top, scale, bbox.height);
    const width = ctx.measureText(fault.fault).width;
    const left = Math.min(begin, bbox.left + bbox.width - width);
    if (left > named) {
      ctx.fillStyle = css("--fault-ink");
      ctx.fillText(fault.fault, left, bbox.top - 3 * scale);
      named = left + width + 8 * scale;
    }
  }
  drawPhases(plot, props.trial.phases, props, place);
  ctx.restore();
}

function outside(fault: Fault, props: ChartProps): boolean {
  return fault.applied_s! > props.to_s || (fault.healed_s !== null && fault.healed_s < props.from_s);
}

function drawPhases(plot: uPlot, phases: Phase[], props: ChartProps, place: (at_s: number) => number) {
  const { ctx, bbox } = plot;
  ctx.strokeStyle = css("--rule");
  ctx.lineWidth = devicePixelRatio || 1;
  ctx.setLineDash([2 * ctx.lineWidth, 3 * ctx.lineWidth]);
  for (const phase of phases) {
    if (phase.begin_s <= props.from_s || phase.begin_s >= props.to_s) continue;
    ctx.beginPath();
    ctx.moveTo(place(phase.begin_s), bbox.top);
    ctx.lineTo(place(phase.begin_s), bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.setLineDash([]);
}

// Where a line leaves the chart, its peak; and the place that is looked at.
function drawForeground(plot: uPlot, props: ChartProps) {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio || 1;
  ctx.save();
  if (props.max !== undefined) {
    let peak = props.max, at = 0;
    for (let series = 1; series < plot.data.length; ++series) {
      plot.data[series].forEach((value, i) => {
        if (value != null && value > peak) [peak, at] = [value, plot.data[0][i]];
      });
    }
    if (peak > props.max) {
      const x = plot.valToPos(at, "x", true);
      const text = `▲ ${props.axis(peak)}`;
      ctx.font = `${11 * scale}px system-ui, sans-serif`;
      ctx.fillStyle = css("--fail");
      ctx.textBaseline = "top";
      ctx.textAlign = x > bbox.left + bbox.width / 2 ? "right" : "left";
      ctx.fillText(text, x + (ctx.textAlign === "right" ? -6 : 6) * scale, bbox.top + 3 * scale);
    }
  }
  if (props.at_s !== null && props.at_s >= props.from_s && props.at_s <= props.to_s) {
    const x = plot.valToPos(props.at_s, "x", true);
    ctx.strokeStyle = css("--ink");
    ctx.lineWidth = scale;
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function useColourScheme(): string {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const [scheme, setScheme] = useState(query.matches ? "dark" : "light");
  useEffect(() => {
    const changed = () => setScheme(query.matches ? "dark" : "light");
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return scheme;
}
