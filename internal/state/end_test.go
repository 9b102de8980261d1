package state

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWhatIsLeft(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	said := Clock{noon, "first", time.Hour} // with an end in 10 minutes
	wall := Clock{Now: noon}
	at := func(set, later time.Duration) time.Time { return noon.Add(later + set) }
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		name      string
		said, now Clock
		left      time.Duration // 0: it is over
	}{
		{"at once", said, said, 10 * time.Minute},
		{"same boot", said, Clock{at(0, 4*time.Minute), "first", time.Hour + 4*time.Minute}, 6 * time.Minute},
		{"same boot, the last nanosecond", said, Clock{noon, "first", time.Hour + 10*time.Minute - 1}, 1},
		{"same boot, over", said, Clock{noon, "first", time.Hour + 10*time.Minute}, 0},
		{"same boot, clock set forth", said, Clock{at(year, 4*time.Minute), "first", time.Hour + 4*time.Minute}, 6 * time.Minute},
		{"same boot, clock set back", said, Clock{at(-year, 4*time.Minute), "first", time.Hour + 4*time.Minute}, 6 * time.Minute},
		{"same boot, clock set forth, over", said, Clock{at(year, time.Hour), "first", 2 * time.Hour}, 0},
		{"same boot, clock set back, over", said, Clock{at(-year, time.Hour), "first", 2 * time.Hour}, 0},
		{"another boot", said, Clock{at(0, 4*time.Minute), "second", time.Second}, 6 * time.Minute},
		{"another boot, later in it", said, Clock{at(0, 4*time.Minute), "second", 3 * time.Hour}, 6 * time.Minute},
		{"another boot, over", said, Clock{at(0, 10*time.Minute), "second", time.Second}, 0},
		{"another boot, clock set back", said, Clock{at(-time.Minute, 0), "second", time.Second}, 10 * time.Minute},
		{"another boot, clock of 1970", said, Clock{time.Unix(9, 0), "second", time.Second}, 10 * time.Minute},
		{"another boot, clock set forth", said, Clock{at(year, 0), "second", time.Second}, 0},
		{"boot not known now", said, Clock{Now: at(0, 4*time.Minute)}, 6 * time.Minute},
		{"boot not known then", wall, Clock{at(0, 4*time.Minute), "first", time.Hour}, 6 * time.Minute},
		{"boot never known", wall, Clock{Now: at(0, 4*time.Minute)}, 6 * time.Minute},
		{"boot never known, over", wall, Clock{Now: at(0, 11*time.Minute)}, 0},
		{"boot never known, clock set back", wall, Clock{Now: at(-year, 0)}, 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kept, err := json.Marshal(tt.said.In(10 * time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			var end End
			if err := json.Unmarshal(kept, &end); err != nil {
				t.Fatal(err)
			}
			if left, over := end.Left(tt.now); left != tt.left || over != (tt.left == 0) {
				t.Errorf("left %v, over %v; want %v", left, over, tt.left)
			}
		})
	}
}

func TestEndThatNobodyLives(t *testing.T) {
	c := Clock{time.Now(), "first", time.Hour}
	if left, over := c.In(math.MaxInt64).Left(c); over || left != math.MaxInt64-time.Hour {
		t.Errorf("left %v, over %v", left, over)
	}
}

func TestClockOfThisMachine(t *testing.T) {
	before := time.Now().Round(0)
	first, second := ReadClock(), ReadClock()
	if first.Now.Before(before) || second.Now.Before(first.Now) {
		t.Errorf("read %v, then %v and %v", before, first, second)
	}
	if _, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err != nil {
		t.Skip("SKIPPED: no boot id here:", err)
	}
	if len(first.Boot) != 36 || first.Boot != second.Boot || first.Elapsed <= 0 || second.Elapsed < first.Elapsed {
		t.Errorf("read %v, then %v", first, second)
	}
}

func TestWithoutABootIDTheWallClockIsLeft(t *testing.T) {
	c := readClock(filepath.Join(t.TempDir(), "absent"))
	if c.Boot != "" || c.Elapsed != 0 || time.Since(c.Now) > time.Minute {
		t.Errorf("read %v", c)
	}
	if left, over := c.In(time.Minute).Left(c); over || left != time.Minute {
		t.Errorf("left %v, over %v", left, over)
	}
}
