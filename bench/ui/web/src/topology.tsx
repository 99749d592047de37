// The parts and who talks to whom, with what is wrong with each. Rows from the load down to the stores.
import { isLasting, type Trial } from "./model";
import type { Fault, Link, Part } from "./types";

interface Node { name: string; base: string; part: Part | null; x: number; y: number }

const kWidth = 118, kHeight = 46, kGapX = 14, kGapY = 40;

export const kLoad = "load";

export function Topology({ trial, links, at_s, ended }: { trial: Trial; links: Link[]; at_s: number; ended: boolean }) {
  const nodes = layOut(trial.parts, links);
  if (nodes.length < 2) return null;
  const broken = trial.faultsAt(at_s).filter(isLasting);
  const width = Math.max(...nodes.map((node) => node.x)) + kWidth;
  const height = Math.max(...nodes.map((node) => node.y)) + kHeight;
  const stateOf = (node: Node) => nodeState(node, broken, at_s, ended);
  const text = nodes.filter((node) => node.part).map((node) => `${node.name} ${stateOf(node).text}`).join(", ");
  return (
    <figure class="topology">
      <svg viewBox={`0 0 ${width} ${height}`} style={{ maxWidth: `${width * 1.25}px` }} role="img"
        aria-label={`The system: ${text}.`}>
        {edges(nodes, links).map(({ from, to, link }) => (
          <Edge key={from.name + to.name} from={from} to={to} proxied={link.proxied ?? false} fault={linkFault(link, broken)} />
        ))}
        {nodes.map((node) => {
          const state = stateOf(node);
          return (
            <g key={node.name} class={`node ${node.part ? state.css : "source"}`}>
              <rect x={node.x + 0.5} y={node.y + 0.5} width={kWidth - 1} height={kHeight - 1} rx="7" />
              <text class="name" x={node.x + kWidth / 2} y={node.y + 19}>{node.name}</text>
              <text x={node.x + kWidth / 2} y={node.y + 35}>{node.part ? `${state.glyph} ${state.text}` : "generator"}</text>
            </g>
          );
        })}
      </svg>
      <details>
        <summary>Parts as a table</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label="Parts, table">
          <table><thead><tr><th scope="col">part</th><th scope="col">state</th><th scope="col">version</th><th scope="col">ports</th></tr></thead>
            <tbody>{nodes.filter((node) => node.part).map((node) => (
              <tr key={node.name}><th scope="row">{node.name}</th><td>{stateOf(node).text}</td>
                <td>{node.part!.version || node.part!.kind}</td><td>{ports(node.part!)}</td></tr>
            ))}</tbody></table>
        </div>
      </details>
    </figure>
  );
}

function Edge({ from, to, proxied, fault }: { from: Node; to: Node; proxied: boolean; fault?: Fault }) {
  const x1 = from.x + kWidth / 2, y1 = from.y + kHeight, x2 = to.x + kWidth / 2, y2 = to.y;
  const middle = (y1 + y2) / 2;
  return (
    <g class={`edge ${fault ? "broken" : ""} ${proxied ? "proxied" : ""}`}>
      <path d={`M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2 - 5}`} />
      <path class="tip" d={`M${x2 - 4} ${y2 - 7}L${x2} ${y2 - 1}L${x2 + 4} ${y2 - 7}Z`} />
      {proxied && !fault && <circle cx={(x1 + x2) / 2} cy={middle} r="3.5"><title>through the fault proxy</title></circle>}
      {fault && <text x={(x1 + x2) / 2 + 8} y={middle + 4}>✗ {fault.fault.slice(fault.fault.lastIndexOf(".") + 1)}</text>}
    </g>
  );
}

function nodeState(node: Node, broken: Fault[], at_s: number, ended: boolean): { css: string; glyph: string; text: string } {
  const fault = broken.find((candidate) => candidate.part === node.base || candidate.part === node.name);
  if (fault) {
    const action = fault.fault.slice(fault.fault.lastIndexOf(".") + 1);
    const healing = fault.heal_asked_s !== null && at_s >= fault.heal_asked_s;
    return { css: fault.seen_s === null ? "doubtful" : "broken", glyph: "✗", text: healing ? "healing" : action };
  }
  const state = node.part?.state ?? (ended ? "well" : "up");
  if (state === "up" || state === "well") return { css: "up", glyph: "✓", text: state };
  return { css: state === "down" ? "broken" : "stopped", glyph: state === "down" ? "✗" : "·", text: state };
}

// The fault of a link is named like it: part "ratelimit->redis".
function linkFault(link: Link, broken: Fault[]): Fault | undefined {
  return broken.find((fault) => fault.part === `${link.from}->${link.to}`);
}

function baseOf(name: string, known: Set<string>): string {
  const base = name.replace(/-\d+$/, "");
  return known.has(name) || !known.has(base) ? name : base;
}

function edges(nodes: Node[], links: Link[]) {
  return links.flatMap((link) =>
    nodes.filter((node) => node.base === link.from).flatMap((from) =>
      nodes.filter((node) => node.base === link.to).map((to) => ({ from, to, link }))));
}

// The row of a part is its longest way from the load.
function layOut(parts: Part[], links: Link[]): Node[] {
  const linked = new Set(links.flatMap((link) => [link.from, link.to]));
  const bases = parts.map((part) => baseOf(part.name, linked));
  const depth = new Map<string, number>([[kLoad, 0], ...bases.map((base): [string, number] => [base, 1])]);
  for (let round = 0; round < bases.length; ++round) {
    for (const { from, to } of links) {
      if (!depth.has(from) || !depth.has(to) || to === kLoad) continue;
      depth.set(to, Math.min(Math.max(depth.get(to)!, depth.get(from)! + 1), bases.length + 1));
    }
  }
  const replicated = new Map<string, number>();
  for (const base of bases) replicated.set(base, (replicated.get(base) ?? 0) + 1);
  const nodes: Node[] = [{ name: kLoad, base: kLoad, part: null, x: 0, y: 0 }];
  parts.forEach((part, i) => {
    const base = bases[i];
    const several = part.name === base && replicated.get(base)! > 1;
    const name = part.label ?? (several ? `${base}-${part.replica ?? i}` : part.name);
    nodes.push({ name, base, part, x: 0, y: 0 });
  });
  const rows = new Map<number, Node[]>();
  for (const node of nodes) {
    const row = depth.get(node.base)!;
    rows.set(row, [...(rows.get(row) ?? []), node]);
  }
  const widest = Math.max(...[...rows.values()].map((row) => row.length));
  [...rows.entries()].sort((a, b) => a[0] - b[0]).forEach(([, row], r) => row.forEach((node, i) => {
    node.x = ((widest - row.length) / 2 + i) * (kWidth + kGapX);
    node.y = r * (kHeight + kGapY);
  }));
  return nodes;
}

function ports(part: Part): string {
  return Object.entries(part.ports ?? {}).map(([name, port]) => `${name} ${port}`).join(", ");
}
