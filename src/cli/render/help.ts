/** Help texts: all commands, or one with its arguments, flags and examples. */
import type { Command, RouteMap } from "@stricli/core";
import { describeDefault, describeFlag, settingSchema } from "../../config/schema.ts";
import { type CommandSpec, hasFlag, specOf } from "../command.ts";
import type { Context } from "../context.ts";
import { table } from "./table.ts";

export type HelpTarget = Command<Context> | RouteMap<Context>;

/** @param route the words that lead to the target: `["ocireg", "manifest", "get"]` */
export function renderHelp(target: HelpTarget, route: readonly string[]): string {
  const name = route.join(" ");
  if ("getAllEntries" in target) {
    const commands = target
      .getAllEntries()
      .map((entry): [string, string] => [entry.name.original, entry.target.brief]);
    return [
      `${target.brief}.`,
      section("Usage", [`${name} COMMAND [ARGUMENT]… [FLAG]…`]),
      section("Commands", table(commands)),
      `'${["ocireg help", ...route.slice(1), "COMMAND"].join(" ")}' explains a command.\n`,
    ].join("\n\n");
  }
  const spec = specOf(target);
  return spec ? renderCommand(name, spec) : "";
}

function renderCommand(name: string, spec: CommandSpec): string {
  const { brief, description, arguments: args, flags, examples } = spec;
  const usage = [
    name,
    ...args.map(
      ({ name, optional, repeats }) => `${optional ? `[${name}]` : name}${repeats ? "…" : ""}`,
    ),
    ...(flags.length > 0 ? ["[FLAG]…"] : []),
  ];
  return `${[
    `${brief}.${description ? ` ${description}` : ""}`,
    section("Usage", [usage.join(" ")]),
    ...(args.length > 0
      ? [section("Arguments", table(args.map((argument) => [argument.name, argument.description])))]
      : []),
    ...flags.map(({ title, names }) => section(title, table(names.filter(hasFlag).map(row)))),
    ...(flags.length > 0
      ? ["Each flag has an environment variable: --log-level is OCIREG_LOG_LEVEL."]
      : []),
    section("Examples", examples),
  ].join("\n\n")}\n`;

  function row(setting: (typeof flags)[number]["names"][number]): [string, string] {
    const letter = Object.entries(spec.aliases ?? {}).find(
      ([, aliased]) => aliased === setting,
    )?.[0];
    const byDefault = describeDefault(setting);
    const meaning = spec.meanings?.[setting] ?? settingSchema(setting).description;
    return [
      `${letter ? `-${letter}, ` : ""}${describeFlag(setting)}`,
      byDefault === undefined ? meaning : `${meaning} (${byDefault})`,
    ];
  }
}

function section(title: string, lines: readonly string[]): string {
  return [`${title}:`, ...lines.map((line) => `  ${line}`)].join("\n");
}
