// A foreign peer of the OPC UA tests: a node-opcua server with the official DI, IA, Machinery, MachineTool and PackML
// nodesets and three machines that conform to them. `node server.js '{"port": 4840, "folder": "/tmp/x"}'`
// It writes one JSON object per line ({"event":"ready"}, {"event":"done"}, {"event":"failed"}), and reads commands:
//   {"state": [path, name, ms]}        a state machine takes a state
//   {"write": [[path, type, value, ms], …]}   a variable takes a value, at a source time since the epoch
//   {"count": [path, count, total, ms]}       a PackML count
//   {"alarm": [path, message, severity]}      the machine raises an event
// A path is made of browse names below Objects/Machines, without namespaces: "Mill/Production/Statistics/…".
"use strict";
const path = require("node:path");
const readline = require("node:readline");
const {
  OPCUAServer, OPCUACertificateManager, MessageSecurityMode, SecurityPolicy, DataType, StatusCodes, coerceNodeId,
  LocalizedText, VariantArrayType,
} = require("node-opcua");
const { nodesets } = require("node-opcua-nodesets");

const spec = JSON.parse(process.argv[2]);
const say = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const REFERENCES = ["HasComponent", "HasProperty", "Organizes", "HasAddIn", "HasOrderedComponent"];

function child(node, name) {
  for (const reference of REFERENCES) {
    for (const found of node.findReferencesExAsObject ? node.findReferencesExAsObject(reference) : []) {
      if (found.browseName.name === name) return found;
    }
  }
  throw new Error(`${node.browseName.name} has no ${name}`);
}

function setState(machine, name, at) {
  const type = machine.typeDefinitionObj;
  let state = null;
  for (let t = type; t && !state; t = t.subtypeOfObj) {
    state = t.findReferencesExAsObject("HasComponent").find((one) => one.browseName.name === name) || null;
  }
  if (!state) throw new Error(`${type.browseName.name} has no state ${name}`);
  const current = child(machine, "CurrentState");
  child(current, "Id").setValueFromSource({ dataType: DataType.NodeId, value: state.nodeId }, StatusCodes.Good, at);
  current.setValueFromSource({ dataType: DataType.LocalizedText, value: new LocalizedText({ text: name }) }, StatusCodes.Good, at);
  const numbered = state.findReferencesExAsObject("HasProperty").find((one) => one.browseName.name === "StateNumber");
  const number = current.findReferencesExAsObject("HasProperty").find((one) => one.browseName.name === "Number");
  if (number && numbered) {
    number.setValueFromSource({ dataType: DataType.UInt32, value: numbered.readValue().value.value }, StatusCodes.Good, at);
  }
}

