package operatorlab

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// manual is what docs/operations.md says, without what differs from run to run.
func manual(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	return timeless(string(text))
}

// timeless takes instants and the states of sessions that come and go out of a
// text, and how its lines are broken.
func timeless(text string) string {
	text = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:]+Z`).ReplaceAllString(text, "(then)")
	text = regexp.MustCompile(`\((idle|active|connect|opensent|openconfirm)\)`).ReplaceAllString(text, "(down)")
	return strings.Join(strings.Fields(text), " ")
}

// documented fails the test unless the manual has a text.
func documented(t testing.TB, text string) {
	t.Helper()
	if !strings.Contains(manual(t), timeless(text)) {
		t.Errorf("docs/operations.md does not have %q", text)
	}
}

// "One of: announced, no_healthy_backend, …": api/vipd/v1/vipd.proto
func TestManualHasEveryCause(t *testing.T) {
	proto, err := os.ReadFile("../../../api/vipd/v1/vipd.proto")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(proto), "// One of: announced, ")
	list, _, ok := strings.Cut(list, ".")
	if !ok {
		t.Fatal("the API lists no causes")
	}
	causes := strings.FieldsFunc("announced,"+list, func(r rune) bool { return strings.ContainsRune(" ,/\n", r) })
	if len(causes) < 15 {
		t.Fatalf("the API lists %q", causes)
	}
	for _, c := range causes {
		documented(t, "`"+c+"`")
	}
	for _, x := range append(decisions(), connections()...) {
		if !strings.Contains(strings.Join(causes, " "), x.cause) {
			t.Errorf("%s is no cause of the API", x.cause)
		}
	}
}
