import {
  decodePack,
  isMillraceError,
  MillraceError,
  PACK_SCHEMA,
  type Packed,
  type PackFields,
  type PackSchema,
  schemaId,
} from "../../../core/index.js";
import type { Decoder } from "./source.js";

/** Makes an event of one version an event of the next. Pure: a replay must give the same. May throw: the event is a dead letter. */
export interface Upcaster {
  /** The version it takes, and how that is read. */
  readonly from: PackSchema;
  /** The event as the version `from.version + 1` has it. */
  up(event: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>;
}

export interface PackedOptions<F extends PackFields> {
  /** What the topology reads. */
  readonly schema: PackSchema<F>;
  /** One for each older version that may still be in the log. */
  readonly upcasters?: readonly Upcaster[];
  /** Reads messages without a schema in their headers. @default they are dead letters */
  readonly plain?: Decoder<Packed<F>>;
}

/**
 * Decodes packs (see core's `encodePack`) of the schema and of its older versions, which are brought up one version at a time.
 * A pack of a schema that is not known here is a dead letter as a whole, with what is known as the reason.
 *
 * Errors: MR_OPTION_INVALID when an upcaster is of another name, or from a version leads none to the schema's.
 */
export function packed<F extends PackFields>({ schema, upcasters = [], plain }: PackedOptions<F>): Decoder<Packed<F>> {
  const byVersion = new Map(upcasters.map((upcaster) => [upcaster.from.version, upcaster]));
  for (const { from } of upcasters) {
    const next = from.version + 1;
    if (from.name !== schema.name || from.version >= schema.version || (next < schema.version && !byVersion.has(next)))
      throw new MillraceError(
        "MR_OPTION_INVALID",
        `an upcaster from ${schemaId(from)} does not lead to ${schemaId(schema)}: each version needs one to the next`,
      );
  }
  const known = new Map<string, PackSchema>(
    [schema, ...upcasters.map(({ from }) => from)].map((each) => [schemaId(each), each]),
  );
  const raise = (event: Readonly<Record<string, unknown>>, version: number): Packed<F> => {
    let raised = event;
    for (let at = version; at < schema.version; at++) raised = (byVersion.get(at) as Upcaster).up(raised);
    return raised as Packed<F>;
  };
  return (message, found, ahead) => {
    const id = message.header(PACK_SCHEMA);
    if (id === undefined && plain !== undefined) {
      plain(message, found, ahead);
      return;
    }
    const { data } = message;
    const read = known.get(id ?? "");
    if (read === undefined) {
      const reason = id === undefined ? "a pack without schema" : `schema ${id} is not known here`;
      found.malformed(`${reason}; known: ${[...known.keys()].join(", ")}`, 0, data.length);
      return;
    }
    let events: readonly Readonly<Record<string, unknown>>[];
    try {
      events = decodePack(read, data);
    } catch (error) {
      if (!isMillraceError(error, "MR_EVENT_MALFORMED")) throw error;
      found.malformed(error.message, 0, data.length);
      return;
    }
    for (const event of events) {
      let raised: Packed<F>;
      try {
        raised = raise(event, read.version);
      } catch (error) {
        const bytes = Buffer.from(JSON.stringify(event));
        found.malformed(`raising ${id} to ${schemaId(schema)}: ${String(error)}`, 0, data.length, { bytes });
        continue;
      }
      found.event(raised, 0, data.length);
    }
  };
}
