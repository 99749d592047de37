// The live page, and the trial explorer of a report: the same view of a trial, from events or from the page itself.
import { useEffect, useState } from "preact/hooks";
import { Latency, Queues, Rates, Tiles } from "./charts";
import { Control, type Post } from "./control";
import { Log } from "./log";
import type { Model, Trial } from "./model";
import type { Connection } from "./source";
import { Scrubber, TimelineBar } from "./timeline";
import { Topology } from "./topology";
import type { Link } from "./types";
import { VerdictBlock } from "./verdict";

const kWindows: [string, number][] = [["everything", Infinity], ["the last minute", 60], ["the last 5 minutes", 300], ["the last 30 minutes", 1800]];

const trialName = (trial: Trial) => `${trial.variant || "trial"}${trial.repeat > 1 ? `, repeat ${trial.repeat}` : ""}`;

function TrialPicker({ trials, chosen, live, choose }: { trials: Trial[]; chosen: number; live: boolean; choose: (i: number) => void }) {
  if (trials.length < 2) return null;
  return (
    <label class="picker">Trial <select value={chosen} onChange={(event) => choose(Number((event.target as HTMLSelectElement).value))}>
      {live && <option value={-1}>the newest ({trialName(trials[trials.length - 1])})</option>}
      {trials.map((trial, i) => <option key={i} value={i}>{trialName(trial)}</option>)}
    </select></label>
  );
}

// A trial with a time that is looked at. `follow`: it goes on, and without a chosen time the newest is shown.
function TrialView({ trial, links, follow, ended, side }: {
  trial: Trial; links: Link[]; follow: boolean; ended: boolean; side?: preact.ComponentChildren;
}) {
  const [chosen, setChosen] = useState<number | null>(null);
  const [length, setLength] = useState(Infinity);
  useEffect(() => setChosen(null), [trial]);
  const now_s = trial.time.length ? trial.time[trial.time.length - 1] : 0;
  // Where nothing goes on, what is worth a look first: the middle of the first fault that lasted.
  const at_s = chosen ?? (follow ? null : firstFault(trial) ?? now_s);
  const from_s = Math.max(0, now_s - length);
  const to_s = Number.isFinite(length) || !trial.phases.length ? Math.max(now_s, from_s + Math.min(length, 10)) : trial.end_s;
  const view = { trial, from_s, to_s, at_s, onCursor: setChosen };
  return (
    <div class="trial">
      <TimelineBar trial={trial} now_s={at_s ?? now_s} />
      <div class="row">
        <Scrubber trial={trial} from_s={from_s} to_s={now_s} at_s={at_s} follow={follow} onCursor={setChosen} />
        {now_s > 90 && (
          <label class="picker">Show <select onChange={(event) => setLength(kWindows[(event.target as HTMLSelectElement).selectedIndex][1])}>
            {kWindows.map(([name]) => <option key={name}>{name}</option>)}</select></label>
        )}
      </div>
      <Tiles trial={trial} at_s={at_s} />
      <div class="columns">
        <div class="main"><Rates {...view} /><Latency {...view} /><Queues {...view} /></div>
        <div class="side">
          <section class="panel" aria-labelledby="system"><h2 id="system">System</h2>
            <Topology trial={trial} links={links} at_s={at_s ?? now_s} ended={ended} /></section>
          {side}
          <Log trial={trial} />
        </div>
      </div>
    </div>
  );
}

function firstFault(trial: Trial): number | null {
  for (const fault of trial.faults.values()) {
    if (fault.applied_s !== null && fault.heal_asked_s !== null) return (fault.applied_s + fault.heal_asked_s) / 2;
  }
  return null;
}

const kConnection: Record<Connection, [string, string]> = {
  connecting: ["…", "connecting"], live: ["●", "live"], lost: ["✗", "connection lost, trying again"],
};

export function LivePage({ model, connection, post }: { model: Model; connection: Connection; post: Post }) {
  const [chosen, setChosen] = useState(-1);
  const { state, trial: newest } = model;
  const trial = chosen < 0 ? newest : model.trials[chosen] ?? newest;
  const over = model.verdict !== null;
  const [glyph, words] = over && connection === "lost" ? ["·", "ended"] : kConnection[connection];
  const now_s = newest?.time[newest.time.length - 1] ?? 0;
  useEffect(() => { document.title = `${over ? model.verdict!.state : newest?.variant || "lab"} · ${state.title || state.lab || "System Design Lab"}`; });
  return (
    <>
      <header>
        <p class="eyebrow"><span>{state.lab}</span>
          <span class={`connection ${over && connection === "lost" ? "ended" : connection}`} role="status"><span aria-hidden="true">{glyph}</span> {words}</span></p>
        <h1>{state.title || state.lab || "System Design Lab"}</h1>
        {state.question && <p class="question">{state.question}</p>}
        <p class="conditions">{conditions(model, trial)}</p>
      </header>
      <main>
        {model.verdict && <VerdictBlock verdict={model.verdict} />}
        <TrialPicker trials={model.trials} chosen={chosen} live choose={setChosen} />
        {trial ? (
          <TrialView key={`${trial.index}/${trial.variant}/${trial.repeat}`} trial={trial} links={state.links}
            follow={trial === newest && !over} ended={trial !== newest || over}
            side={<Control state={state} trial={trial === newest ? trial : undefined} now_s={now_s} post={post} />} />
        ) : <p class="muted">Starting …</p>}
      </main>
      <p class="hidden" aria-live="polite">{model.announcement}</p>
    </>
  );
}

function conditions({ state, trials }: Model, trial: Trial | undefined): string {
  const facts = [];
  if (trial && trial.total > 1) facts.push(`trial ${trial.index + 1} of ${Math.max(trial.total, trials.length)}`);
  if (trial?.variant) facts.push(`variant ${trial.variant}${trial.repeat > 1 ? `, repeat ${trial.repeat}` : ""}`);
  if (state.mode === "run") facts.push("judged run");
  if (state.mode === "up") facts.push("by hand");
  if (state.seed) facts.push(`seed ${state.seed}`);
  if (state.started) facts.push(`started ${state.started}`);
  return facts.join(" · ");
}

export function Explorer({ trials, links }: { trials: Trial[]; links: Link[] }) {
  const [chosen, setChosen] = useState(0);
  const trial = trials[chosen];
  return (
    <>
      <TrialPicker trials={trials} chosen={chosen} live={false} choose={setChosen} />
      <TrialView key={chosen} trial={trial} links={links} follow={false} ended />
    </>
  );
}
