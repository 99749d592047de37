// What the judge said, once it has.
import type { Verdict, Verdictlike } from "./types";

const kCss: Record<Verdictlike, string> = { pass: "pass", fail: "fail", inconclusive: "open", "not asked": "none" };
const kGlyphs: Record<Verdictlike, string> = { pass: "✓", fail: "✗", inconclusive: "?", "not asked": "·" };
const kWords: Record<Verdictlike, string> = { pass: "holds", fail: "broken", inconclusive: "inconclusive", "not asked": "not asked" };

export function VerdictBlock({ verdict }: { verdict: Verdict }) {
  const [headline, ...more] = verdict.reasons;
  return (
    <section aria-labelledby="verdict">
      <h2 id="verdict" class="hidden">Verdict</h2>
      <div class={`verdict ${kCss[verdict.state]}`}>
        <span class="glyph" aria-hidden="true">{kGlyphs[verdict.state]}</span>
        <div>
          <p class="word">{verdict.state.toUpperCase()}</p>
          {headline && <p>{headline}</p>}
          {more.length > 0 && <ul>{more.map((reason) => <li key={reason}>{reason}</li>)}</ul>}
          {verdict.report && <p class="note">The whole report: <code>{verdict.report}</code></p>}
        </div>
      </div>
      {verdict.findings.length > 0 && (
        <details open={verdict.state !== "pass"}>
          <summary>{verdict.findings.length} findings</summary>
          <div class="scroll" tabIndex={0} role="region" aria-label="Findings, table">
            <table><thead><tr><th scope="col">state</th><th scope="col">rule</th><th scope="col">variant</th><th scope="col">measured</th></tr></thead>
              <tbody>{verdict.findings.map((finding, i) => (
                <tr key={i}><td><span class={`mark ${kCss[finding.state]}`} aria-hidden="true">{kGlyphs[finding.state]}</span> {kWords[finding.state]}
                  {finding.control && <span class="tag">broken on purpose</span>}</td>
                  <th scope="row">{finding.rule}</th><td>{finding.variant || "comparison"}</td>
                  <td>{[finding.measured, finding.why].filter(Boolean).join(", ")}</td></tr>
              ))}</tbody></table>
          </div>
        </details>
      )}
    </section>
  );
}
