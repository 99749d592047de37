// Fewer points of a long series: a day of seconds is drawn as well by a few hundred points, as long as no peak is lost.
import type { Values } from "./model";

export type Keep = "worst" | "mean";

export interface Thinned { time: number[]; columns: Values[]; every: number }

// Joins `every` neighbours into one point, so that at most `points` remain. The groups begin at multiples of `every`
// from the first value on, so that a growing series does not dance.
export function thin(time: number[], columns: { values: Values; keep: Keep }[], from: number, points: number): Thinned {
  const count = time.length - from;
  const every = Math.max(1, 2 ** Math.ceil(Math.log2(Math.max(1, count / points))));
  const begin = Math.floor(from / every) * every;
  const times: number[] = [];
  const out: Values[] = columns.map(() => []);
  for (let at = begin; at < time.length; at += every) {
    const end = Math.min(at + every, time.length);
    times.push(time[end - 1]);
    columns.forEach(({ values, keep }, i) => out[i].push(join(values, at, end, keep)));
  }
  return { time: times, columns: out, every };
}

function join(values: Values, begin: number, end: number, keep: Keep): number | null {
  let sum = 0, count = 0, worst = -Infinity;
  for (let i = begin; i < end; ++i) {
    const value = values[i];
    if (value === null || value === undefined) continue;
    sum += value;
    ++count;
    worst = Math.max(worst, value);
  }
  if (count === 0) return null;
  return keep === "mean" ? sum / count : worst;
}
