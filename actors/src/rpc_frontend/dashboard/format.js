// Numbers, times and names as people read them.

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const when = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

const UNITS = [['d', 86_400], ['h', 3_600], ['min', 60], ['s', 1]];

/** What stands where there is nothing to say. */
export const NOTHING = '–';

/** A whole number with separators. */
export const count = (value) => (value === null || value === undefined ? NOTHING : whole.format(value));

/** A count with its noun. */
export const counted = (value, noun, nouns = `${noun}s`) => `${whole.format(value)} ${value === 1 ? noun : nouns}`;

/** A rate, with as many digits as say something. */
export function rate(value) {
  if (value === null || value === undefined) return NOTHING;
  if (value === 0) return '0';
  if (value < 0.05) return '< 0.1';
  return value < 10 ? oneDigit.format(value) : whole.format(value);
}

/** A share of one, as percent. */
export const percent = (share) => `${whole.format(Math.min(1, Math.max(0, share)) * 100)} %`;

/** Microseconds. */
export function micros(value) {
  if (!value) return NOTHING;
  if (value < 1_000) return `${whole.format(value)} µs`;
  if (value < 1_000_000) return `${oneDigit.format(value / 1_000)} ms`;
  return `${oneDigit.format(value / 1_000_000)} s`;
}

/** Seconds, in the two largest units, or in the largest one alone. */
export function duration(seconds, units = 2) {
  if (seconds === null || seconds === undefined) return NOTHING;
  const all = Math.max(0, Math.round(seconds));
  const first = UNITS.findIndex(([, length]) => all >= length);
  if (first < 0) return '0 s';
  const [unit, length] = UNITS[first];
  const rest = units === 1 ? undefined : UNITS[first + 1];
  const more = rest ? Math.floor((all % length) / rest[1]) : 0;
  return `${Math.floor(all / length)} ${unit}${more > 0 ? ` ${more} ${rest[0]}` : ''}`;
}

/** How long ago a Unix time in seconds was. A clock that is a little behind is no news from the future. */
export function ago(seconds) {
  const age = Date.now() / 1_000 - seconds;
  if (age < -5) return `in ${duration(-age, 1)}`;
  return age < 1.5 ? 'just now' : `${duration(age, 1)} ago`;
}

/** A Unix time in seconds, in the reader's time zone. */
export const moment = (seconds) => when.format(new Date(seconds * 1_000));

/** Bytes. */
export function bytes(value) {
  if (value < 1_024) return counted(value, 'byte');
  if (value < 1 << 20) return `${oneDigit.format(value / 1_024)} KiB`;
  return `${oneDigit.format(value / (1 << 20))} MiB`;
}

/** A hash or an id, short enough for a table. */
export function short(hash, head = 6, tail = 4) {
  const start = hash.startsWith('0x') ? head + 2 : head;
  return hash.length > start + tail + 1 ? `${hash.slice(0, start)}…${hash.slice(-tail)}` : hash;
}

/** Wei in the unit that suits. All digits are kept: it is money. */
export function wei(value) {
  const amount = BigInt(value);
  if (amount === 0n) return '0';
  const [unit, digits] = amount >= 10n ** 14n ? ['ether', 18] : amount >= 10n ** 8n ? ['gwei', 9] : ['wei', 0];
  const text = amount.toString().padStart(digits + 1, '0');
  const integer = text.slice(0, text.length - digits).replace(/\B(?=(\d{3})+$)/g, ',');
  const fraction = text.slice(text.length - digits).replace(/0+$/, '');
  return `${integer}${fraction ? `.${fraction}` : ''} ${unit}`;
}

/** Transaction data as text, where that is what it is. */
export function text(data) {
  const pairs = data.slice(2).match(/../g) ?? [];
  if (pairs.length === 0) return null;
  try {
    const decoded = new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(pairs, (pair) => parseInt(pair, 16)));
    // Control and formatting characters could make it look like what it is not.
    return /[^\P{C}\n\t]/u.test(decoded) ? null : decoded;
  } catch {
    return null;
  }
}
