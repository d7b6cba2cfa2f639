import t from "tap";
import { type ChannelRule, channelAccess } from "../../../src/ws/access/channels.js";
import { ANONYMOUS, type Identity } from "../../../src/ws/access/identity.js";

const as = (role: Identity["role"], more: Partial<Identity> = {}): Identity => ({ ...ANONYMOUS, role, ...more });
const rules: ChannelRule[] = [
  { channel: "plans.east", role: "viewer", subjects: ["user:ann"] },
  { channel: "plans.*", role: "operator" },
  { channel: "features.>", role: "manager" },
];

t.test("who may read what", async (t) => {
  const mayRead = channelAccess(rules);
  const table: [who: Identity, channel: string, expected: boolean][] = [
    [as("viewer"), "alerts", true],
    [as(undefined), "alerts", false],
    [as("viewer"), "plans.west", false],
    [as("operator"), "plans.west", true],
    [as("operator"), "plans.east", false],
    [as("viewer", { subject: "user:ann" }), "plans.east", true],
    [as("admin"), "plans.east", true],
    [as("viewer"), "plans", true],
    [as("viewer"), "plans.west.deep", true],
    [as("operator"), "features.mine", false],
    [as("operator"), "features.mine.deep", false],
    [as("manager"), "features.mine.deep", true],
    [as("operator"), "features", true],
  ];
  for (const [who, channel, expected] of table)
    t.equal(mayRead(who, channel), expected, `${who.role} ${who.subject} ${channel}`);
});

t.test("a display token reads its channels, and of those only what its role may", async (t) => {
  const mayRead = channelAccess(rules);
  const wall = as("viewer", { channels: ["alerts", "alerts.>", "plans.*"] });
  const table = { alerts: true, "alerts.mine": true, stats: false, "plans.west": false, alertsx: false, "": false };
  for (const [channel, expected] of Object.entries(table)) t.equal(mayRead(wall, channel), expected, channel);
});
