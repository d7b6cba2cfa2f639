/** A part of the week in a time zone: `mon-fri 22:00-06:00 Europe/Madrid`. */
export interface TimeSpan {
  /** 0 is Sunday. */
  readonly days: readonly number[];
  /** Minutes of the day; an end at or before the start lies in the next day, which belongs to the day it began in. */
  readonly fromMin: number;
  readonly toMin: number;
  /** IANA name. */
  readonly zone: string;
}

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const DAY_MIN = 24 * 60;
const TEXT =
  /^(?:([a-z]{3}(?:[-,][a-z]{3})*)(?:\s+|$))?(?:(\d\d?):(\d\d)-(\d\d?):(\d\d)(?:\s+|$))?([A-Z][\w+-]*(?:\/[\w+-]+)*)?$/;

/** `[days] [from-to] [zone]`, at least one of the first two. The zone is UTC unless said. Throws what is wrong with the text. */
export function parseTimeSpan(text: string): TimeSpan {
  const found = TEXT.exec(text.trim());
  const [, days, fromH, fromM, toH, toM, zone = "UTC"] = found ?? [];
  if (found === null || (days === undefined && fromH === undefined))
    throw new TypeError(`"${text}" is no time span: write for example mon-fri 22:00-06:00 Europe/Madrid`);
  try {
    localTime(0, zone);
  } catch {
    throw new TypeError(`"${zone}" is no time zone of the IANA list, such as Europe/Madrid`);
  }
  const fromMin = minuteOf(fromH ?? "0", fromM ?? "0", text);
  const toMin = minuteOf(toH ?? "24", toM ?? "0", text);
  return { days: days === undefined ? [0, 1, 2, 3, 4, 5, 6] : daysOf(days), fromMin, toMin, zone };
}

/** Pure: the time is given, the zone's rules are those of the Node that runs it. */
export function isWithin({ days, fromMin, toMin, zone }: TimeSpan, timeMs: number): boolean {
  const { day, minute } = localTime(timeMs, zone);
  if (fromMin < toMin) return days.includes(day) && minute >= fromMin && minute < toMin;
  return (days.includes(day) && minute >= fromMin) || (days.includes((day + 6) % 7) && minute < toMin);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function localTime(timeMs: number, zone: string): { readonly day: number; readonly minute: number } {
  let format = formats.get(zone);
  if (format === undefined) {
    const options = { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone } as const;
    format = new Intl.DateTimeFormat("en-US", options);
    formats.set(zone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(timeMs).map(({ type, value }) => [type, value]));
  const { weekday = "", hour = "0", minute = "0" } = parts;
  return { day: DAYS.indexOf(weekday.toLowerCase()), minute: Number(hour) * 60 + Number(minute) };
}

function daysOf(text: string): readonly number[] {
  const days = text.split(",").flatMap((part) => {
    const [from = "", to = from] = part.split("-");
    const [first, last] = [dayOf(from), dayOf(to)];
    return Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, i) => (first + i) % 7);
  });
  return [...new Set(days)].sort((a, b) => a - b);
}

function dayOf(name: string): number {
  const day = DAYS.indexOf(name);
  if (day < 0) throw new TypeError(`"${name}" is no day: write ${DAYS.join(", ")}`);
  return day;
}

function minuteOf(hour: string, minute: string, text: string): number {
  const of = Number(hour) * 60 + Number(minute);
  if (of > DAY_MIN || Number(minute) > 59) throw new TypeError(`"${text}": ${hour}:${minute} is no time of day`);
  return of;
}
