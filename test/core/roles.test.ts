import t from "tap";
import { hasRole, ROLES } from "../../src/core/roles.js";

t.test("a role may do what those before it may, an API key nothing of it", async (t) => {
  for (const [i, role] of ROLES.entries())
    for (const [j, wanted] of ROLES.entries()) t.equal(hasRole({ role }, wanted), i >= j, `${role} as ${wanted}`);
  for (const wanted of ROLES) t.notOk(hasRole({ role: undefined }, wanted), wanted);
});
