// A foreign judge of our OPC UA servers: node-opcua's client walks what is below Objects/Machines and tells it as JSON.
// `node browse.js opc.tcp://127.0.0.1:4840/path` writes [{"path", "type", "value"?, "status"?}, …]; a path is made of
// browse names with namespace URIs left out, a type is the browse name of the type definition with its namespace URI.
"use strict";
const { OPCUAClient, AttributeIds, BrowseDirection, NodeClass } = require("node-opcua");

(async () => {
  const client = OPCUAClient.create({ endpointMustExist: false, connectionStrategy: { maxRetry: 2 } });
  await client.connect(process.argv[2]);
  const session = await client.createSession();
  const uris = (await session.readNamespaceArray());
  const children = async (nodeId) =>
    (await session.browse({
      nodeId, referenceTypeId: "HierarchicalReferences", includeSubtypes: true,
      browseDirection: BrowseDirection.Forward, resultMask: 63,
    })).references || [];
  const names = new Map();
  const typeName = async (nodeId) => {
    if (nodeId.isEmpty()) return null;
    const key = nodeId.toString();
    if (!names.has(key)) {
      const read = await session.read({ nodeId, attributeId: AttributeIds.BrowseName });
      names.set(key, `${uris[read.value.value.namespaceIndex]}${read.value.value.name}`);
    }
    return names.get(key);
  };
  const told = [];
  const walk = async (nodeId, path, depth) => {
    for (const child of await children(nodeId)) {
      const one = { path: `${path}/${child.browseName.name}`.replace(/^\//, ""), type: await typeName(child.typeDefinition) };
      if (child.nodeClass === NodeClass.Variable) {
        const read = await session.read({ nodeId: child.nodeId, attributeId: AttributeIds.Value });
        one.status = read.statusCode.name;
        const value = read.value && read.value.value;
        one.value = value === null || value === undefined ? null : value.text !== undefined ? value.text : String(value);
      }
      told.push(one);
      if (depth < 8) await walk(child.nodeId, one.path, depth + 1);
    }
  };
  const machines = (await children("ObjectsFolder")).find((one) => one.browseName.name === "Machines");
  if (machines) await walk(machines.nodeId, "", 0);
  process.stdout.write(JSON.stringify(told) + "\n");
  await session.close();
  await client.disconnect();
})().catch((error) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
});
