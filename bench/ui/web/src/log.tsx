// What happened, the newest first.
import { clock } from "./format";
import type { Trial } from "./model";

const kShown = 200;
const kGlyphs = { phase: "▸", fault: "▓", part: "●", note: "·" };

export function Log({ trial }: { trial: Trial }) {
  const entries = trial.log.slice(-kShown).reverse();
  return (
    <section class="panel" aria-labelledby="events">
      <h2 id="events">Events</h2>
      {entries.length === 0 ? <p class="muted">Nothing yet.</p> : (
        <div class="log" tabIndex={0} role="region" aria-label="Events, the newest first">
          <ol reversed>{entries.map((entry) => (
            <li key={entry.id} class={`is-${entry.kind}`}><span class="at">{entry.at_s === null ? "" : clock(Math.max(0, entry.at_s))}</span>
              <span class="kind" aria-hidden="true">{kGlyphs[entry.kind]}</span>
              <span>{entry.kind === "phase" ? `phase ${entry.text.replace(/_/g, " ")}` : entry.text}</span></li>
          ))}</ol>
        </div>
      )}
    </section>
  );
}
