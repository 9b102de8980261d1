package control

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestDocsHaveTheLimits(t *testing.T) {
	docs, l := read(t, "../../docs/api.md"), defaultLimits()
	rows := []string{"what | how much", "--- | ---"}
	row := func(what, format string, args ...any) { rows = append(rows, what+" | "+fmt.Sprintf(format, args...)) }
	row("a request", "%d MiB", l.receive>>20)
	row("an answer", "%d MiB", l.send>>20)
	row("a page of `ListVips`", "%d VIPs and %d MiB", largestPage, l.page>>20)
	row("lists of `GetStatus`", "%d each, and %d events; `vips` is empty when there are more", statusRows, statusEvents)
	row("`ListEvents`", "%d events", mostEvents)
	row("VIPs in `ReplaceVips`", "%d", mostVIPs)
	row("a reason", "%d characters", longReason)
	row("a `ttl`", "%d days", longest/(24*time.Hour))
	row("connections of a listener", "%d", l.connections)
	row("connections of a caller", "%d", l.callerConnections)
	row("calls at once on a connection", "%d", l.streams)
	row("`Watch` streams", "%d", l.watches)
	row("`Watch` streams of a caller", "%d", l.callerWatches)
	row("mutations of a caller", "%v a second, after %d at once", l.mutations, l.burst)
	row("time for a handshake", "%v", l.handshake)
	row("time that a stream may take nothing", "%v", l.sending)
	row("answers on a connection that are not read", "%d MiB", l.pending>>20)
	row("silence until a client is asked whether it lives", "%v", l.ping)
	row("time for it to answer", "%v", l.pong)
	row("a connection without calls", "%v", l.idle)
	row("a client's keepalive pings", "%v apart", clientPings)
	row("calls under way when vipd stops", "%v", l.stop)
	want := "| " + strings.Join(rows, " |\n| ") + " |\n"
	if !strings.Contains(docs, "## Limits\n\n"+want+"\n") {
		t.Errorf("docs/api.md should have:\n%s", want)
	}
}

func TestDocsHaveEachMethodInItsRole(t *testing.T) {
	rows := map[role]string{reading: "| read-only | ", writing: "| read-write | those, and "}
	between := map[role]string{}
	methods := vipdv1.File_vipd_v1_vipd_proto.Services().Get(0).Methods()
	for i := range methods.Len() {
		name := string(methods.Get(i).Name())
		rows[needs(name)] += between[needs(name)] + "`" + name + "`"
		between[needs(name)] = ", "
	}
	docs := read(t, "../../docs/api.md")
	for _, row := range rows {
		if !strings.Contains(docs, row+" |\n") {
			t.Errorf("docs/api.md should have: %s |", row)
		}
	}
}

func TestDocsHaveTheExample(t *testing.T) {
	_, example, _ := strings.Cut(read(t, "../../api/vipd/v1/example_test.go"), "\n)\n\n")
	if !strings.Contains(read(t, "../../docs/api.md"), "```go\n"+example+"```\n") {
		t.Error("the Go code of docs/api.md is not that of example_test.go")
	}
}
