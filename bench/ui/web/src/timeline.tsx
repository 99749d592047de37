// The plan of a trial and how far it is: phases, faults over them, and the time that is looked at.
import { clock } from "./format";
import { isLasting, type Trial } from "./model";

export function TimelineBar({ trial, now_s }: { trial: Trial; now_s: number }) {
  const end = trial.end_s;
  if (!trial.phases.length || end <= 0) return null;
  const share = (at_s: number) => `${(100 * Math.min(Math.max(at_s, 0), end)) / end}%`;
  return (
    <div class="timeline" aria-hidden="true">
      {trial.phases.map((phase) => (
        <span key={phase.name} class={now_s >= phase.begin_s && now_s < phase.end_s ? "phase now" : "phase"}
          style={{ left: share(phase.begin_s), width: `${(100 * (phase.end_s - phase.begin_s)) / end}%` }}>
          {phase.name.replace(/_/g, " ")}</span>
      ))}
      {[...trial.faults.values()].filter((fault) => fault.applied_s !== null).map((fault) => (
        <span key={fault.id} class="band" style={{
          left: share(fault.applied_s!),
          width: isLasting(fault) ? `calc(${share(fault.healed_s ?? now_s)} - ${share(fault.applied_s!)})` : "2px",
        }} />
      ))}
      <span class="head" style={{ left: share(now_s) }} />
    </div>
  );
}

// Moves through the time of a trial, by keyboard too; at its end it follows what happens.
export function Scrubber({ trial, from_s, to_s, at_s, follow, onCursor }: {
  trial: Trial; from_s: number; to_s: number; at_s: number | null; follow: boolean; onCursor: (at_s: number | null) => void;
}) {
  const step = trial.step_s;
  const at = Math.min(at_s ?? to_s, to_s);
  const phase = trial.phaseAt(at - step / 2);
  const faults = trial.faultsAt(at).map((fault) => fault.fault);
  return (
    <div class="scrubber">
      <label for="time">Time</label>
      <input id="time" type="range" min={from_s} max={Math.max(to_s, from_s + step)} step={step} value={at}
        aria-valuetext={[clock(at), phase && `phase ${phase}`, ...faults].filter(Boolean).join(", ")}
        onInput={(event) => {
          const value = Number((event.target as HTMLInputElement).value);
          onCursor(follow && value >= to_s - step ? null : value);
        }} />
      <output for="time"><b>{clock(at)}</b> {phase.replace(/_/g, " ")}
        {faults.length > 0 && <span class="in-force"> {faults.join(", ")}</span>}</output>
      {follow && at_s !== null && <button type="button" class="quiet" onClick={() => onCursor(null)}>Follow</button>}
    </div>
  );
}
