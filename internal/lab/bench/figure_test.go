package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A figure is one row of the tables, and one line of JSON.
type figure struct {
	Name    string  `json:"name"`
	Speaker string  `json:"speaker,omitempty"` // "gobgpd 4.8.0"
	N       int     `json:"n"`
	Median  float64 `json:"median"`
	P99     float64 `json:"p99"` // the highest, of less than 100
	Max     float64 `json:"max"`
	Unit    string  `json:"unit"`
	// What it is compared with in the same run, and the ratio of the medians.
	Beside       string  `json:"beside,omitempty"`
	BesideN      int     `json:"beside_n,omitempty"`
	BesideMedian float64 `json:"beside_median,omitempty"`
	BesideP99    float64 `json:"beside_p99,omitempty"`
	Ratio        float64 `json:"ratio,omitempty"`
	Targets      []goal  `json:"targets,omitempty"`
}

// A goal is a bound that a figure should keep.
type goal struct {
	What  string  `json:"what"` // "median", "p99", "ratio"
	Bound float64 `json:"bound"`
	Met   bool    `json:"met"`
}

func newFigure(name, speaker, unit string, samples []float64) *figure {
	f := &figure{Name: name, Speaker: speaker, Unit: unit, N: len(samples)}
	f.Median, f.P99, f.Max = quantile(samples, 0.5), quantile(samples, 0.99), slices.Max(samples)
	return f
}

// quantile is the smallest sample that so great a share of them is not above.
func quantile(samples []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// beside adds what the figure is compared with.
func (f *figure) beside(name string, samples []float64) *figure {
	f.Beside, f.BesideN = name, len(samples)
	f.BesideMedian, f.BesideP99 = quantile(samples, 0.5), quantile(samples, 0.99)
	f.Ratio = f.Median / f.BesideMedian
	return f
}

// target adds a bound: what is to be "median", "p99" or "ratio".
func (f *figure) target(what string, bound float64) *figure {
	f.Targets = append(f.Targets, goal{what, bound, f.value(what) <= bound})
	return f
}

func (f *figure) value(what string) float64 {
	return map[string]float64{"median": f.Median, "p99": f.P99, "ratio": f.Ratio}[what]
}

// row is the figure in a table.
func (f *figure) row() string {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 3, 64) }
	if f.Max >= 1000 {
		number = func(x float64) string { return strconv.FormatFloat(x, 'f', 0, 64) }
	}
	spread := fmt.Sprintf("%s | %s", number(f.P99), number(f.Max))
	if f.N == 1 {
		spread = " | "
	}
	beside := " | "
	if f.Beside != "" {
		beside = fmt.Sprintf("%s: %s", f.Beside, number(f.BesideMedian))
		if f.BesideN > 1 {
			beside += fmt.Sprintf(", p99 %s, n %d", number(f.BesideP99), f.BesideN)
		}
		beside += " | " + strconv.FormatFloat(f.Ratio, 'f', 2, 64)
	}
	var targets []string
	for _, g := range f.Targets {
		verdict := "met"
		if !g.Met {
			verdict = fmt.Sprintf("**missed** by %.0f %%", 100*(f.value(g.What)/g.Bound-1))
		}
		targets = append(targets, fmt.Sprintf("%s ≤ %s: %s", g.What, strconv.FormatFloat(g.Bound, 'g', -1, 64), verdict))
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %s | %s | %s | %s |\n",
		f.Name, f.Speaker, f.Unit, f.N, number(f.Median), spread, beside, strings.Join(targets, "; "))
}

const head = "| what | speaker | unit | n | median | p99 | max | beside it | ratio | target |\n" +
	"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"

// page is where the tables are; a measurement has its own between two marks.
const page = "../../../docs/performance.md"

// record prints figures and puts them on the page in place of the last ones.
func record(t *testing.T, bench string, load string, figures []*figure) {
	t.Helper()
	publish(t, bench, load, head, figures)
}

// publish prints rows, a line of JSON each, and puts them on the page as a table.
func publish[R interface{ row() string }](t *testing.T, bench, load, head string, rows []R) {
	t.Helper()
	var table strings.Builder
	fmt.Fprintf(&table, "%s, `%s`, %s; load average before: %s\n\n%s",
		time.Now().UTC().Format(time.DateOnly), command(bench), machine(), load, head)
	for _, r := range rows {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(line))
		table.WriteString(r.row())
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text, err = replace(text, bench, table.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// command is how to take the figures of a measurement again.
func command(bench string) string {
	switch span := os.Getenv(spanVariable); {
	case bench != "bfd" && bench != "starved":
		return "make bench BENCH=" + bench
	case span != "":
		return spanVariable + "=" + span + " make bench-bfd"
	}
	return "make bench-bfd"
}

// replace puts a text between the marks of a measurement.
func replace(page []byte, bench, text string) ([]byte, error) {
	begin, end := fmt.Appendf(nil, "<!-- bench %s -->\n", bench), fmt.Appendf(nil, "<!-- end %s -->\n", bench)
	before, rest, ok := bytes.Cut(page, begin)
	_, after, ok2 := bytes.Cut(rest, end)
	if !ok || !ok2 {
		return nil, fmt.Errorf("the page lacks the marks %q and %q", begin, end)
	}
	return slices.Concat(before, begin, []byte(text), end, after), nil
}

// machine says in a few words what the figures are true for.
func machine() string {
	model := runtime.GOARCH
	if cpus, err := os.Open("/proc/cpuinfo"); err == nil {
		defer cpus.Close()
		for lines := bufio.NewScanner(cpus); lines.Scan(); {
			if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var u unix.Utsname
	_ = unix.Uname(&u) // can't fail with this argument
	return fmt.Sprintf("%s, %d cores, Linux %s, %s", model, runtime.NumCPU(), unix.ByteSliceToString(u.Release[:]), runtime.Version())
}

// load is how busy the machine is already, over the last 1, 5 and 15 minutes.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func TestQuantileIsASample(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("quantile %v of 1..100 is %v, want %v", q, got, want)
		}
	}
	if got := quantile([]float64{7}, 0.99); got != 7 {
		t.Errorf("quantile of one sample is %v", got)
	}
}

func TestAMeasurementReplacesItsOwnTableOnly(t *testing.T) {
	page := "# A\n<!-- bench a -->\nold\n<!-- end a -->\ntext\n<!-- bench b -->\nstays\n<!-- end b -->\n"
	got, err := replace([]byte(page), "a", "new\n")
	if want := strings.Replace(page, "old", "new", 1); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := replace([]byte(page), "c", "new\n"); err == nil {
		t.Error("a measurement without marks is taken")
	}
}
