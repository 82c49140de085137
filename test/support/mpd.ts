// Reads MPEG-DASH manifests back, by code that shares nothing with the writer: a strict XML reader, and what each address plays when.

export type XmlNode = { name: string; attributes: Record<string, string>; children: XmlNode[]; text: string };

const TOKEN =
  /<\?[^>]*\?>|<!--[\s\S]*?-->|<\/([A-Za-z][\w:.-]*)\s*>|<([A-Za-z][\w:.-]*)((?:\s+[\w:.-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/y;

/** @throws Error when the text is not one well-formed element */
export function parseXml(text: string): XmlNode {
  const root: XmlNode = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new Error(`not well-formed at ${at}: ${text.slice(at, at + 60)}`);
    const [, closing, name, attributes = '', selfClosing, characters] = match;
    const parent = open.at(-1);
    if (parent === undefined) throw new Error('an element too many is closed');
    if (characters !== undefined) parent.text += unescaped(characters);
    if (closing !== undefined && open.pop()?.name !== closing) throw new Error(`</${closing}> closes another element`);
    if (name === undefined) continue;
    const node: XmlNode = { name, attributes: parseAttributes(attributes), children: [], text: '' };
    parent.children.push(node);
    if (selfClosing === '') open.push(node);
  }
  const [only] = root.children;
  if (open.length !== 1 || only === undefined || root.children.length !== 1 || root.text.trim() !== '') {
    throw new Error('not one element');
  }
  return only;
}

function parseAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [, name = '', value = ''] of text.matchAll(/([\w:.-]+)="([^"]*)"/g)) {
    if (name in attributes) throw new Error(`attribute ${name} twice`);
    attributes[name] = unescaped(value);
  }
  return attributes;
}

function unescaped(text: string): string {
  return text.replace(/&(\w*);?/g, (_all, name: string) => {
    const character = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }[name];
    if (character === undefined) throw new Error(`&${name} is no entity`);
    return character;
  });
}

export type MpdSegment = { uri: string /** On the presentation's clock. */; startS: number; durationS: number };
export type MpdRepresentation = {
  id: string;
  attributes: Record<string, string>;
  init: string;
  segments: MpdSegment[];
};
export type MpdSet = { contentType: string; attributes: Record<string, string>; representations: MpdRepresentation[] };
export type MpdPeriod = { id: string; startS: number; durationS: number | null; sets: MpdSet[] };
export type Mpd = { type: string; attributes: Record<string, string>; utc: string | null; periods: MpdPeriod[] };

const child = (node: XmlNode, name: string): XmlNode | undefined => node.children.find((one) => one.name === name);
const need = (node: XmlNode, name: string): XmlNode => {
  const found = child(node, name);
  if (found === undefined) throw new Error(`${node.name} without ${name}`);
  return found;
};
const all = (node: XmlNode, name: string): XmlNode[] => node.children.filter((one) => one.name === name);

/** `PT12.5S`; other forms are not written. */
function seconds(text: string | undefined): number | null {
  if (text === undefined) return null;
  const match = /^PT(\d+(?:\.\d+)?)S$/.exec(text);
  if (match === null) throw new Error(`${text} is no duration`);
  return Number(match[1]);
}

/** @throws Error naming what breaks ISO/IEC 23009-1 as far as players lean on it */
export function readMpd(text: string): Mpd {
  const root = parseXml(text);
  if (root.name !== 'MPD' || root.attributes['xmlns'] !== 'urn:mpeg:dash:schema:mpd:2011') throw new Error('no MPD');
  const base = child(root, 'BaseURL')?.text ?? '';
  const mpd: Mpd = {
    type: root.attributes['type'] ?? 'static',
    attributes: root.attributes,
    utc: child(root, 'UTCTiming')?.attributes['value'] ?? null,
    periods: all(root, 'Period').map((period) => readPeriod(period, base)),
  };
  check(mpd);
  return mpd;
}

function readPeriod(node: XmlNode, base: string): MpdPeriod {
  const startS = seconds(node.attributes['start']) ?? 0;
  const sets = all(node, 'AdaptationSet').map((set) => ({
    contentType: set.attributes['contentType'] ?? '',
    attributes: set.attributes,
    representations: all(set, 'Representation').map((one) => readRepresentation(one, base, startS)),
  }));
  return { id: node.attributes['id'] ?? '', startS, durationS: seconds(node.attributes['duration']), sets };
}

