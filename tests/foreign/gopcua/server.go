// A second foreign peer of the OPC UA tests: gopcua's server, which has little, as small devices do. It keeps one value
// of a node between two publishings and does not tell that it dropped others, and it has neither history, nor Republish,
// nor TransferSubscriptions.
//
// `gopcua PORT NAME…` writes one JSON object per line ({"event":"ready"}, {"event":"done"}), and reads commands:
// [[name, value, ms], …]: variables of namespace urn:km0:gopcua take values at source times since the epoch.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/server"
	"github.com/gopcua/opcua/ua"
)

func valueAt(value float64, at time.Time) *ua.DataValue {
	return &ua.DataValue{
		EncodingMask:    ua.DataValueValue | ua.DataValueSourceTimestamp | ua.DataValueServerTimestamp,
		Value:           ua.MustVariant(value),
		SourceTimestamp: at,
		ServerTimestamp: time.Now(),
	}
}

func main() {
	log.SetOutput(os.Stderr)
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	srv := server.New(
		server.EndPoint("127.0.0.1", port),
		server.EnableSecurity("None", ua.MessageSecurityModeNone),
		server.EnableAuthMode(ua.UserTokenTypeAnonymous),
	)
	own := server.NewNodeNameSpace(srv, "urn:km0:gopcua")
	root, err := srv.Namespace(0)
	if err != nil {
		log.Fatal(err)
	}
	root.Objects().AddRef(own.Objects(), id.HasComponent, true)
	nodes := map[string]*server.Node{}
	for _, name := range os.Args[2:] {
		node := own.AddNewVariableStringNode(name, 0.0)
		_ = node.SetAttribute(ua.AttributeIDValue, valueAt(0, time.Now()))
		own.Objects().AddRef(node, id.HasComponent, true)
		nodes[name] = node
	}
	if err := srv.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(`{"event":"ready"}`)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var rows [][3]any
		if err := json.Unmarshal(lines.Bytes(), &rows); err != nil {
			log.Fatal(err)
		}
		for _, row := range rows {
			node := nodes[row[0].(string)]
			_ = node.SetAttribute(ua.AttributeIDValue, valueAt(row[1].(float64), time.UnixMilli(int64(row[2].(float64)))))
			srv.ChangeNotification(node.ID())
		}
		fmt.Println(`{"event":"done"}`)
	}
}
