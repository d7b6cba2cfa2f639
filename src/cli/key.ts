import { Command } from "commander";
import { addCredentialCommands } from "./credentials.js";

export function keyCommand(): Command {
  const key = new Command("key").description("API keys: they write readings and do nothing else");
  addCredentialCommands(key, "ingest", { one: "an API key", prefix: "millrace key" });
  return key;
}
