// Package operatorlab proves what vipd promises to who operates it, in a network
// in a box: what vipctl says is what a real router has, and a word that was taken
// is kept, whatever happens.
package operatorlab

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/fiberlb/vipd/internal/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// soon is long for what should take milliseconds: a busy machine is no error.
const soon = 30 * time.Second

// Exit codes of vipctl.
const (
	done        = 0
	failed      = 1
	misused     = 2
	unreachable = 3
)

// does calls vipctl, which must do what it is told.
func does(t testing.TB, v *lab.Vipd, args ...string) lab.Said {
	t.Helper()
	said := v.Ctl(args...)
	if said.Code != done {
		t.Fatal(said)
	}
	return said
}

// says ends the test unless a program exited with a code and said all of these
// words.
func says(t testing.TB, said lab.Said, code int, words ...string) {
	t.Helper()
	if err := lacks(said, code, words...); err != nil {
		t.Fatal(err)
	}
	t.Log(said)
}

func lacks(said lab.Said, code int, words ...string) error {
	if said.Code != code {
		return fmt.Errorf("exit code %d, not %d:\n%s", said.Code, code, said)
	}
	for _, w := range words {
		if !strings.Contains(said.Out+said.Err, w) {
			return fmt.Errorf("it does not say %q:\n%s", w, said)
		}
	}
	return nil
}

// tells calls vipctl for JSON, and reads that.
func tells[M proto.Message](t testing.TB, v *lab.Vipd, into M, args ...string) M {
	t.Helper()
	said := v.Ctl(slices.Concat(args, []string{"-o", "json"})...)
	if said.Code != done {
		t.Fatal(said)
	}
	if err := protojson.Unmarshal([]byte(said.Out), into); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return into
}
