"""The look of a page: one style sheet, for screens, phones and paper."""

from __future__ import annotations

STYLE = """
:root { --ink: #222; --quiet: #666; --line: #d8d8d8; --faint: #f5f5f3; --link: #2f5f8f; }
* { box-sizing: border-box; }
html { color-scheme: light; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.25; font-weight: 600; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; font-weight: 600; margin: 3rem 0 .75rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
p, figcaption { overflow-wrap: anywhere; }
p { max-width: 44rem; margin: 0 0 1rem; }
.lead { color: var(--quiet); }
nav { margin: 1.25rem 0 0; font-size: .9rem; }
nav a { display: inline-block; margin: 0 1rem .25rem 0; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus { text-decoration: underline; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; line-height: 1.4; }
th, td { padding: .3rem 1.5rem .3rem 0; text-align: left; vertical-align: baseline;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { font-weight: 400; }
thead th { font-weight: 600; border-bottom-color: var(--quiet); vertical-align: bottom; }
th:last-child, td:last-child { padding-right: 0; }
.r { text-align: right; }
td.r { white-space: nowrap; }
.c { text-align: center; }
.figures { display: flex; flex-wrap: wrap; gap: 1.5rem 2rem; align-items: flex-start;
  margin: 0 0 1.5rem; }
.figures > figure { margin: 0; flex: 0 1 auto; }
figure { margin: 0 0 1.5rem; max-width: 100%; break-inside: avoid; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption { max-width: 44rem; margin-top: .4rem; font-size: .85rem; line-height: 1.45;
  color: var(--quiet); }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr));
  gap: 1.25rem 1rem; margin: 0 0 1.5rem; }
.gallery figure { margin: 0; }
.gallery img { width: 100%; border: 1px solid var(--line); }
code, pre { font: .85em/1.5 ui-monospace, "SF Mono", Consolas, "Liberation Mono", monospace; }
.table { break-inside: auto; }
.table figcaption { margin: 0 0 .4rem; }
figcaption code { overflow-wrap: anywhere; }
pre { background: var(--faint); border: 1px solid var(--line); padding: .75rem 1rem;
  margin: 0 0 1.5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
footer { margin-top: 3rem; padding-top: .75rem; border-top: 1px solid var(--line);
  font-size: .85rem; color: var(--quiet); }
@media (max-width: 34rem) {
  main { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.4rem; }
  th, td { padding-right: 1rem; }
  .gallery { grid-template-columns: 1fr 1fr; }
}
@media print {
  @page { margin: 16mm; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  nav { display: none; }
  h2 { break-after: avoid; }
  tr, pre, .gallery figure { break-inside: avoid; }
  .scroll { overflow: visible; }
  .gallery { grid-template-columns: repeat(4, 1fr); }
}
"""
