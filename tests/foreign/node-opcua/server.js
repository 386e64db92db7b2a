// A foreign peer of the OPC UA tests: a node-opcua server with the official DI, IA, Machinery, MachineTool and PackML
// nodesets and three machines that conform to them (machines.js). `node server.js '{"port": 4840, "folder": "/tmp/x"}'`;
// with "machines": false it has plain variables alone, and starts in a second; with "press" that machine alone. A
// "careful" one trusts no certificate that it has not been told to trust.
// It writes one JSON object per line ({"event":"ready"}, {"event":"done"}, {"event":"failed"}), and reads commands:
//   {"state": [path, name, ms]}        a state machine takes a state
//   {"write": [[path, type, value, ms], …]}   a variable takes a value, at a source time since the epoch
//   {"count": [path, count, total, ms]}       a PackML count
//   {"alarm": [path, message, severity]}      the machine raises an event
//   {"condition": [active, message, severity, code]}   the mill's alert begins or ends
//   {"historize": [path, …]}                  variables have a history from now on
//   {"job": [name, order]}, {"tool": [name, number, new, worn]}   the mill has one more
//   {"versions": [path, …]}                   objects have a NodeVersion: the server tells when their children change
//   {"remove": path}                          and what is there no more
//   {"anew": true}                            the mill has its first jobs, tools, states and program again, and no alarm
//   {"items": true}                           says how many items the newest subscription has: {"event":"items","count":n}
//   {"number": "Press"}                       the press's nodes have other numbers from now on
//   {"clock": ms}                             the server's clock is set forward, or back
//   {"stop_clock": ms}                        the server's clock stands at that time; 0: it goes again
//   {"pace": {"names": […], "per_s": n, "seconds": s}}   plain variables count up, each n times a second
//                                             at most; at the end {"event":"paced","each":values of each,
//                                             "queued": values that entered the queues of their monitored items,
//                                             those of sessions that were left and live on too}
// A path is made of browse names below Objects/Machines, without namespaces: "Mill/Production/Statistics/…".
"use strict";
const spec = JSON.parse(process.argv[2]);
let ahead = 0, stopped = 0;
const now = () => stopped || RealDate.now() + ahead;
// The clock of this process alone is set, for all of its code: before the server is loaded.
const RealDate = Date;
global.Date = class extends RealDate {
  constructor(...given) {
    if (given.length) super(...given);
    else super(now());
  }
  static now() { return now(); }
};
const path = require("node:path");
const readline = require("node:readline");
const {
  OPCUAServer, OPCUACertificateManager, MessageSecurityMode, SecurityPolicy, DataType, StatusCodes, LocalizedText,
  VariantArrayType, Range, standardUnits, MonitoredItem,
} = require("node-opcua");
const { nodesets } = require("node-opcua-nodesets");
const { child, setState, addJob, addTool, anew, number, machines } = require("./machines.js");

// What enters a queue is published, or its overflow told. What a node took before it was looked at never does.
let queued = 0, counted = new Set();
const enqueue = MonitoredItem.prototype._enqueue_value;
MonitoredItem.prototype._enqueue_value = function (value) {
  if (counted.has(this.node)) queued++;
  return enqueue.call(this, value);
};

const say = (event) => process.stdout.write(JSON.stringify(event) + "\n");

