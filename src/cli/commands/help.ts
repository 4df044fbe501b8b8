import { Failure } from "../../lib/failure.ts";
import type { Context } from "../context.ts";
import { type HelpTarget, renderHelp } from "../render/help.ts";
import { root } from "../routes.ts";

/** @throws {Failure} `usage`, when there is no such command */
export default async function help(
  this: Context,
  _settings: object,
  ...words: (string | undefined)[]
): Promise<void> {
  let target: HelpTarget = root;
  const route = ["ocireg"];
  for (const word of words) {
    if (word === undefined) break;
    const next: HelpTarget | undefined =
      "getAllEntries" in target ? target.getRoutingTargetForInput(word) : undefined;
    if (!next) {
      throw new Failure(
        "usage",
        `no command ${JSON.stringify(word)} in '${route.join(" ")}'; see 'ocireg help'`,
      );
    }
    target = next;
    route.push(word);
  }
  await this.stdout.write(renderHelp(target, route));
}