function readRepresentation(node: XmlNode, base: string, periodStartS: number): MpdRepresentation {
  const id = node.attributes['id'] ?? '';
  const template = child(node, 'SegmentTemplate');
  const holder = template ?? need(node, 'SegmentList');
  const timescale = Number(holder.attributes['timescale']);
  const offset = Number(holder.attributes['presentationTimeOffset'] ?? 0);
  const times = readTimeline(need(holder, 'SegmentTimeline'));
  const fill = (text: string, number: number) =>
    base + text.replaceAll('$RepresentationID$', id).replaceAll('$Number$', String(number));
  const first = Number(holder.attributes['startNumber'] ?? 1);
  const listed = all(holder, 'SegmentURL').map((one) => one.attributes['media'] ?? '');
  if (template === undefined && listed.length !== times.length) throw new Error(`${id}: addresses and times differ`);
  const segments = times.map(({ t, d }, index) => ({
    uri: fill(template?.attributes['media'] ?? listed[index] ?? '', first + index),
    startS: periodStartS + (t - offset) / timescale,
    durationS: d / timescale,
  }));
  const init = template?.attributes['initialization'] ?? need(holder, 'Initialization').attributes['sourceURL'] ?? '';
  return { id, attributes: node.attributes, init: fill(init, 0), segments };
}

function readTimeline(node: XmlNode): { t: number; d: number }[] {
  const times: { t: number; d: number }[] = [];
  let at = 0;
  for (const { attributes } of all(node, 'S')) {
    if (times.length === 0 && attributes['t'] === undefined) throw new Error('the first S has no t');
    const d = Number(attributes['d']);
    at = Number(attributes['t'] ?? at);
    if (!(Number.isInteger(d) && d > 0 && Number.isInteger(at) && at >= 0)) throw new Error(`S ${at} ${d}`);
    for (let round = 0; round <= Number(attributes['r'] ?? 0); round += 1) {
      times.push({ t: at, d });
      at += d;
    }
  }
  return times;
}

/** Audio frames do not end where pictures do. Unit: s. */
const SLACK_S = 0.1;

function check(mpd: Mpd): void {
  const has = (name: string) => mpd.attributes[name] !== undefined;
  const isLive = mpd.type === 'dynamic';
  for (const name of ['availabilityStartTime', 'publishTime', 'minimumUpdatePeriod', 'timeShiftBufferDepth']) {
    if (has(name) !== isLive) throw new Error(`${mpd.type} and ${name}`);
  }
  if (isLive !== (mpd.utc !== null)) throw new Error(`${mpd.type} and UTCTiming ${mpd.utc}`);
  if (has('mediaPresentationDuration') === isLive) throw new Error(`${mpd.type} and mediaPresentationDuration`);
  if (!has('profiles') || !has('minBufferTime')) throw new Error('profiles and minBufferTime are required');
  const ids = mpd.periods.map(({ id }) => id);
  if (ids.includes('') || new Set(ids).size !== ids.length) throw new Error(`Period ids: ${ids.join()}`);
  if (mpd.periods.length === 0) throw new Error('no Period');
  const endS = seconds(mpd.attributes['mediaPresentationDuration']) ?? Number.POSITIVE_INFINITY;
  mpd.periods.forEach((period, index) => {
    checkPeriod(period, mpd.periods[index + 1]?.startS ?? endS);
  });
}

function checkPeriod(period: MpdPeriod, endS: number): void {
  if (period.startS >= endS) throw new Error(`Period ${period.id} begins at ${period.startS}, after its end ${endS}`);
  if (period.sets.length === 0) throw new Error(`Period ${period.id} is empty`);
  for (const { contentType, attributes, representations } of period.sets) {
    if (attributes['mimeType'] !== `${contentType}/mp4`) throw new Error(`mimeType ${attributes['mimeType']}`);
    for (const { id, segments, attributes: own } of representations) {
      if (segments.length === 0 || own['codecs'] === undefined || !(Number(own['bandwidth']) > 0)) {
        throw new Error(`Representation ${id} is not complete`);
      }
      const first = segments[0]?.startS ?? 0;
      const last = segments.at(-1);
      if (first < period.startS - SLACK_S) throw new Error(`${id} begins at ${first}, before its Period`);
      if ((last?.startS ?? 0) >= endS + SLACK_S) throw new Error(`${id} goes on after its Period`);
      segments.slice(1).forEach(({ startS }, index) => {
        const before = segments[index];
        const end = (before?.startS ?? 0) + (before?.durationS ?? 0);
        if (Math.abs(startS - end) > SLACK_S) throw new Error(`${id}: a hole at ${end}`);
      });
    }
    const shapes = representations.map(({ segments }) => segments.map(({ startS }) => startS.toFixed(2)).join());
    if (contentType === 'video' && new Set(shapes).size > 1) throw new Error('video segments are not aligned');
  }
}
