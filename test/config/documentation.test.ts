import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  describeDefault,
  describeFlag,
  settingNames,
  settingSchema,
  variableName,
} from "../../src/config/schema.ts";

const page = readFileSync(resolve(import.meta.dir, "../../docs/configuration.md"), "utf8");

/** The row of the page's table that says what the schema says. */
function row(name: (typeof settingNames)[number]): string {
  const { description, asFlag } = settingSchema(name);
  const flag = asFlag === false ? "" : `\`${describeFlag(name)}\``;
  const byDefault = describeDefault(name);
  const cells = [
    flag,
    `\`${variableName(name)}\``,
    byDefault ? `\`${byDefault}\`` : "",
    description,
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

describe("docs/configuration.md", () => {
  test.each(settingNames)("has the row of %s as the schema has it", (name) => {
    expect(page).toContain(row(name));
  });

  test("has no rows of settings that don't exist", () => {
    const variables = [...page.matchAll(/^\| .*?`(OCIREG_[A-Z_]+)`/gm)].map(
      (match) => match[1] ?? "",
    );
    expect(variables.sort()).toEqual(settingNames.map(variableName).sort());
  });

  test("says which settings a file may hold", () => {
    for (const name of settingNames.filter((name) => settingSchema(name).inFile === false)) {
      expect([
        name,
        page.includes(
          `\`${variableName(name).slice("OCIREG_".length).toLowerCase().replaceAll("_", "-")}\``,
        ),
      ]).toEqual([name, true]);
    }
  });
});
