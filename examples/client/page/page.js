// A page that lists alerts as they come. Its address carries the token: http://host:port/#TOKEN
import { connect } from "./millrace-client.js";

const state = document.querySelector("#state");
const list = document.querySelector("#alerts");

const millrace = connect(location.origin, {
  token: location.hash.slice(1),
  onStatus: ({ kind }) => {
    state.textContent = kind;
  },
});

for await (const update of millrace.subscribe("alerts")) {
  if (update.kind !== "event") continue;
  const item = document.createElement("li");
  item.textContent = update.data.title;
  list.append(item);
}
