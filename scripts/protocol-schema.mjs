// node scripts/protocol-schema.mjs: writes docs/protocol.schema.json from the built src/ws/protocol.ts. A test says when it is due.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { protocolSchema } from "../build/src/ws/protocol.js";

const path = fileURLToPath(new URL("../docs/protocol.schema.json", import.meta.url));
writeFileSync(path, `${JSON.stringify(protocolSchema(), null, 2)}\n`);
