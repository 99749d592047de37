// The three charts of a trial: rates, latency, queues.
import { Chart, type ChartProps, type Line } from "./chart";
import { count, rate, seconds, short } from "./format";
import type { Column, Trial, Values } from "./model";

type View = Pick<ChartProps, "trial" | "from_s" | "to_s" | "at_s" | "onCursor">;

const any = (values: Values) => values.some((value) => value !== null && value > 0);

export function Rates(view: View) {
  const { columns } = view.trial;
  const line = (name: string, css: string, column: Column): Line =>
    ({ name, css, values: columns[column], keep: "mean" });
  const lines = [line("offered", "offered", "offered"), line("answered", "answered", "achieved")];
  if (any(columns.admitted)) lines.push(line("admitted", "admitted", "admitted"));
  if (any(columns.errors)) lines.push(line("failed", "failed", "errors"));
  if (any(columns.dropped)) lines.push(line("dropped", "dropped", "dropped"));
  // The offered rate sets the scale: a backlog that drains at once would flatten everything else.
  const most = columns.offered.reduce<number>((max, value) => Math.max(max, value ?? 0), 0);
  return <Chart {...view} title="Rates" hint="Requests a second." lines={lines} format={rate}
    axis={(value) => `${short(value)}/s`} max={most > 0 ? most * 1.3 : undefined} />;
}

export function Latency(view: View) {
  const { columns } = view.trial;
  const positive = (values: Values) => values.map((value) => (value !== null && value > 0 ? value : null));
  const line = (name: string, css: string, column: Column): Line =>
    ({ name, css, values: positive(columns[column]), keep: "worst" });
  const lines = [line("p50", "p50", "p50_s"), line("p99", "p99", "p99_s")];
  if (any(columns.p999_s)) lines.push(line("p99.9", "p999", "p999_s"));
  lines.push(line("max", "max", "max_s"));
  return <Chart {...view} title="Latency" hint="From the time a request was meant to be sent; logarithmic." lines={lines}
    format={seconds} axis={seconds} logarithmic />;
}

export function Queues(view: View) {
  const lines: Line[] = [{ name: "in flight", css: "lane0", values: view.trial.columns.in_flight, keep: "worst" }];
  for (const [name, values] of [...view.trial.queues].sort()) {
    if (any(values)) lines.push({ name: queueName(name), css: `lane${lines.length % 6}`, values, keep: "worst" });
  }
  const shown = lines.filter((line, i) => i > 0 || any(line.values));
  if (!shown.length) return null;
  return <Chart {...view} title="Queues and pools" hint="What waits or is under way." lines={shown} format={count} axis={short} />;
}

// "ratelimit.redis_outstanding" → "ratelimit redis outstanding", "redis.redis_clients" → "redis clients".
function queueName(name: string): string {
  return name.replace(/^(\w+)\.\1_/, "$1_").replace(/[._]/g, " ");
}

export function Tiles({ trial, at_s }: { trial: Trial; at_s: number | null }) {
  const index = trial.indexAt(at_s ?? Infinity);
  const value = (column: Column) => (index >= 0 ? trial.columns[column][index] : null);
  const errors = value("errors"), dropped = value("dropped");
  const lost = errors === null && dropped === null ? null : (errors ?? 0) + (dropped ?? 0);
  const tile = (name: string, text: string, css = "") => <div class={`tile ${css}`} key={name}><dt>{name}</dt><dd>{text}</dd></div>;
  return (
    <dl class="tiles">
      {tile("offered", rate(value("offered")))}
      {tile("answered", rate(value("achieved")))}
      {any(trial.columns.admitted) && tile("admitted", rate(value("admitted")))}
      {tile("failed, dropped", rate(lost), lost ? "bad" : "")}
      {tile("p50", seconds(value("p50_s")))}
      {tile("p99", seconds(value("p99_s")))}
      {any(trial.columns.p999_s) ? tile("p99.9", seconds(value("p999_s"))) : tile("max", seconds(value("max_s")))}
      {any(trial.columns.in_flight) && tile("in flight", count(value("in_flight")))}
    </dl>
  );
}
