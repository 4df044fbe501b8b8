/** How a command is declared: what it takes, what it means, and where its function is. */
import { buildCommand, type Command } from "@stricli/core";
import { flagName, type SettingName, type Settings, settingSchema } from "../config/schema.ts";
import type { Context } from "./context.ts";

export interface Argument<T> {
  /** As it stands in the usage line: `REF`. */
  readonly name: string;
  readonly description: string;
  /** @throws when the text isn't acceptable */
  readonly parse: (text: string) => T;
  readonly optional?: boolean;
  /** It may be given several times, and is then the only argument of its command. */
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
          await run.call(this, settings, ...(args as [...Arguments]));
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
  const [first] = args;
  return first?.repeats
    ? {
        kind: "array",
        parameter: positional({ ...first, optional: false }),
        minimum: first.optional ? 0 : 1,
      }
    : { kind: "tuple", parameters: args.map(positional) };
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
