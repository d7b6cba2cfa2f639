import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import {
  CLOSE_CODES,
  clientFrameSchema,
  ERROR_CODES,
  mayReconnect,
  protocolSchema,
  serverFrameSchema,
} from "../../src/ws/protocol.js";

const doc = readFileSync(join(packageRoot(), "docs/protocol.md"), "utf8");
const kept = JSON.parse(readFileSync(join(packageRoot(), "docs/protocol.schema.json"), "utf8"));

t.test("docs/protocol.schema.json is made of the schemas", async (t) => {
  t.same(kept, JSON.parse(JSON.stringify(protocolSchema())), "make it again: node scripts/protocol-schema.mjs");
});

t.test("every frame in docs/protocol.md is one, by the schemas and by the file", async (t) => {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
  ajv.addSchema(kept, "protocol");
  const sides = {
    ">": { zod: clientFrameSchema, file: ajv.compile({ $ref: "protocol#/$defs/ClientFrame" }) },
    "<": { zod: serverFrameSchema, file: ajv.compile({ $ref: "protocol#/$defs/ServerFrame" }) },
  };
  const frames = [...doc.matchAll(/^([<>]) (\{.*\})$/gm)];
  t.ok(frames.length > 30, `${frames.length} frames`);
  const ops = new Set<string>();
  for (const [, side, text = ""] of frames) {
    const frame = JSON.parse(text);
    ops.add(`${side} ${frame.op}`);
    const { zod, file } = sides[side as "<" | ">"];
    t.same(zod.safeParse(frame).error?.issues ?? [], [], text.slice(0, 70));
    t.ok(file(frame), `by the file: ${ajv.errorsText(file.errors)}`);
  }
  const all = [
    ...clientFrameSchema.options.map(({ shape }) => `> ${shape.op.value}`),
    ...serverFrameSchema.options.map(({ shape }) => `< ${shape.op.value}`),
  ];
  t.same([...ops].sort(), all.sort(), "every op is shown");
  const wrong = [
    { op: "subscribe", channel: "x" },
    { op: "subscribe", id: 1, channel: "x", filter: { like: ["a", "b"] } },
    {},
  ];
  for (const frame of wrong) {
    t.notOk(clientFrameSchema.safeParse(frame).success);
    t.notOk(sides[">"].file(frame), JSON.stringify(frame));
  }
});

t.test("every code is in the page", async (t) => {
  for (const code of ERROR_CODES) t.ok(doc.includes(`\`${code}\``), code);
  for (const code of Object.values(CLOSE_CODES))
    t.match(doc, new RegExp(`^\\| (?:\\d+, )*${code}[ ,]`, "m"), String(code));
});

t.test("the range of a close code is the advice", async (t) => {
  for (const code of [1000, 1001, 1006, 1011, 1012, 3000, 3008, 3499]) t.ok(mayReconnect(code), String(code));
  for (const code of [1002, 1003, 1007, 1008, 1009, 1010, 3500, 3999]) t.notOk(mayReconnect(code), String(code));
});
