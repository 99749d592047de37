#include "bench/report/html.h"

namespace lab::bench {

// Colours after Okabe and Ito (jfly.uni-koeln.de/color), darkened on white and lightened on black until lines have a
// contrast of 3:1 and text of 4.5:1 (WCAG 2.1 AA).
const char* HtmlStyle() {
  return R"css(
:root {
  color-scheme: light dark;
  --page: #ffffff; --raised: #f5f6f8; --ink: #15181c; --soft: #59616b; --rule: #dcdfe4; --link: #0060a0;
  --pass: #00704d; --fail: #b23a00; --open: #7c5c00; --none: #59616b;
  --blue: #0072b2; --red: #c84f00; --green: #00835f; --purple: #a04a7c; --grey: #6b737d; --black: #15181c;
  --fault: #e69f00; --fault-ink: #7c5c00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101317; --raised: #191d23; --ink: #e8eaed; --soft: #a5aeb8; --rule: #2d333b; --link: #7cc0ef;
    --pass: #3fc796; --fail: #ff9153; --open: #ecc04e; --none: #a5aeb8;
    --blue: #56b4e9; --red: #f28c4a; --green: #2fc193; --purple: #d58bb4; --grey: #98a1ab; --black: #e8eaed;
    --fault: #e69f00; --fault-ink: #ecc04e;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 76rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
h1, h2, h3, h4, p, ul, ol, dl, figure { margin: 0; }
h1 { font-size: clamp(1.7rem, 1.2rem + 2.2vw, 2.6rem); line-height: 1.15; letter-spacing: -0.02em; font-weight: 680; }
h2 { font-size: 1.3rem; letter-spacing: -0.01em; margin-bottom: .75rem; }
h3 { font-size: 1rem; margin: 2rem 0 .35rem; }
h4 { font-size: .85rem; margin: .9rem 0 .2rem; }
section { margin-top: 3.25rem; scroll-margin-top: 1rem; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 3px; border-radius: 2px; }
code { font: .85em/1.5 ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.hint, .note, .conditions, .muted { color: var(--soft); }
.hint { font-size: .9rem; max-width: 44rem; }
.note { display: block; font-size: .8rem; font-weight: 400; line-height: 1.35; }
.tag {
  display: inline-block; font-size: .7rem; font-weight: 600; line-height: 1.4; padding: 0 .45em; border-radius: 1em;
  color: var(--fail); border: 1px solid currentColor; vertical-align: .1em; white-space: nowrap;
}
.eyebrow { font: .85rem ui-monospace, "DejaVu Sans Mono", monospace; color: var(--soft); margin-bottom: .35rem; }
.question { font-size: 1.15rem; color: var(--soft); margin-top: .5rem; max-width: 58rem; text-wrap: balance; }
.verdict {
  display: flex; gap: 1.1rem; align-items: flex-start; margin: 1.75rem 0 1rem; padding: 1.1rem 1.35rem; border-radius: .6rem;
  background: var(--raised); border-left: .4rem solid currentColor;
}
.verdict > div { color: var(--ink); }
.verdict .glyph { font-size: 2.1rem; line-height: 1.1; font-weight: 700; }
.verdict .word { font-weight: 750; letter-spacing: .09em; font-size: 1.15rem; }
.verdict.pass .word, .verdict.pass { color: var(--pass); }
.verdict.fail .word, .verdict.fail { color: var(--fail); }
.verdict.open .word, .verdict.open { color: var(--open); }
.verdict.none .word, .verdict.none { color: var(--none); }
.verdict ul { margin: .35rem 0 0; padding-left: 1.1rem; font-size: .92rem; }
.conditions { font-size: .88rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin-top: 1.25rem; padding-top: .8rem; border-top: 1px solid var(--rule);
  font-size: .9rem; }
.mark { display: inline-block; width: 1.2em; text-align: center; font-weight: 750; }
.mark.pass { color: var(--pass); } .mark.fail { color: var(--fail); } .mark.open { color: var(--open); } .mark.none { color: var(--none); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { padding: .5rem .75rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--rule); font-weight: 600; }
tr > :first-child { padding-left: 0; } tr > :last-child { padding-right: 0; }
th[scope=row] { font-weight: 550; }
th code { display: block; font-weight: 400; color: var(--soft); }
.numbers td, .numbers thead th { text-align: right; white-space: nowrap; }
.numbers thead th:first-child, .numbers td.text { text-align: left; }
.numbers td.text { white-space: normal; min-width: 7rem; }
.faults th, .faults thead th:nth-child(2), .faults thead th:last-child { text-align: left; white-space: nowrap; }
.variants td { font-size: 1.02rem; font-weight: 550; }
.variants thead th { white-space: normal; min-width: 5.5rem; }
.variants thead .note { margin-left: auto; max-width: 14rem; }
.variants thead .tag { display: block; width: fit-content; margin: .15rem 0 .15rem auto; }
.variants th[scope=row], .variants thead td { min-width: 11rem; width: 30%; }
.variants thead th { width: 12%; }
.variants th[scope=row] { position: sticky; left: 0; background: var(--page); }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 3px; }
.rules td:first-child { width: 2rem; }
.rules th[scope=row] { min-width: 10rem; width: 38%; }
.findings, .catches, .legend, .files, .settings { list-style: none; padding: 0; }
.findings li + li { margin-top: .15rem; }
.findings .control, .findings .control .mark { color: var(--soft); }
.findings li { padding-left: 1.45em; text-indent: -1.45em; } .findings li > * { text-indent: 0; }
.offenders { padding-left: 1.6rem; font-size: .85rem; }
details { font-size: .85rem; margin-top: .4rem; }
details details { font-size: 1em; }
summary { cursor: pointer; color: var(--link); width: fit-content; }
details table { font-size: .82rem; margin-top: .4rem; }
details th, details td { padding: .2rem .55rem; }
.steps { max-height: 22rem; overflow-y: auto; }
.more { margin-top: 1.5rem; font-size: 1rem; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.4rem; margin: .6rem 0 .9rem; font-size: .88rem; }
.legend li { display: flex; align-items: center; gap: .5rem; }
.legend svg { width: 2.1rem; height: .62rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.75rem 2.25rem; }
figure { min-width: 0; container-type: inline-size; break-inside: avoid; }
figcaption { font-weight: 600; margin-bottom: .35rem; }
figure > svg { display: block; width: 100%; height: auto; max-width: 48rem; overflow: visible; }
svg text { font-family: inherit; font-size: 12.5px; fill: var(--soft); }
@container (max-width: 27rem) { svg text { font-size: 14.5px; } }
@container (max-width: 22.5rem) { svg text { font-size: 16.5px; } }
@container (min-width: 38rem) { svg text { font-size: 10.5px; } }
svg .grid, svg .axis, svg .phase, svg .level, svg .fault-edge { fill: none; stroke-width: 1; }
svg .grid { stroke: var(--rule); } svg .axis { stroke: var(--soft); }
svg .phase { stroke: var(--rule); stroke-dasharray: 2 3; }
svg .fault { fill: var(--fault); fill-opacity: .17; }
svg .fault-edge { stroke: var(--fault); }
svg .fault-name { fill: var(--fault-ink); font-weight: 600; }
svg .level { stroke: var(--fail); stroke-dasharray: 8 4; }
svg .level-name, svg .clipped { fill: var(--fail); }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
svg .line-p99 { stroke: var(--red); stroke-width: 2.2; }
svg .line-p50 { stroke: var(--blue); stroke-dasharray: 7 4; }
svg .line-max { stroke: var(--grey); stroke-dasharray: 1 4; }
svg .line-offered { stroke: var(--black); stroke-dasharray: 1 4; }
svg .line-answered { stroke: var(--blue); stroke-dasharray: 7 4; }
svg .line-admitted { stroke: var(--green); stroke-width: 2.4; }
svg .line-failed { stroke: var(--red); stroke-dasharray: 9 3 1 3; }
svg .line-lane0 { stroke: var(--red); }
svg .line-lane1 { stroke: var(--blue); stroke-dasharray: 7 4; }
svg .line-lane2 { stroke: var(--green); stroke-dasharray: 2 4; }
svg .line-lane3 { stroke: var(--purple); stroke-dasharray: 10 3 2 3; }
svg .line-lane4 { stroke: var(--black); stroke-dasharray: 4 3; }
svg .line-lane5 { stroke: var(--grey); stroke-dasharray: 1 5; }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .4rem 1.75rem; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.command { display: inline-block; background: var(--raised); padding: .2rem .6rem; border-radius: .3rem; }
.files { columns: 18rem; } .files li, .settings li { overflow-wrap: anywhere; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--rule); font-size: .85rem; color: var(--soft); }
@media (max-width: 34rem) {
  body { padding-top: 1.5rem; }
  dl { grid-template-columns: 1fr; gap: 0; } dt { margin-top: .6rem; }
  .verdict { padding: 1rem; gap: .8rem; }
  th, td { padding: .45rem .5rem; }
  .rules, .rules tbody, .rules tr, .rules td, .rules th, .rules th[scope=row] {
    display: block; width: auto; min-width: 0; border: 0; padding: 0;
  }
  .variants thead .note { max-width: 9rem; } .variants th[scope=row], .variants thead td { min-width: 7.5rem; }
  .variants th code { display: none; }
  .rules thead { display: none; }
  .rules tr { position: relative; padding: .6rem 0 .6rem 1.9rem; border-bottom: 1px solid var(--rule); }
  .rules td:first-child { position: absolute; left: 0; top: .6rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, details:not([open]) { display: none; }
  section { margin-top: 1.5rem; } h2, h3 { break-after: avoid; } tr, .verdict { break-inside: avoid; }
  .panels { grid-template-columns: 1fr 1fr; gap: 1rem; }
  .scroll, .steps { overflow: visible; max-height: none; }
}
)css";
}

}  // namespace lab::bench
