// What the page knows, built from events alone, so that a report, a live page and a replay after a lost connection are
// the same thing.
import type { Fault, Part, Phase, RecordedTrial, Second, State, Verdict } from "./types";

export const kColumns = ["offered", "achieved", "errors", "dropped", "admitted", "p50_s", "p99_s", "p999_s", "max_s",
  "in_flight"] as const;
export type Column = (typeof kColumns)[number];
export type Values = (number | null)[];

const kMaxLog = 500;

export interface Entry { at_s: number | null; kind: "phase" | "fault" | "part" | "note"; text: string; id: number }

export class Trial {
  readonly time: number[] = [];
  readonly columns = Object.fromEntries(kColumns.map((name) => [name, []])) as unknown as Record<Column, Values>;
  readonly queues = new Map<string, Values>();
  readonly faults = new Map<string, Fault>();
  readonly log: Entry[] = [];
  phase = "";
  step_s = 1;

  constructor(readonly variant: string, readonly repeat: number, readonly index: number, readonly total: number,
              public phases: Phase[], public parts: Part[]) {}

  get end_s(): number {
    const planned = this.phases.length ? this.phases[this.phases.length - 1].end_s : 0;
    return Math.max(planned, this.time[this.time.length - 1] ?? 0);
  }

  add(second: Second) {
    // A second that was told already, before the connection was lost.
    if (this.time.length && second.at_s <= this.time[this.time.length - 1]) return;
    this.time.push(second.at_s);
    for (const name of kColumns) this.columns[name].push(second[name] ?? null);
    for (const name of Object.keys(second.queues ?? {})) {
      if (!this.queues.has(name)) this.queues.set(name, []);
    }
    for (const [name, values] of this.queues) {
      while (values.length < this.time.length - 1) values.push(null);
      values.push(second.queues?.[name] ?? null);
    }
  }

  say(entry: Omit<Entry, "id">) {
    const last = this.log[this.log.length - 1];
    this.log.push({ ...entry, id: last ? last.id + 1 : 1 });
    if (this.log.length > kMaxLog) this.log.shift();
  }

  // The place of the newest second that is not later than `at_s`; -1 before the first.
  indexAt(at_s: number): number {
    let low = 0, high = this.time.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time[middle] <= at_s + 1e-9) low = middle + 1; else high = middle;
    }
    return low - 1;
  }

  phaseAt(at_s: number): string {
    return this.phases.find((phase) => at_s >= phase.begin_s && at_s < phase.end_s)?.name ?? "";
  }

  faultsAt(at_s: number): Fault[] {
    return [...this.faults.values()].filter((fault) => inForce(fault, at_s));
  }
}

// In force from its first effect until it was seen healed. A single blow (a flush) heals with nothing to ask for.
export function inForce(fault: Fault, at_s: number): boolean {
  if (fault.applied_s === null || fault.error && fault.seen_s === null && fault.healed_s !== null) return false;
  return at_s >= fault.applied_s && (fault.healed_s === null || at_s < fault.healed_s);
}

export function isLasting(fault: Fault): boolean {
  return fault.heal_asked_s !== null || (fault.ends_s ?? null) !== null || fault.healed_s === null;
}

// "redis.pause seen after 21 ms: PING unanswered": the latest thing that happened to it.
export function faultText(fault: Fault): string {
  const ms = (from: number, to: number) => `${Math.max(0, Math.round((to - from) * 1000))} ms`;
  if (fault.error) return `${fault.fault}: ${fault.error}`;
  if (fault.healed_s !== null) {
    return `${fault.fault} healed, well again after ${ms(fault.heal_asked_s ?? fault.asked_s, fault.healed_s)}`;
  }
  if (fault.heal_asked_s !== null) return `${fault.fault} is being healed`;
  if (fault.seen_s !== null) {
    return `${fault.fault} seen by a probe after ${ms(fault.asked_s, fault.seen_s)}: ${fault.evidence}`;
  }
  return `${fault.fault} ${fault.applied_s === null ? "asked for" : "applied"}`;
}

const kEmptyState: State = {
  last_event: 0, lab: "", title: "", question: "", mode: "run", variant: "", seed: 0, started: "", parts: [], links: [],
  phases: [], breakable: [], faults: [], load_factor: 1, why_disabled: "",
};

