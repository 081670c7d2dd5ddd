"""How pages look: on a screen, light and dark, on a phone, and in print."""

CSS = """
:root {
  --paper: #ffffff; --ink: #1b1d21; --soft: #5c626b; --line: #dcdfe4; --band: #f5f6f8;
  --accent: #0062a3; --warn-paper: #fff6e0; --warn-line: #c98500;
  --synthetic-paper: #7a1f00; --synthetic-ink: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181c; --ink: #e8eaed; --soft: #a4abb5; --line: #363a42; --band: #1f2228;
    --accent: #7cc0f0; --warn-paper: #332a12; --warn-line: #e0a92e;
    --synthetic-paper: #8f2a06; --synthetic-ink: #ffffff;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0 auto; padding: 1.25rem clamp(0.9rem, 3vw, 2.5rem) 4rem; max-width: 76rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0.4rem 0 0.3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 0.6rem; padding-top: 0.7rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 0.5rem; }
p { max-width: 46rem; margin: 0.5rem 0; }
a { color: var(--accent); }
.soft, .interval, figcaption, .note { color: var(--soft); }
.note { font-size: 0.9rem; }
.interval { display: block; font-size: 0.8rem; white-space: nowrap; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.35rem 1.1rem; list-style: none; padding: 0;
  margin: 0.9rem 0 0; }
.synthetic { background: var(--synthetic-paper); color: var(--synthetic-ink); font-weight: 600;
  padding: 0.75rem 1rem; border-radius: 0.4rem; max-width: none; margin: 0 0 1rem; }
.warnings { background: var(--warn-paper); border-left: 0.35rem solid var(--warn-line);
  padding: 0.7rem 1rem; border-radius: 0.2rem; margin: 1.2rem 0; }
.warnings h2 { border: 0; margin: 0; padding: 0; font-size: 1.05rem; }
.warnings ul { margin: 0.35rem 0 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; }
.wide:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; margin: 0.6rem 0 1rem; font-variant-numeric: tabular-nums;
  font-size: 0.94rem; }
caption { text-align: left; color: var(--soft); padding: 0.2rem 0 0.35rem; }
th, td { padding: 0.38rem 0.9rem 0.38rem 0; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th[scope=row], thead th:first-child { text-align: left; padding-left: 0.4rem; }
thead th { border-bottom: 2px solid var(--line); font-weight: 600; white-space: nowrap; }
th[scope=row] { font-weight: 500; }
tbody tr:nth-child(even) { background: var(--band); }
figure { margin: 1.1rem 0 1.6rem; }
figure .wide { background: #ffffff; border: 1px solid var(--line); border-radius: 0.4rem;
  padding: 0.6rem; }
figure img { display: block; max-width: max(100%, 34rem); height: auto; margin: 0 auto; }
figcaption { font-size: 0.9rem; margin-top: 0.4rem; max-width: 60rem; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: 0.15rem 1.2rem;
  margin: 0.6rem 0 1rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
dd dl { margin: 0; }
code, pre { font: 0.86rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; margin: 0;
  background: var(--band); border: 1px solid var(--line); border-radius: 0.3rem;
  padding: 0.35rem 0.6rem; text-align: left; }
pre span { display: inline-block; max-width: 100%; }
td pre { min-width: 34rem; }
code { overflow-wrap: anywhere; }
.runs th, .runs td { text-align: left; white-space: nowrap; }
summary { cursor: pointer; color: var(--accent); }
@media (max-width: 40rem) {
  body { font-size: 15px; }
  dl { grid-template-columns: 1fr; }
  dt { margin-top: 0.35rem; }
}
@media print {
  :root { --paper: #ffffff; --ink: #000000; --soft: #444444; --line: #bbbbbb; --band: #f5f5f5;
    --accent: #000000; --warn-paper: #ffffff; --warn-line: #000000;
    --synthetic-paper: #ffffff; --synthetic-ink: #000000; }
  @page { margin: 16mm; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  .synthetic { border: 2px solid #000000; }
  .wide { overflow: visible; }
  figure img { max-width: 100%; }
  figure, tr, .warnings, pre { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