function machines(space) {
  const ns = (uri) => space.getNamespaceIndex(uri);
  const machinery = ns("http://opcfoundation.org/UA/Machinery/");
  const tools = ns("http://opcfoundation.org/UA/MachineTool/");
  const packml = ns("http://opcfoundation.org/UA/PackML/");
  const folder = space.findNode(coerceNodeId(`ns=${machinery};i=1001`));
  const own = space.getOwnNamespace();

  // A vendor's sub-type of the standard's type: recognised all the same.
  const acme = own.addObjectType({ browseName: "AcmeMillType", subtypeOf: space.findObjectType("MachineToolType", tools) });
  const mill = acme.instantiate({
    browseName: { name: "Mill", namespaceIndex: own.index },
    nodeId: "s=Mill",
    organizedBy: folder,
    eventSourceOf: space.rootFolder.objects.server,
    eventNotifier: 1,
    optionals: spec.optionals || [
      "Monitoring.MachineTool.MachineryItemState",
      "Monitoring.MachineTool.MachineryOperationMode",
      "Monitoring.MachineTool.FeedOverride",
      "Monitoring.Stacklight",
      "Production.Statistics",
      "Production.Statistics.PartsProducedInLifetime",
      "Notification.Messages",
    ],
  });
  const spindle = space.findObjectType("SpindleMonitoringType", tools).instantiate({
    browseName: { name: "Spindle", namespaceIndex: own.index },
    componentOf: child(mill, "Monitoring"),
    optionals: ["Override"],
  });
  child(spindle, "Name").setValueFromSource({ dataType: DataType.String, value: "S1" });
  const ia = ns("http://opcfoundation.org/UA/IA/");
  const light = child(child(mill, "Monitoring"), "Stacklight");
  const lampType = space.findObjectType("StackElementLightType", ia);
  [["Green", 2], ["Red", 1]].forEach(([name, color], index) => {
    const lamp = lampType.instantiate({
      browseName: { name, namespaceIndex: own.index },
      optionals: ["SignalOn", "SignalColor", "StacklightMode"],
    });
    light.addReference({ referenceType: "HasOrderedComponent", nodeId: lamp.nodeId });
    child(lamp, "SignalColor").setValueFromSource({ dataType: DataType.Int32, value: color });
    child(lamp, "SignalOn").setValueFromSource({ dataType: DataType.Boolean, value: false });
    child(lamp, "NumberInList").setValueFromSource({ dataType: DataType.UInt16, value: index });
  });

  // A machine of Machinery alone: a plain object with the building blocks as add-ins.
  const press = own.addObject({ browseName: "Press", nodeId: "s=Press", organizedBy: folder });
  const blocks = own.addObject({
    browseName: { name: "MachineryBuildingBlocks", namespaceIndex: machinery },
    typeDefinition: "FolderType",
    componentOf: press,
  });
  for (const [name, type] of [
    ["MachineryItemState", "MachineryItemState_StateMachineType"],
    ["MachineryOperationMode", "MachineryOperationModeStateMachineType"],
  ]) {
    const built = space.findObjectType(type, machinery).instantiate({ browseName: { name, namespaceIndex: machinery } });
    blocks.addReference({ referenceType: "HasAddIn", nodeId: built.nodeId });
  }

  space.findObjectType("PackMLBaseObjectType", packml).instantiate({
    browseName: { name: "Packer", namespaceIndex: own.index },
    nodeId: "s=Packer",
    organizedBy: folder,
    optionals: ["Admin.ProdProcessedCount", "Admin.ProdDefectiveCount"],
  });

  const plate = child(mill, "Identification");
  child(plate, "Manufacturer").setValueFromSource({ dataType: DataType.LocalizedText, value: new LocalizedText({ text: "Acme" }) });
  child(plate, "SerialNumber").setValueFromSource({ dataType: DataType.String, value: "M-1" });
  const program = child(child(mill, "Production"), "ActiveProgram");
  child(program, "Name").setValueFromSource({ dataType: DataType.String, value: "O1000" });
  setState(child(program, "State"), "Running", new Date());
  setState(child(child(child(mill, "Monitoring"), "MachineTool"), "MachineryItemState"), "NotExecuting", new Date());
  setState(child(child(child(mill, "Monitoring"), "MachineTool"), "MachineryOperationMode"), "Processing", new Date());
  setState(child(child(press, "MachineryBuildingBlocks"), "MachineryItemState"), "Executing", new Date());
  setState(child(child(press, "MachineryBuildingBlocks"), "MachineryOperationMode"), "Processing", new Date());
  return { folder, packml };
}

(async () => {
  const manager = new OPCUACertificateManager({
    rootFolder: path.join(spec.folder, "pki"),
    automaticallyAcceptUnknownCertificate: true,
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
    nodeset_filename: [
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
  const { folder, packml } = machines(space);
  const own = space.getOwnNamespace();
  const plain = own.addObject({ browseName: "Plain", nodeId: "s=Plain", organizedBy: space.rootFolder.objects });
  for (const name of spec.variables || ["SpindleLoad", "Counter", "State"]) {
    const variable = own.addVariable({ browseName: name, nodeId: `s=${name}`, componentOf: plain, dataType: "Double", minimumSamplingInterval: 0 });
    variable.setValueFromSource({ dataType: DataType.Double, value: 0 }, StatusCodes.Good, new Date());
    if (spec.history) space.installHistoricalDataNode(variable, { maxOnlineValues: 100000 });
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
