/** How a command is declared: what it takes, what it means, and where its function is. */
import { buildCommand, type Command } from "@stricli/core";
import { flagName, type SettingName, type Settings, settingSchema } from "../config/schema.ts";
import { Failure } from "../lib/failure.ts";
import type { Context } from "./context.ts";

export interface Argument<T> {
  /** As it stands in the usage line: `REF`. */
  readonly name: string;
  readonly description: string;
  /** @throws when the text isn't acceptable */
  readonly parse: (text: string) => T;
  readonly optional?: boolean;
  /** It may be given several times, and is then the last argument of its command. */
  readonly repeats?: boolean;
  readonly choices?: readonly string[];
  /** What a shell may propose, where that has to be looked up. */
  readonly propose?: (context: Context) => Promise<readonly string[]>;
}

/** Flags that stand together in help. */
export interface FlagGroup<Name extends SettingName = SettingName> {
  readonly title: string;
  readonly names: readonly Name[];
}

export type CommandFunction<Name extends SettingName, Arguments extends readonly unknown[]> = (
  this: Context,
  settings: Pick<Settings, Name>,
  ...args: Arguments
) => Promise<void>;

export interface CommandSpec<
  Name extends SettingName = SettingName,
  Arguments extends readonly unknown[] = readonly unknown[],
> {
  readonly brief: string;
  /** What is worth knowing beyond `brief`. */
  readonly description?: string;
  readonly arguments: {
    readonly [Index in keyof Arguments]: Argument<Arguments[Index]>;
  };
  readonly flags: readonly FlagGroup<Name>[];
  /** What a setting means here, where that isn't what it means in general. */
  readonly meanings?: Partial<Record<Name, string>>;
  readonly aliases?: Readonly<Record<string, Name>>;
  /** Whole command lines. */
  readonly examples: readonly string[];
  /** Whether `ocireg.toml` of the working directory is read when no file is named. */
  readonly readsDefaultFile?: boolean;
  /** Loads the function only when the command runs: `ocireg version` needn't load a server. */
  readonly load: () => Promise<{ default: CommandFunction<Name, [...Arguments]> }>;
}

const specs = new WeakMap<object, CommandSpec>();

/** What a command was declared with. */
export function specOf(target: object): CommandSpec | undefined {
  return specs.get(target);
}

export function command<Name extends SettingName, const Arguments extends readonly unknown[]>(
  spec: CommandSpec<Name, Arguments>,
): Command<Context> {
  const names = spec.flags.flatMap((group) => group.names);
  const built = buildCommand({
    docs: { brief: spec.brief },
    parameters: {
      flags: Object.fromEntries(names.filter(hasFlag).map((name) => [flagName(name), flag(name)])),
      aliases: Object.fromEntries(
        Object.entries(spec.aliases ?? {}).map(([letter, name]) => [
          letter,
          flagName(name as Name),
        ]),
      ),
      positional: positionals(spec.arguments as readonly Argument<unknown>[]),
    } as never,
    loader: async () => {
      const { default: run } = await spec.load();
      const { settle } = await import("./settle.ts");
      return async function (this: Context, flags: Record<string, unknown>, ...args: unknown[]) {
        this.ran = true;
        try {
          const settings = await settle(this, names, flags, spec.readsDefaultFile ?? false);
          const given = parsesLate(spec.arguments) ? parseAll(spec.arguments, args) : args;
          await run.call(this, settings, ...(given as [...Arguments]));
        } catch (error) {
          this.failure = error;
        }
      };
    },
  });
  specs.set(built, spec as unknown as CommandSpec);
  return built as unknown as Command<Context>;
}

export function hasFlag(name: SettingName): boolean {
  return settingSchema(name).asFlag !== false;
}

/** Texts are judged where environment and file are judged too, so that all say the same. */
function flag(name: SettingName): object {
  const { type, description, notation } = settingSchema(name);
  return {
    kind: "parsed",
    parse: String,
    optional: true,
    brief: description,
    ...(type === "array" && { variadic: true }),
    ...(notation.choices && { proposeCompletions: () => notation.choices }),
  };
}

function positionals(args: readonly Argument<unknown>[]): object {
  const last = args.at(-1);
  if (!last?.repeats) return { kind: "tuple", parameters: args.map(positional) };
  if (parsesLate(args)) {
    return { kind: "array", parameter: { placeholder: last.name, brief: "", parse: String } };
  }
  return {
    kind: "array",
    parameter: positional({ ...last, optional: false }),
    minimum: last.optional ? 0 : 1,
  };
}

/** Whether arguments differ although one repeats, which the library has no words for. */
function parsesLate(args: readonly unknown[]): args is readonly Argument<unknown>[] {
  return args.length > 1 && (args.at(-1) as Argument<unknown>).repeats === true;
}

/** @throws {Failure} `usage` */
function parseAll(args: readonly Argument<unknown>[], texts: readonly unknown[]): unknown[] {
  const missing = args[texts.length];
  if (missing) throw new Failure("usage", `${missing.name} is missing; see --help`);
  try {
    return texts.map((text, index) => (args[index] ?? args.at(-1))?.parse(String(text)));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Failure("usage", `${reason}; see --help`, { cause });
  }
}

function positional<T>(argument: Argument<T>): object {
  const { name, description, parse, optional, choices, propose } = argument;
  return {
    placeholder: name,
    brief: description,
    parse,
    ...(optional && { optional }),
    ...(choices && { proposeCompletions: () => choices }),
    ...(propose && {
      proposeCompletions(this: Context) {
        return propose(this);
      },
    }),
  };
}
