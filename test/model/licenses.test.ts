import { describe, expect, test } from "bun:test";
import { licenseId, licenseOfText, licensesOfReadme } from "../../src/model/licenses.ts";

const readme = (head: string) => `---\n${head}\n---\n# A model\nlicense: nonsense\n`;

describe("the licence in the head of a README", () => {
  test.each([
    ["license: apache-2.0", ["Apache-2.0"]],
    ["language: en\nlicense: mit\ntags:\n- x", ["MIT"]],
    ['license: "cc-by-nc-4.0" # for now', ["CC-BY-NC-4.0"]],
    ["license:\n- mit\n- apache-2.0\nlanguage: en", ["MIT", "Apache-2.0"]],
    ["license:\n  - mit", ["MIT"]],
    ["license: [mit, 'bsd-3-clause']", ["MIT", "BSD-3-Clause"]],
    ["license: other\nlicense_name: gemma terms", ["LicenseRef-gemma-terms"]],
    ["license: llama3.1", ["LicenseRef-llama3.1"]],
    ["license: other", []],
    ["license: unknown", []],
    ["license:", []],
    ["license_link: LICENSE", []],
    ["tags:\n- license: mit", []],
  ])("%j", (head, licenses) => {
    expect(licensesOfReadme(readme(head))).toEqual(licenses);
    expect(licensesOfReadme(readme(head).replaceAll("\n", "\r\n"))).toEqual(licenses);
  });

  test("isn't sought below it, nor where there is none", () => {
    expect(licensesOfReadme("# A model\nlicense: mit\n")).toEqual([]);
    expect(licensesOfReadme("")).toEqual([]);
    expect(licensesOfReadme("---\nlicense: mit\n")).toEqual([]);
  });
});

describe("names of licences", () => {
  test("are SPDX expressions, whatever they were", () => {
    const names = [
      "gpl-3.0",
      "cc0-1.0",
      "openrail",
      "Apache-2.0",
      "wtfpl",
      "eupl-1.2",
      "  ",
      "???",
    ];
    expect(names.map(licenseId)).toEqual([
      "GPL-3.0-only",
      "CC0-1.0",
      "LicenseRef-openrail",
      "Apache-2.0",
      "WTFPL",
      "EUPL-1.2",
      undefined,
      undefined,
    ]);
  });
});

describe("a name that no licence has", () => {
  test("is taken as a text, also where every object has something of that name", () => {
    const names = ["constructor", "__proto__", "toString"];
    expect(names.map(licenseId)).toEqual([
      "LicenseRef-constructor",
      "LicenseRef-proto",
      "LicenseRef-toString",
    ]);
  });

  test("is looked at in time that grows with its length, if it is megabytes", () => {
    expect(licenseId(`a${"-".repeat(4_000_000)}x`)).toBe("LicenseRef-a");
  });
});

describe("the text of a licence", () => {
  test("tells which it is", () => {
    const apache = "\n   Apache License\n   Version 2.0, January 2004\n";
    const mit = "Permission is hereby granted, free of charge, to any person\nobtaining a copy of";
    expect([apache, mit, "All rights reserved."].map(licenseOfText)).toEqual([
      "Apache-2.0",
      "MIT",
      undefined,
    ]);
  });
});
