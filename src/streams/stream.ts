import { randomBytes } from "node:crypto";
import {
  DiscardPolicy,
  RetentionPolicy,
  type StreamInfo as ServerStreamInfo,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { MillraceError, type StreamInfo, type StreamSpec } from "../core/index.js";
import type { Link } from "./connection.js";
import { existsDifferently, isNotFound, logError } from "./failures.js";

export const INCARNATION = "millrace.incarnation";
/** Of streams whose partitions have been changed. */
export const PARTITIONS = "millrace.partitions";
export const FORMER = "millrace.former";
export const RELAID_THROUGH = "millrace.relaid-through";

/**
 * Creates the stream or checks that the existing one agrees; a different size limit is adopted, anything else is refused.
 * Two callers at once end with one stream and one incarnation.
 *
 * Errors: MR_STREAM_MISMATCH, MR_LOG_FULL (the server has no room for `maxBytes`), MR_LOG_UNAVAILABLE.
 */
export async function ensureStream(link: Link, spec: StreamSpec): Promise<StreamInfo> {
  const attempt = `creating stream ${spec.name}`;
  const found = (await find(link, spec.name)) ?? (await create(link, spec));
  checkSame(spec, found.config);
  if (found.config.max_bytes === spec.maxBytes) return toInfo(found);
  try {
    return toInfo(await link.jsm.streams.update(spec.name, { max_bytes: spec.maxBytes }));
  } catch (cause) {
    throw logError(`${attempt}: changing its limit to ${spec.maxBytes} bytes`, cause);
  }
}

/** Errors: MR_LOG_UNAVAILABLE, also when there is no such stream. */
export async function streamInfo({ jsm }: Link, stream: string): Promise<StreamInfo> {
  try {
    return toInfo(await jsm.streams.info(stream));
  } catch (cause) {
    throw logError(`reading about stream ${stream}`, cause);
  }
}

async function find({ jsm }: Link, stream: string): Promise<ServerStreamInfo | undefined> {
  try {
    return await jsm.streams.info(stream);
  } catch (cause) {
    if (isNotFound(cause)) return undefined;
    throw logError(`reading about stream ${stream}`, cause);
  }
}

async function create(link: Link, spec: StreamSpec): Promise<ServerStreamInfo> {
  try {
    return await link.jsm.streams.add({ ...toConfig(spec), num_replicas: link.replicas });
  } catch (cause) {
    // Another thread was faster: its stream differs from ours in the incarnation at least. Subjects that belong to a third
    // stream give the same refusal, and then there is nothing to find.
    const other = existsDifferently(cause) ? await find(link, spec.name) : undefined;
    if (other === undefined) throw logError(`creating stream ${spec.name}`, cause);
    return other;
  }
}

function toConfig({
  name,
  subjects,
  transform,
  sources,
  maxBytes,
  dropsOldest,
}: StreamSpec): Partial<StreamConfig> & { name: string; subjects: string[] } {
  return {
    name,
    subjects: [...subjects],
    ...(transform === undefined ? {} : transformOf(transform)),
    ...(sources && {
      sources: sources.map(({ stream, subjects }) => ({ name: stream, subject_transforms: [...subjects] })),
    }),
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: dropsOldest ? DiscardPolicy.Old : DiscardPolicy.New,
    max_bytes: maxBytes,
    allow_atomic: true,
    allow_direct: true,
    metadata: { [INCARNATION]: randomBytes(8).toString("hex") },
  };
}

export function transformOf(transform: NonNullable<StreamSpec["transform"]>): Pick<StreamConfig, "subject_transform"> {
  return { subject_transform: { ...transform } };
}

function checkSame(spec: StreamSpec, config: StreamConfig): void {
  const wanted = toConfig(spec);
  const differences: string[] = [];
  const compare = (what: string, want: unknown, have: unknown) => {
    if (JSON.stringify(want) !== JSON.stringify(have)) {
      differences.push(`${what} is ${JSON.stringify(have)}, expected ${JSON.stringify(want)}`);
    }
  };
  const { transform } = spec;
  const { subject_transform: had } = config;
  compare("transform", transform && [transform.src, transform.dest], had && [had.src, had.dest]);
  const copied = ({ sources }: Partial<StreamConfig>): unknown =>
    (sources ?? []).map(({ name, subject_transforms }) => [
      name,
      (subject_transforms ?? []).map(({ src, dest }) => [src, dest]),
    ]);
  compare("sources", copied(wanted), copied(config));
  compare("subjects", [...wanted.subjects].sort(), [...(config.subjects ?? [])].sort());
  for (const field of ["storage", "retention", "discard", "allow_atomic", "allow_direct"] as const) {
    compare(field, wanted[field], config[field]);
  }
  if (incarnationOf(config) === "") differences.push("it was not created by millrace (no incarnation in its metadata)");
  if (differences.length === 0) return;
  throw new MillraceError(
    "MR_STREAM_MISMATCH",
    `stream ${spec.name} exists and differs: ${differences.join("; ")}. The number of partitions is fixed when the streams are ` +
      'created: start with the former --partitions, or change it with "millrace repartition"',
  );
}

function incarnationOf({ metadata }: StreamConfig): string {
  return metadata?.[INCARNATION] ?? "";
}

function toInfo({ config, state }: ServerStreamInfo): StreamInfo {
  return {
    name: config.name,
    incarnation: incarnationOf(config),
    firstSequence: state.first_seq,
    lastSequence: state.last_seq,
    messages: state.messages,
    bytes: state.bytes,
    ...(config.metadata?.[FORMER] === undefined ? {} : { former: config.metadata[FORMER].split(" ") }),
    ...numbered("partitions", config.metadata?.[PARTITIONS]),
    ...numbered("relaidThrough", config.metadata?.[RELAID_THROUGH]),
  };
}

function numbered<N extends string>(name: N, text: string | undefined): { readonly [K in N]?: number } {
  return text === undefined ? {} : ({ [name]: Number(text) } as { readonly [K in N]: number });
}
