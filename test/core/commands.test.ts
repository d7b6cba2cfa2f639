import t from "tap";
import { COMMANDS } from "../../src/core/commands.js";
import { hasRole } from "../../src/core/roles.js";

t.test("no command is for viewers, and hiding alerts for good is not for operators", async (t) => {
  for (const [name, { role, about }] of Object.entries(COMMANDS)) {
    t.match(name, /^[a-z]+$/);
    t.ok(about, name);
    t.ok(hasRole({ role }, "operator"), name);
  }
  for (const name of ["suppress", "unsuppress"] as const) t.ok(hasRole(COMMANDS[name], "manager"), name);
});
