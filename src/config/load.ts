/** Where a setting's value comes from: flags > environment > ocireg.toml > default. */
import { Value } from "@sinclair/typebox/value";
import { Failure } from "../lib/failure.ts";
import {
  flagName,
  type SettingName,
  type SettingSchema,
  type Settings,
  settingNames,
  settingSchema,
  variableName,
} from "./schema.ts";

/** Flags by setting, as they were typed; a flag that was repeated is a list. */
export type Flags = Readonly<Partial<Record<SettingName, string | readonly string[]>>>;
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Sources {
  readonly flags: Flags;
  readonly env: Environment;
  /** What a file says, already checked. */
  readonly file?: Partial<Settings> | undefined;
}

/**
 * The values of the settings that are asked for. An empty environment variable counts as none.
 *
 * @throws {Failure} `usage`, for a value that isn't acceptable
 */
export function loadSettings<Name extends SettingName>(
  names: readonly Name[],
  { flags, env, file }: Sources,
): Pick<Settings, Name> {
  const settings: Partial<Record<SettingName, unknown>> = {};
  for (const name of names) {
    const value =
      fromFlag(name, flags[name]) ?? fromVariable(name, env[variableName(name)]) ?? file?.[name];
    const chosen = value ?? settingSchema(name).default;
    if (chosen !== undefined) settings[name] = chosen;
  }
  return settings as Pick<Settings, Name>;
}

function fromFlag(name: SettingName, given: string | readonly string[] | undefined): unknown {
  if (given === undefined) return undefined;
  const schema = settingSchema(name);
  const value = typeof given === "string" ? schema.notation.parse(given) : given;
  return accept(schema, value, () => `--${flagName(name)} is ${quote(given)}`);
}

function fromVariable(name: SettingName, given: string | undefined): unknown {
  if (given === undefined || given === "") return undefined;
  const schema = settingSchema(name);
  const shown = schema.asFlag === false ? "unusable" : quote(given);
  return accept(schema, schema.notation.parse(given), () => `${variableName(name)} is ${shown}`);
}

/**
 * Checks the content of a settings file. Values may be written as text, like flags, or, where TOML
 * has the type, as booleans, integers and arrays.
 *
 * @throws {Failure} `usage`, naming `path`, for an unknown key or a value that isn't acceptable
 */
export function checkFile(content: Readonly<Record<string, unknown>>, path: string) {
  const known = new Map(
    settingNames
      .filter((name) => settingSchema(name).inFile !== false)
      .map((name) => [flagName(name), name]),
  );
  const settings: Partial<Record<SettingName, unknown>> = {};
  for (const [key, given] of Object.entries(content)) {
    const name = known.get(key);
    if (name === undefined) {
      throw new Failure(
        "usage",
        `${path}: unknown key ${quote(key)}, want one of ${[...known.keys()].join(", ")}`,
      );
    }
    const schema = settingSchema(name);
    const value =
      typeof given === "string"
        ? schema.notation.parse(given)
        : schema.notation.textOnly
          ? undefined
          : given;
    settings[name] = accept(schema, value, () => `${path}: ${key} is ${quote(given)}`);
  }
  return settings as Partial<Settings>;
}

function accept(schema: SettingSchema, value: unknown, origin: () => string): unknown {
  if (value !== undefined && Value.Check(schema, value)) return value;
  const { minimum, maximum, notation } = schema;
  const format = notation.format ?? String;
  const bounds =
    maximum === undefined
      ? ""
      : `, from ${format(minimum as never)} to ${format(maximum as never)}`;
  throw new Failure("usage", `${origin()}, want ${notation.accepts}${bounds}`);
}

function quote(value: unknown): string {
  // A URL may hold a password.
  const text = (JSON.stringify(value) ?? String(value)).replace(/:\/\/[^/"]*@/g, "://***@");
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
