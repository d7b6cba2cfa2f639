import { byId, el, icon, setText } from "../dom.js";
import type { WallState } from "../state.js";
import type { Stats } from "../wire.js";

/** Lines that work on the machine Millrace runs on; the key stays in its file. */
export function sendLines(host: string): readonly { readonly name: string; readonly line: string }[] {
  const reading = (fields: string) => `'{${fields}"ts":'$(date +%s)000',"values":{"fuelLph":182.4}}'`;
  const place = '"site":"pit-7","equipment":"truck-99","group":"engine",';
  return [
    {
      name: "HTTP",
      line: `curl -H "Authorization: Bearer $(cat data/local.key)" http://${host}/api/v1/telemetry -d ${reading(place)}`,
    },
    {
      name: "MQTT",
      line: `mosquitto_pub -h 127.0.0.1 -p 1883 -u mqtt -P "$(cat data/local.key)" -q 1 -t millrace/v1/pit-7/truck-99/engine -m ${reading("")}`,
    },
  ];
}

/** At the end of the sample, or while nothing has come in: says so, and how to go on with one's own data. */
export function createBanner(onClose: () => void): (state: WallState) => void {
  const banner = byId("banner");
  const reason = el("span");
  return ({ stats, bannerClosed }) => {
    const why = stats === undefined || bannerClosed ? undefined : whyNow(stats);
    banner.hidden = why === undefined;
    if (why === undefined) return;
    setText(reason, why);
    if (!banner.hasChildNodes()) banner.append(...content(reason, onClose));
  };
}

function whyNow({ replay, github, telemetry }: Stats): string | undefined {
  if (replay.total > 0) return replay.done ? "The sample has ended, everything is still running." : undefined;
  return github.received + telemetry.received === 0 ? "Nothing has come in so far." : undefined;
}

function content(reason: HTMLElement, onClose: () => void): readonly HTMLElement[] {
  const close = el("button", "plain-button", "Hide");
  close.type = "button";
  close.addEventListener("click", onClose);
  const text = el(
    "div",
    "banner-text",
    el("h2", "", icon("resolved"), "Now send your own data"),
    el("p", "", reason, " In a shell on this machine, in the folder of Millrace:"),
    el("p", "note", "data: the data directory · 1883: the MQTT port that npm start printed"),
  );
  const lines = sendLines(location.host).map(({ name, line }) => commandLine(name, line));
  return [text, el("div", "banner-lines", ...lines), close];
}

function commandLine(name: string, line: string): HTMLElement {
  const copied = el("span", "copied");
  const button = el("button", "plain-button copy", icon("copy"), "Copy");
  button.type = "button";
  button.setAttribute("aria-label", `Copy the ${name} line`);
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(line).then(
      () => copied.replaceChildren("copied"),
      () => copied.replaceChildren("select the line and copy it by hand"),
    );
  });
  return el("div", "command", el("span", "command-name", name), el("code", "", line), button, copied);
}
