package web

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const docs = "../../docs/metrics.md"

// documented returns the metrics of the table in docs, as "name type labels".
func documented(t *testing.T) (rows []string, text string) {
	t.Helper()
	raw, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile("`([a-z_]+)`")
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !strings.HasPrefix(cells[1], " `vipd_") {
			continue
		}
		labels := []string{}
		for _, m := range word.FindAllStringSubmatch(cells[3], -1) {
			labels = append(labels, m[1])
		}
		slices.Sort(labels)
		rows = append(rows, fmt.Sprint(strings.Trim(cells[1], " `"), strings.TrimRight(cells[2], " "), " ", labels))
	}
	slices.Sort(rows)
	return rows, string(raw)
}

// exported returns all that a full snapshot yields, as documented does.
func exported(t *testing.T) (rows []string) {
	t.Helper()
	families, err := registry("v1", fixedSources()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		labels := []string{}
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		if strings.HasPrefix(f.GetName(), "vipd_") {
			rows = append(rows, fmt.Sprint(f.GetName(), " ", strings.ToLower(f.GetType().String()), " ", labels))
		}
	}
	slices.Sort(rows)
	return rows
}

func TestDocsTellExactlyWhatIsExported(t *testing.T) {
	rows, _ := documented(t)
	if got, want := strings.Join(rows, "\n"), strings.Join(exported(t), "\n"); got != want {
		t.Errorf("%s has:\n%s\nexported are:\n%s", docs, got, want)
	}
	for _, row := range table() {
		if !slices.ContainsFunc(rows, func(r string) bool { return strings.HasPrefix(r, row.name+" ") }) {
			t.Errorf("%s is not in %s, and the fixed snapshot has none of it", row.name, docs)
		}
	}
}

func TestAlertsInDocsUseMetricsThatExist(t *testing.T) {
	_, text := documented(t)
	_, rules, found := strings.Cut(text, "```yaml")
	if !found {
		t.Fatal("no alert rules")
	}
	names := regexp.MustCompile(`vipd_[a-z_]+`).FindAllString(rules, -1)
	if len(names) == 0 {
		t.Fatal("the rules use no metric")
	}
	for _, name := range names {
		name = strings.TrimSuffix(name, "_bucket")
		if !slices.ContainsFunc(exported(t), func(row string) bool { return strings.HasPrefix(row, name+" ") }) {
			t.Errorf("an alert uses %s, which is not exported", name)
		}
	}
}