export class Model {
  state: State = { ...kEmptyState };
  trials: Trial[] = [];
  verdict: Verdict | null = null;
  announcement = "";  // the last phase or fault, for screen readers

  get trial(): Trial | undefined { return this.trials[this.trials.length - 1]; }

  // The state document: what is there now, ahead of the events that led to it.
  load(state: Partial<State>) {
    this.state = { ...kEmptyState, ...state };
    this.trials = [];
    this.verdict = null;
  }

  apply(type: string, data: any, id: number) {
    const known = id <= this.state.last_event;  // the state document says it already
    switch (type) {
      case "state":
        if (known) break;
        this.state = { ...this.state, ...data };
        if (this.trial && data.phases) this.trial.phases = data.phases;
        if (this.trial && data.parts) this.trial.parts = data.parts;
        break;
      case "trial":
        this.trials.push(new Trial(data.variant, data.repeat, data.index, data.total, this.state.phases, this.state.parts));
        if (!known) this.announcement = `trial ${data.index + 1} of ${data.total}: ${data.variant}`;
        break;
      case "second": this.current().add(data); break;
      case "phase":
        this.current().phase = data.name;
        this.current().say({ at_s: data.at_s, kind: "phase", text: data.name });
        this.announcement = `phase ${data.name}`;
        break;
      case "fault": {
        this.current().faults.set(data.id, data);
        const text = faultText(data);
        this.current().say({ at_s: latest(data), kind: "fault", text });
        this.announcement = text;
        break;
      }
      case "part":
        if (!known) this.state = { ...this.state, parts: withPart(this.state.parts, data) };
        if (!known && this.trial) this.trial.parts = this.state.parts;
        this.current().say({ at_s: null, kind: "part", text: `${data.name} is ${data.state}` });
        break;
      case "note": this.current().say({ at_s: data.at_s ?? null, kind: "note", text: data.text }); break;
      case "verdict":
        this.verdict = data;
        this.announcement = `verdict: ${data.state}`;
        break;
    }
  }

  private current(): Trial {
    if (!this.trial) this.trials.push(new Trial(this.state.variant, 1, 0, 1, this.state.phases, this.state.parts));
    return this.trial!;
  }
}

function latest(fault: Fault): number {
  return fault.healed_s ?? fault.heal_asked_s ?? fault.seen_s ?? fault.applied_s ?? fault.asked_s;
}

function withPart(parts: Part[], changed: Part): Part[] {
  const same = (part: Part) => part.name === changed.name && (part.replica ?? 0) === (changed.replica ?? 0);
  return parts.some(same) ? parts.map((part) => (same(part) ? { ...part, ...changed } : part)) : [...parts, changed];
}

export function fromRecord(recorded: RecordedTrial, index: number, total: number): Trial {
  const trial = new Trial(recorded.variant, recorded.repeat, index, total, recorded.phases, recorded.parts);
  const steps = recorded.columns.offered?.length ?? 0;
  trial.step_s = recorded.step_s;
  for (let i = 0; i < steps; ++i) trial.time.push((i + 1) * recorded.step_s);
  for (const name of kColumns) trial.columns[name].push(...(recorded.columns[name] ?? new Array(steps).fill(null)));
  for (const [name, samples] of Object.entries(recorded.queues)) trial.queues.set(name, resample(samples, trial.time));
  for (const fault of recorded.faults) trial.faults.set(fault.id, fault);
  for (const phase of recorded.phases) trial.say({ at_s: phase.begin_s, kind: "phase", text: phase.name });
  for (const note of recorded.notes) trial.say({ at_s: note.at_s, kind: "note", text: note.text });
  trial.log.sort((a, b) => (a.at_s ?? 0) - (b.at_s ?? 0));
  return trial;
}

// Samples of another rhythm at the times of the columns: the last one that is not older than three seconds.
export function resample(samples: [number, number][], time: number[]): Values {
  let next = 0;
  return time.map((at) => {
    while (next < samples.length && samples[next][0] <= at) ++next;
    const last = samples[next - 1];
    return last && at - last[0] <= 3 ? last[1] : null;
  });
}
