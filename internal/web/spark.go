package web

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A spark is how long the last probes took, drawn: a bar for each, oldest left.
// Good ones stand on the ground, higher for longer; bad ones are broken lines
// from top to bottom. Paths are numbers only.
type spark struct {
	Good, Bad string // of SVG paths
	Label     string // the same in words
}

const (
	sparkSlots  = 32
	sparkHeight = 24
	sparkPitch  = 4
)

// sparkOf draws seconds, of which negative ones are bad.
func sparkOf(seconds []float32) *spark {
	if len(seconds) == 0 {
		return nil
	}
	seconds = seconds[max(0, len(seconds)-sparkSlots):]
	var fine []float64
	for _, s := range seconds {
		if s >= 0 && !math.IsInf(float64(s), 0) { // NaN is neither
			fine = append(fine, float64(s))
		}
	}
	top := 0.0
	if len(fine) > 0 {
		top = slices.Max(fine)
	}
	var good, bad strings.Builder
	for i, s := range seconds {
		x := (sparkSlots-len(seconds)+i)*sparkPitch + sparkPitch/2
		if height, ok := barOf(float64(s), top); ok {
			fmt.Fprintf(&good, "M%d %dv-%d", x, sparkHeight, height)
		} else {
			fmt.Fprintf(&bad, "M%d %dv-%d", x, sparkHeight, sparkHeight)
		}
	}
	return &spark{good.String(), bad.String(), sparkLabel(fine, len(seconds)-len(fine))}
}

func barOf(s, top float64) (height int, ok bool) {
	switch {
	case !(s >= 0) || math.IsInf(s, 0):
		return 0, false
	case top == 0:
		return 2, true
	}
	return 2 + int(math.Round(s/top*(sparkHeight-4))), true
}

func sparkLabel(fine []float64, bad int) string {
	label := "last " + count(len(fine)+bad, "probe")
	if len(fine) > 0 {
		slices.Sort(fine)
		label += fmt.Sprintf(": %s to %s, half of them within %s",
			latency(fine[0]), latency(fine[len(fine)-1]), latency(fine[len(fine)/2]))
	}
	if bad > 0 {
		label += fmt.Sprintf("; %d bad", bad)
	}
	return label
}
