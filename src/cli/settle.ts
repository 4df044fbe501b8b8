/** Before a command runs: its settings, from all their sources, and where its messages go. */
import { DEFAULT_FILE, readSettingsFile } from "../config/file.ts";
import { type Flags, loadSettings } from "../config/load.ts";
import {
  flagName,
  type SettingName,
  type Settings,
  settingNames,
  variableName,
} from "../config/schema.ts";
import type { Context } from "./context.ts";

const nameOfFlag = new Map(settingNames.map((name) => [flagName(name), name]));

/** @throws {Failure} `usage` */
export async function settle<Name extends SettingName>(
  context: Context,
  names: readonly Name[],
  rawFlags: Record<string, unknown>,
  readsDefaultFile: boolean,
): Promise<Pick<Settings, Name>> {
  const flags: Flags = Object.fromEntries(
    Object.entries(rawFlags).map(([flag, value]) => [nameOfFlag.get(flag), value]),
  );
  const wanted: readonly SettingName[] = names;
  if (!wanted.includes("logLevel")) return loadSettings(names, { flags, env: context.env });

  const named = (flags.config as string | undefined) ?? context.env[variableName("config")];
  const path = named || (readsDefaultFile ? DEFAULT_FILE : undefined);
  const file = path === undefined ? undefined : readSettingsFile(path, Boolean(named));
  const sources = { flags, env: context.env, file };
  context.log = loadSettings(["logLevel", "logFormat"], sources);
  const { openLog } = await import("./log.ts");
  openLog(context.log, context.stderr);
  return loadSettings(names, sources);
}
