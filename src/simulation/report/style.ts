/** How a report looks: calm, in light and dark, on a phone and on paper. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #f4f6f6; --surface: #ffffff; --text: #16242c; --muted: #566872; --line: #dfe6e8;
  --first: #146c86; --first-soft: #146c8622; --second: #b8651b; --second-soft: #b8651b22;
  --bar: #146c8638; --waiting: #8aa4ae; --fault: #b3372b; --good: #1f7148; --bad: #b3372b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f171b; --surface: #162126; --text: #e2ebee; --muted: #93a6af; --line: #28373e;
    --first: #5cb8d2; --first-soft: #5cb8d226; --second: #e3a15c; --second-soft: #e3a15c22;
    --bar: #5cb8d240; --waiting: #5d7681; --fault: #f08b7c; --good: #6cc797; --bad: #f08b7c;
  }
}
*, *::before, *::after { box-sizing: border-box }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%; text-size-adjust: 100%;
}
main, header, footer { max-width: 1160px; margin: 0 auto; padding: 0 32px }
header { padding-top: 44px }
h1, h2, h3, p, figure, dl, dd, table { margin: 0 }
h1 { font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -.012em; text-wrap: balance; overflow-wrap: anywhere }
h2 { font-size: 18px; line-height: 1.3; font-weight: 650 }
h3 { font-size: 15px; line-height: 1.4; font-weight: 650; overflow-wrap: anywhere }
.eyebrow { color: var(--first); font-weight: 600; margin-bottom: 6px }
.lead { margin-top: 10px; max-width: 68ch; font-size: 17px; color: var(--muted); text-wrap: pretty }
.lead strong { color: var(--text); font-weight: 600 }
.scenario { display: grid; grid-template-columns: repeat(auto-fit, minmax(148px, 1fr)); gap: 14px 24px; margin: 26px 0 32px }
dt { color: var(--muted); font-size: 13px }
dd { font-weight: 600; overflow-wrap: anywhere }
section { background: var(--surface); border: 1px solid var(--line); border-radius: 12px; padding: 22px 26px 24px; margin-bottom: 20px }
.head { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; gap: 2px 20px }
.read { color: var(--muted); font-size: 13px; min-height: 1.5em }
.note { color: var(--muted); font-size: 13.5px; max-width: 80ch; margin-top: 2px; text-wrap: pretty }
figcaption { color: var(--muted); font-size: 13.5px; margin-top: 8px; max-width: 84ch; text-wrap: pretty }
.plot { margin: 12px 0 0 -6px; min-width: 0 }
.plot .u-cursor-x { border-right: 1px solid var(--muted) !important; opacity: .6 }
.plot .u-select { background: var(--first-soft) }
.uses { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 26px 40px; margin-top: 18px }
.uses .limits { color: var(--muted); font-weight: 400; font-size: 13.5px; margin-left: 6px }
.pair { display: grid; grid-template-columns: minmax(0, 1fr) 330px; gap: 20px; align-items: stretch }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; padding: 0; margin: 8px 0 0; list-style: none; font-size: 13.5px; color: var(--muted) }
.legend i { display: inline-block; width: 18px; height: 3px; border-radius: 2px; margin-right: 7px; vertical-align: middle; background: var(--first) }
.legend .second { background: var(--second) }
.legend .bars { height: 12px; background: var(--bar) }
.legend .waiting { height: 5px; background: var(--waiting) }
.legend .fault { height: 12px; background: repeating-linear-gradient(135deg, var(--fault) 0 1px, transparent 1px 5px); opacity: .7 }
table { width: 100%; border-collapse: collapse; margin-top: 12px }
th { font-weight: 500; color: var(--muted); text-align: left; font-size: 13px; vertical-align: bottom }
th, td { padding: 8px 0 8px 18px; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { padding-left: 0 }
tbody tr:last-child > * { border-bottom: 0; padding-bottom: 0 }
tbody td { vertical-align: baseline }
tbody th { color: var(--text); font-size: 15px; font-weight: 500; vertical-align: baseline; overflow-wrap: break-word }
tbody th small { display: block; color: var(--muted); font-size: 13px; font-weight: 400 }
.number { text-align: right; white-space: nowrap }
thead .number { white-space: normal }
.value { font-size: 20px; font-weight: 650; letter-spacing: -.01em }
.verdict { font-weight: 600; white-space: nowrap; text-align: right; width: 1%; padding-left: 28px }
.met { color: var(--good) }
.missed { color: var(--bad) }
.reasons { margin-top: 10px }
footer { color: var(--muted); font-size: 13px; padding-bottom: 44px; padding-top: 6px }
@media (max-width: 900px) {
  .pair { grid-template-columns: minmax(0, 1fr); gap: 0 }
}
@media (max-width: 720px) {
  body { font-size: 15px }
  main { padding: 0 12px }
  header, footer { padding-left: 20px; padding-right: 20px }
  header { padding-top: 26px }
  h1 { font-size: 24px }
  .lead { font-size: 16px }
  .scenario { grid-template-columns: repeat(2, minmax(0, 1fr)); margin: 20px 0 24px }
  section { padding: 18px 16px 20px; margin-bottom: 12px; border-radius: 10px }
  .uses { grid-template-columns: minmax(0, 1fr) }
  .read:empty { display: none }
  th, td { padding-left: 8px; font-size: 13.5px }
  .value { font-size: 14px }
  .verdict { padding-left: 10px }
  tbody th { font-size: 13.5px }
  .blocks, .blocks tbody { display: block; margin-top: 6px }
  .blocks thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
  .blocks tbody tr { display: grid; grid-template-columns: 1.2fr 1.3fr 1.2fr 1fr 1fr; gap: 8px 12px; padding: 12px 0; border-bottom: 1px solid var(--line) }
  .blocks tbody tr:last-child { border-bottom: 0; padding-bottom: 0 }
  .blocks tbody th { grid-column: 1 / -1; border: 0; padding: 0; font-size: 15px; font-weight: 600 }
  .blocks tbody th small { display: inline; margin-left: 6px }
  .blocks td { border: 0; padding: 0; text-align: left; font-size: 15px }
  .blocks td::before { content: attr(data-name); display: block; color: var(--muted); font-size: 12px }
  .blocks td:nth-of-type(6) { grid-column: 1 / 4 }
  .blocks td:nth-of-type(7) { grid-column: 4 / -1 }
}
@media print {
  body { background: #fff }
  section { break-inside: avoid }
}
`
