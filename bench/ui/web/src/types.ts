// What the server tells (bench/live/README.md), and what a report holds.

export interface Phase { name: string; begin_s: number; end_s: number }

export interface Part {
  name: string;
  label?: string;  // with the replica's number, where there are several
  replica?: number;
  kind?: string;
  version?: string;
  state?: string;
  ports?: Record<string, string | number>;
}

export interface Link { from: string; to: string; proxied?: boolean }

export interface FaultOption { name: string; fallback: string; doc: string; names?: string[] }

export interface Breakable { fault: string; doc: string; options: FaultOption[]; instantaneous: boolean }

export interface Fault {
  id: string;
  fault: string;
  part: string;
  asked_s: number;
  applied_s: number | null;
  seen_s: number | null;
  evidence: string;
  heal_asked_s: number | null;
  healed_s: number | null;
  error: string;
  ends_s?: number | null;  // when it will be healed
}

export interface State {
  last_event: number;
  lab: string;
  title: string;
  question: string;
  mode: "run" | "up";
  variant: string;
  seed: number;
  started: string;
  parts: Part[];
  links: Link[];
  phases: Phase[];
  breakable: Breakable[];
  faults: Fault[];
  load_factor: number;
  why_disabled: string;
}

export interface Second {
  at_s: number;
  offered: number;
  achieved: number;
  errors: number;
  dropped: number;
  admitted: number;
  p50_s: number | null;
  p99_s: number | null;
  p999_s: number | null;
  max_s: number | null;
  in_flight: number;
  queues?: Record<string, number>;
}

export type Verdictlike = "pass" | "fail" | "inconclusive" | "not asked";

export interface Finding {
  rule: string;
  text: string;
  variant: string;
  state: Verdictlike;
  measured: string;
  why: string;
  control: boolean;
}

export interface Verdict {
  state: Verdictlike;
  reasons: string[];
  findings: Finding[];
  report?: string;  // where the report is
}

// A trial in a report: columns of equal length, named as in Second.
export interface RecordedTrial {
  variant: string;
  repeat: number;
  phases: Phase[];
  parts: Part[];
  faults: Fault[];
  notes: { at_s: number; text: string }[];
  step_s: number;
  columns: Record<string, (number | null)[]>;
  queues: Record<string, [number, number][]>;
}

// What stands in the page itself: the token of a live page, or the data of a report.
export interface PageData {
  token?: string;
  links?: Link[];
  trials?: RecordedTrial[];
}
