/** The dashboard's start: makes the parts of the page, and ties them to what is known. */
import 'uplot/dist/uPlot.min.css';
import { ChartGroup } from './charts/group.ts';
import { h } from './dom.ts';
import { Feed } from './feed.ts';
import { AuditBar } from './panels/audit-bar.ts';
import { CollectorList } from './panels/collectors.ts';
import { ExportLinks } from './panels/export.ts';
import { LinkPanel } from './panels/link.ts';
import { Notice } from './panels/notice.ts';
import { RangeBar } from './panels/range-bar.ts';
import { RangesDialog } from './panels/ranges-dialog.ts';
import { StoryPanel } from './panels/story.ts';
import { Top } from './panels/top.ts';
import { FIRST_RANGE, isLive, type Range } from './range.ts';
import { type State, Store, shownId } from './state.ts';
import { searchOf, type View, viewOf } from './url-state.ts';

/** Time goes by where nothing else happens: what is counted, and what follows now. */
const TICK_MS = 1_000;

/** Of a collector that was not shown before. */
const NOTHING_KNOWN = {
  gaps: undefined,
  held: undefined,
  seriesError: undefined,
  firstCapturedAt: undefined,
  lacks: [],
} as const;

const store = new Store({
  view: viewOf(location.search),
  connection: { kind: 'connecting' },
  asOf: undefined,
  collectors: undefined,
  first: undefined,
  audits: new Map(),
  lab: undefined,
  ...NOTHING_KNOWN,
});
const feed = new Feed(store);

/** Where one goes back to from a closer look. */
let home: Range = isLive(store.state.view.range) ? store.state.view.range : FIRST_RANGE;

/** What makes no sense in the address is not shown, so it does not stay there either. */
function settleAddress(): void {
  const search = searchOf(store.state.view);
  if (location.search === search) return;
  history.replaceState(null, '', `${location.pathname}${search}${location.hash}`);
}

function show(view: View): void {
  history.pushState(null, '', searchOf(view) || location.pathname);
  look(view);
}

function look(view: View): void {
  const before = shownId(store.state);
  store.set({ view });
  if (shownId(store.state) !== before) store.set(NOTHING_KNOWN);
  feed.onView();
}

function showRange(range: Range): void {
  show({ ...store.state.view, range });
}

function chooseRange(range: Range): void {
  home = range;
  showRange(range);
}

const reset = () => showRange(home);

const top = new Top();
const collectors = new CollectorList((collector) => show({ ...store.state.view, collector }));
const link = new LinkPanel((changed) => feed.onLinkChanged(changed));
const ranges = new RangesDialog();
const audit = new AuditBar((fate) => ranges.open(fate));
const story = new StoryPanel();
const notice = new Notice();
const range = new RangeBar(chooseRange, reset);
const charts = new ChartGroup(showRange, reset);
const takeaway = new ExportLinks();
const beside = h('aside', { hidden: true }, collectors.element, link.element);
const view = h('div', { class: 'view' }, range.element, charts.element, takeaway.element);

const middle = h('main', { hidden: true }, audit.element, story.element, notice.element, view);

document.getElementById('app')?.append(top.element, beside, middle, ranges.element);

store.watch((state: State) => {
  const empty = shownId(state) === undefined;
  // All at once, so that nothing moves when the last part of it is known.
  const ready = state.lab !== undefined || state.connection.kind === 'away';
  beside.hidden = !ready;
  middle.hidden = !ready;
  view.hidden = empty || state.seriesError !== undefined;
  audit.element.hidden = empty;
  story.element.hidden = empty;
  for (const part of [
    top,
    collectors,
    link,
    audit,
    story,
    notice,
    range,
    ranges,
    charts,
    takeaway,
  ]) {
    part.update(state);
  }
  document.title = titleOf(state);
});

function titleOf(state: State): string {
  const id = shownId(state);
  return id === undefined ? 'Holdfast' : `${id} – Holdfast`;
}

window.addEventListener('popstate', () => {
  look(viewOf(location.search));
  settleAddress();
});
setInterval(() => {
  if (!document.hidden) store.set({});
}, TICK_MS);
settleAddress();
feed.start();
