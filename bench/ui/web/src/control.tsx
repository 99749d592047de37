// Breaking, healing and loading by hand. Where that is not to be, the same with its reason.
import { useEffect, useId, useState } from "preact/hooks";
import { count, seconds } from "./format";
import { faultText, inForce, isLasting, type Trial } from "./model";
import type { Breakable, Fault, FaultOption, State } from "./types";

export type Post = (path: string, body: unknown) => Promise<string>;

const kJudged = "This run is judged, so nothing is broken by hand: ./lab up keeps a lab running for that.";
const kDefaultSeconds = 5;
const kFactors = [0.5, 1, 2, 4];

export function Control({ state, trial, now_s, post }: { state: State; trial: Trial | undefined; now_s: number; post: Post }) {
  const why = state.why_disabled || (state.mode === "run" ? kJudged : "");
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  const send = async (path: string, body: unknown, done: string) => {
    setBusy(true);
    const error = await post(path, body);
    setSaid(error ? `${error}` : done);
    setBusy(false);
  };
  const disabled = busy || why !== "";
  const groups = new Map<string, Breakable[]>();
  for (const breakable of state.breakable) {
    const part = breakable.fault.slice(0, breakable.fault.lastIndexOf("."));
    groups.set(part, [...(groups.get(part) ?? []), breakable]);
  }
  return (
    <section class="panel" aria-labelledby="break">
      <h2 id="break">Break and heal</h2>
      {why && <p class="why">{why}</p>}
      {trial && <Broken trial={trial} now_s={now_s} disabled={disabled} hidden={why !== ""}
        heal={(fault) => send("/api/heal", fault ? { fault } : {}, fault ? `healing ${fault}` : "healing everything")} />}
      {[...groups].map(([part, list]) => (
        <details key={part} class="group" open={groups.size <= 3 && why === ""}>
          <summary>{part} <span class="muted">{list.length} {list.length === 1 ? "way" : "ways"}</span></summary>
          {list.map((breakable) => (
            <BreakForm key={breakable.fault} breakable={breakable} disabled={disabled}
              send={(body) => send("/api/break", body, `${breakable.fault} asked for`)} />
          ))}
        </details>
      ))}
      {state.breakable.length === 0 && why === "" && <p class="muted">Nothing can be broken yet.</p>}
      {why === "" && <LoadForm factor={state.load_factor} disabled={disabled} send={(factor) => send("/api/load", { factor }, `load ${factor}×`)} />}
      {why === "" && <StopForm disabled={disabled} send={() => send("/api/down", {}, "healing and stopping everything")} />}
      <p class="said" role="status">{said}</p>
    </section>
  );
}

function BreakForm({ breakable, disabled, send }: { breakable: Breakable; disabled: boolean; send: (body: unknown) => void }) {
  const id = useId();
  const [length, setLength] = useState(String(kDefaultSeconds));
  const [options, setOptions] = useState<Record<string, string>>({});
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value.trim() !== ""));
  const submit = (event: Event) => {
    event.preventDefault();
    const for_s = breakable.instantaneous || length.trim() === "" ? null : Number(length);
    send({ fault: breakable.fault, for_s, options: given });
  };
  return (
    <form class="break" onSubmit={submit} aria-labelledby={`${id}-name`}>
      <p><b id={`${id}-name`}>{breakable.fault}</b> <span class="muted">{breakable.doc}</span></p>
      <div class="fields">
        {!breakable.instantaneous && (
          <label>for <input type="number" min="0.1" max="86400" step="any" inputMode="decimal" value={length} disabled={disabled}
            placeholder="until healed" onInput={(event) => setLength((event.target as HTMLInputElement).value)} /> s</label>
        )}
        {breakable.options.map((option) => (
          <OptionField key={option.name} option={option} value={options[option.name] ?? ""} disabled={disabled}
            change={(value) => setOptions({ ...options, [option.name]: value })} />
        ))}
        <button type="submit" disabled={disabled} aria-label={`Break: ${breakable.fault}`}>Break</button>
      </div>
    </form>
  );
}

function OptionField({ option, value, disabled, change }: {
  option: FaultOption; value: string; disabled: boolean; change: (value: string) => void;
}) {
  const changed = (event: Event) => change((event.target as HTMLInputElement | HTMLSelectElement).value);
  return (
    <label title={option.doc}>{option.name} {option.names?.length
      ? <select value={value || option.fallback} disabled={disabled} onChange={changed}>
          {option.names.map((name) => <option key={name}>{name}</option>)}</select>
      : <input type="text" size={8} placeholder={option.fallback} value={value} disabled={disabled} onInput={changed} />}</label>
  );
}

function Broken({ trial, now_s, disabled, hidden, heal }: {
  trial: Trial; now_s: number; disabled: boolean; hidden: boolean; heal: (fault: string | null) => void;
}) {
  const broken = [...trial.faults.values()].filter((fault) => inForce(fault, now_s) && isLasting(fault));
  if (!broken.length) return hidden ? null : <p class="muted">Nothing is broken.</p>;
  return (
    <div class="broken-now">
      <ul>{broken.map((fault) => (
        <li key={fault.id}><span><b>{fault.fault}</b> <span class="muted">{remaining(fault, now_s)}</span><br />
          <span class="note">{faultText(fault)}</span></span>
          {!hidden && <button type="button" disabled={disabled} aria-label={`Heal: ${fault.id}`} onClick={() => heal(fault.id)}>Heal</button>}
        </li>
      ))}</ul>
      {!hidden && broken.length > 1 && <button type="button" disabled={disabled} onClick={() => heal(null)}>Heal everything</button>}
    </div>
  );
}

function remaining(fault: Fault, now_s: number): string {
  if (fault.heal_asked_s !== null) return "healing";
  const ends = fault.ends_s ?? null;
  return ends === null ? "until healed" : `for another ${seconds(Math.max(0, Math.round(ends - now_s)))}`;
}

function LoadForm({ factor, disabled, send }: { factor: number; disabled: boolean; send: (factor: number) => void }) {
  const [own, setOwn] = useState("");
  return (
    <form class="load" onSubmit={(event) => {
      event.preventDefault();
      if (own.trim() !== "") send(Number(own));
    }}>
      <fieldset>
        <legend>Load, now {count(factor) === String(factor) ? count(factor) : factor}×</legend>
        {kFactors.map((value) => (
          <button key={value} type="button" disabled={disabled} aria-pressed={value === factor} onClick={() => send(value)}>{value}×</button>
        ))}
        <label class="own">other <input type="number" min="0" max="100" step="any" size={4} value={own} disabled={disabled}
          onInput={(event) => setOwn((event.target as HTMLInputElement).value)} /></label>
        <button type="submit" disabled={disabled || own.trim() === ""}>Set</button>
      </fieldset>
    </form>
  );
}

// Asks once more; the question goes away by itself.
function StopForm({ disabled, send }: { disabled: boolean; send: () => void }) {
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    if (!asked) return;
    const timer = setTimeout(() => setAsked(false), 5000);
    return () => clearTimeout(timer);
  }, [asked]);
  return (
    <p class="stop"><button type="button" class="quiet" disabled={disabled} onClick={() => {
      if (asked) send();
      setAsked(!asked);
    }}>{asked ? "Really stop it" : "Stop this lab"}</button></p>
  );
}
