/** The application as @stricli/core sees it: the routes, and how it words its complaints. */
import {
  AliasNotFoundError,
  type ApplicationText,
  ArgumentParseError,
  buildApplication,
  FlagNotFoundError,
  type StricliIntegration,
  text_en,
  UnexpectedFlagError,
  UnexpectedPositionalError,
  UnsatisfiedFlagError,
  UnsatisfiedPositionalError,
} from "@stricli/core";
import { oneLine } from "../lib/one-line.ts";
import type { Context } from "./context.ts";
import { renderHelp } from "./render/help.ts";
import { root } from "./routes.ts";
import { describeVersion } from "./version.ts";

/** `--help` and `-h`, at any command and any group of commands. */
const help: StricliIntegration<Context> = {
  flag: {
    brief: "Print help and exit",
    aliases: ["h"],
    global: true,
    complete: true,
    run(_application, { result }) {
      this.process.stdout.write(renderHelp(result.target, result.prefix));
    },
  },
};

const version: StricliIntegration<Context> = {
  flag: {
    brief: "Print the version and exit",
    global: false,
    complete: true,
    run() {
      this.process.stdout.write(`${describeVersion()}\n`);
    },
  },
};

const text: ApplicationText = {
  ...text_en,
  noCommandRegisteredForInput: ({ input, corrections }) =>
    input.startsWith("-")
      ? `${quote(input)} stands before the command, where only --help and --version may`
      : endWith(
          "see 'ocireg help'",
          `unknown command ${quote(input)}${suggest(commandsLike(input, corrections))}`,
        ),
  exceptionWhileParsingArguments: (error) => endWith("see --help", complaint(error)),
};

/** A question is the last thing that is said. */
function endWith(hint: string, complaint: string): string {
  return complaint.endsWith("?") ? complaint : `${complaint}; ${hint}`;
}

/** Who types `ocireg ls` looks for `tags ls` or `cache ls`; nothing that only resembles it helps. */
function commandsLike(input: string, corrections: readonly string[]): readonly string[] {
  const subcommands = root.getAllEntries().flatMap(({ name, target }) => {
    const found = "getAllEntries" in target && target.getRoutingTargetForInput(input);
    return found ? [`${name.original} ${input}`] : [];
  });
  return subcommands.length > 0 ? subcommands : corrections;
}

function complaint(error: unknown): string {
  if (error instanceof ArgumentParseError) {
    const { exception } = error;
    return oneLine(exception instanceof Error ? exception.message : String(exception));
  }
  if (error instanceof FlagNotFoundError) {
    return `unknown flag ${quote(`--${error.input}`)}${suggest(error.corrections.map((flag) => `--${flag}`))}`;
  }
  if (error instanceof AliasNotFoundError) return `unknown flag ${quote(`-${error.input}`)}`;
  if (error instanceof UnsatisfiedFlagError) return `--${error.externalFlagName} needs a value`;
  if (error instanceof UnexpectedFlagError) {
    return `--${error.externalFlagName} is given twice: ${quote(error.previousInput)} and ${quote(error.input)}`;
  }
  if (error instanceof UnsatisfiedPositionalError) return `${error.placeholder} is missing`;
  if (error instanceof UnexpectedPositionalError) {
    return `unexpected argument ${quote(error.input)}`;
  }
  return oneLine(error instanceof Error ? error.message : String(error));
}

function quote(input: string): string {
  return JSON.stringify(input.slice(0, 200));
}

function suggest(corrections: readonly string[]): string {
  const names = corrections.map((name) => `"${name.replaceAll("`", "")}"`);
  return names.length > 0 ? `, did you mean ${names.join(" or ")}?` : "";
}

export const application = buildApplication(
  root,
  {
    name: "ocireg",
    scanner: { caseStyle: "original", allowArgumentEscapeSequence: true },
    documentation: { disableAnsiColor: true },
    localization: { text },
  },
  { help, version },
);
