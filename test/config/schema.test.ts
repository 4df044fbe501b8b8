import { describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import {
  describeDefault,
  describeFlag,
  flagName,
  settingNames,
  settingSchema,
  variableName,
} from "../../src/config/schema.ts";

describe("the schema of the settings", () => {
  test("every default is a value of its own schema", () => {
    for (const name of settingNames) {
      const schema = settingSchema(name);
      if (schema.default !== undefined)
        expect([name, Value.Check(schema, schema.default)]).toEqual([name, true]);
    }
  });

  test("every default that help shows can be typed", () => {
    for (const name of settingNames) {
      const text = describeDefault(name);
      const { notation, default: value } = settingSchema(name);
      if (text !== undefined) expect([name, notation.parse(text)]).toEqual([name, value]);
    }
  });

  test("every setting says in one line what it is", () => {
    for (const name of settingNames) {
      expect(settingSchema(name).description).toMatch(/^[A-Z:][^\n]{10,100}[^.]$/);
    }
  });

  test("a setting has one name in three spellings", () => {
    expect(flagName("drainTimeout")).toBe("drain-timeout");
    expect(variableName("drainTimeout")).toBe("OCIREG_DRAIN_TIMEOUT");
    expect(describeFlag("drainTimeout")).toBe("--drain-timeout DURATION");
    expect(describeFlag("plainHttp")).toBe("--plain-http[=HOST,…]");
    expect(describeFlag("json")).toBe("--json");
  });
});