(async () => {
  const manager = new OPCUACertificateManager({
    rootFolder: path.join(spec.folder, "pki"),
    automaticallyAcceptUnknownCertificate: spec.careful !== true,
    name: "pki",
  });
  await manager.initialize();
  const users = new OPCUACertificateManager({
    rootFolder: path.join(spec.folder, "users"),
    automaticallyAcceptUnknownCertificate: true,
    name: "users",
  });
  await users.initialize();
  const secured = spec.secured === true;
  const server = new OPCUAServer({
    port: spec.port,
    hostname: "127.0.0.1",
    host: "127.0.0.1",
    resourcePath: "/km0",
    serverInfo: { applicationUri: "urn:km0:foreign" },
    certificateFile: path.join(spec.folder, "server.pem"),
    nodeset_filename: spec.machines === false ? [nodesets.standard]
      : spec.machines === "press" ? [nodesets.standard, nodesets.di, nodesets.ia, nodesets.machinery] : [
      nodesets.standard, nodesets.di, nodesets.ia, nodesets.machinery, nodesets.isa95JobControl, nodesets.machineryJobs,
      nodesets.machineTool, nodesets.packML,
    ],
    serverCertificateManager: manager,
    userCertificateManager: users,
    securityPolicies: secured
      ? [SecurityPolicy.Basic256Sha256, SecurityPolicy.Aes128_Sha256_RsaOaep, SecurityPolicy.Aes256_Sha256_RsaPss]
      : [SecurityPolicy.None],
    securityModes: secured ? [MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt] : [MessageSecurityMode.None],
    allowAnonymous: !secured,
    userManager: { isValidUser: (name, password) => name === "km0" && password === "measure" },
    serverCapabilities: spec.capabilities || {},
    maxConnectionsPerEndpoint: 10,
    allowAnonymousSubscriptionTransferOnUnsecuredChannel: spec.transfer === true,
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  space.installAlarmsAndConditionsService();
  const { folder, packml, alert } = spec.machines === false ? {} : machines(space, spec.machines === "press");
  const own = space.getOwnNamespace();
  const plain = own.addObject({ browseName: "Plain", nodeId: "s=Plain", organizedBy: space.rootFolder.objects });
  for (const name of spec.variables || ["SpindleLoad", "Counter", "State"]) {
    const variable = own.addVariable({ browseName: name, nodeId: `s=${name}`, componentOf: plain, dataType: "Double", minimumSamplingInterval: 0 });
    variable.setValueFromSource({ dataType: DataType.Double, value: 0 }, StatusCodes.Good, new Date());
    if (spec.history) space.installHistoricalDataNode(variable, { maxOnlineValues: 100000 });
  }
  for (const [name, low, high] of spec.analog || []) {
    own.addAnalogDataItem({
      browseName: name, nodeId: `s=${name}`, componentOf: plain, dataType: "Double", minimumSamplingInterval: 0,
      engineeringUnitsRange: new Range({ low, high }), engineeringUnits: standardUnits.degree_celsius,
    }).setValueFromSource({ dataType: DataType.Double, value: 0 }, StatusCodes.Good, new Date());
  }
  const at = (ms) => (ms === undefined || ms === null ? new Date() : new Date(ms));
  const find = (text) => {
    const names = text.split("/");
    const start = names[0] === "Plain" ? plain : child(folder, names[0]);
    return names.slice(1).reduce(child, start);
  };
  const commands = {
    state: ([where, name, ms]) => setState(find(where), name, at(ms)),
    write: (rows) => {
      for (const [where, type, value, ms, status] of rows) {
        const variable = find(where);
        variable.setValueFromSource(
          Array.isArray(value)
            ? { dataType: DataType[type], arrayType: VariantArrayType.Array, value }
            : { dataType: DataType[type], value },
          status ? StatusCodes[status] : StatusCodes.Good, at(ms));
      }
    },
    count: ([where, count, total, ms]) => {
      const type = space.findDataType("PackMLCountDataType", packml);
      const value = [space.constructExtensionObject(type, { id: 1, name: "box", count, accCount: total })];
      find(where).setValueFromSource(
        { dataType: DataType.ExtensionObject, arrayType: VariantArrayType.Array, value }, StatusCodes.Good, at(ms));
    },
    alarm: ([where, message, severity]) =>
      find(where).raiseEvent(space.findEventType("BaseEventType"), {
        message: { dataType: DataType.LocalizedText, value: new LocalizedText({ text: message }) },
        severity: { dataType: DataType.UInt16, value: severity },
      }),
    condition: ([active, message, severity, code]) => {
      child(alert, "ErrorCode").setValueFromSource({ dataType: DataType.String, value: code });
      if (active) alert.activateAlarm();
      else alert.deactivateAlarm();
      alert.raiseNewCondition({ message, severity, quality: StatusCodes.Good, retain: active });
    },
    historize: (paths) => paths.forEach((one) => space.installHistoricalDataNode(find(one))),
    job: (said) => addJob(space, child(folder, "Mill"), said),
    tool: (said) => addTool(space, child(folder, "Mill"), said),
    items: () => {
      const all = Object.values(server.engine._sessions).flatMap((session) => session.publishEngine.subscriptions);
      const newest = all.reduce((one, other) => (one.id > other.id ? one : other));
      setImmediate(() => say({ event: "items", count: newest.monitoredItemCount }));
    },
    versions: (paths) => paths.forEach((one) => own.addVariable({
      browseName: { name: "NodeVersion", namespaceIndex: 0 }, propertyOf: find(one), dataType: "String",
      value: { dataType: DataType.String, value: "1" },
    })),
    remove: (where) => space.deleteNode(find(where)),
    anew: () => {
      anew(space, child(folder, "Mill"));
      commands.condition([false, "nothing", 100, "E0"]);
    },
    number: (where) => number(space, find(where)),
    clock: (ms) => { ahead = ms; },
    stop_clock: (ms) => { stopped = ms; },
    pace: ({ names, per_s, seconds }) => {
      const variables = names.map((name) => child(plain, name));
      const began = performance.now();
      let number = 0;
      counted = new Set(variables);
      queued = 0;
      const tick = () => {
        number++;
        const at = new Date();
        for (const variable of variables) {
          variable.setValueFromSource({ dataType: DataType.Double, value: number }, StatusCodes.Good, at);
        }
        // One that is late does not catch up: it would write what nobody could sample.
        if (performance.now() - began < 1000 * seconds) setTimeout(tick, 1000 / per_s);
        else setTimeout(() => say({ event: "paced", each: number, queued }), 500);  // the last was looked at by then
      };
      tick();
    },
  };
  await server.start();
  say({ event: "ready", url: `opc.tcp://127.0.0.1:${spec.port}/km0` });
  readline.createInterface({ input: process.stdin }).on("line", (line) => {
    try {
      for (const [verb, argument] of Object.entries(JSON.parse(line))) commands[verb](argument);
      say({ event: "done" });
    } catch (error) {
      say({ event: "failed", why: String(error.stack) });
    }
  }).on("close", () => process.exit(0));
})().catch((error) => {
  say({ event: "failed", why: String(error.stack) });
  process.exit(1);
});
