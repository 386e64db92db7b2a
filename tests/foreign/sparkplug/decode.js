// A foreign judge of the Sparkplug tests: reads payloads in hexadecimal, one a line, writes what they say as JSON.
// The package gives no value where a metric has no datatype, as in data after a birth: then `raw` is what the wire has.
"use strict";
const readline = require("node:readline");
const sparkplug = require("sparkplug-payload").get("spBv1.0");
const { Payload } = require("sparkplug-payload/lib/sparkplugPayloadProto").org.eclipse.tahu.protobuf;

const FIELDS = ["intValue", "longValue", "floatValue", "doubleValue", "booleanValue", "stringValue"];
const plain = (_key, value) => {
  if (typeof value === "bigint") return Number(value);
  return value && typeof value === "object" && "low" in value && "high" in value ? value.toNumber() : value;
};
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const said = sparkplug.decodePayload(Buffer.from(line, "hex"));
  Payload.decode(Buffer.from(line, "hex")).metrics.forEach((metric, index) => {
    const field = FIELDS.find((name) => Object.hasOwn(metric, name));
    if (field) said.metrics[index].raw = metric[field];
  });
  process.stdout.write(JSON.stringify(said, (key, value) => plain(key, value)) + "\n");
});
