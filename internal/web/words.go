package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// A tone is how good something is. The page shows it by the form of a mark as
// well as by colour.
type tone string

const (
	good tone = "good"
	bad  tone = "bad"
	warn tone = "warn"
	idle tone = "idle" // neither: on purpose, or not known yet
)

// A mark is a word with its tone.
type mark struct {
	Tone tone
	Text string
}

// A moment is a time for machines and for people.
type moment struct{ ISO, Text string }

// ago tells for how long it has been so.
func ago(now time.Time, at *timestamppb.Timestamp) moment {
	if at == nil {
		return moment{}
	}
	return moment{iso(at), span(now.Sub(at.AsTime()))}
}

// left tells for how long it still is so.
func left(now time.Time, at *timestamppb.Timestamp) moment {
	if at == nil {
		return moment{}
	}
	return moment{iso(at), span(at.AsTime().Sub(now))}
}

func iso(at *timestamppb.Timestamp) string {
	return at.AsTime().Format("2006-01-02T15:04:05.000Z07:00")
}

// clock is a time of day, with the date unless it is today's.
func clock(now time.Time, at *timestamppb.Timestamp) moment {
	if at == nil {
		return moment{}
	}
	t, layout := at.AsTime(), "Jan 2 15:04:05"
	if t.Format(time.DateOnly) == now.UTC().Format(time.DateOnly) {
		layout = time.TimeOnly
	}
	return moment{iso(at), t.Format(layout)}
}

// span is how long d is for people: its two largest units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	for _, u := range []struct {
		large, small time.Duration
		names        [2]string
	}{{day, time.Hour, [2]string{"d", "h"}}, {time.Hour, time.Minute, [2]string{"h", "min"}}, {time.Minute, time.Second, [2]string{"min", "s"}}} {
		if d < u.large {
			continue
		}
		text := fmt.Sprintf("%d %s", d/u.large, u.names[0])
		if rest := d % u.large / u.small; rest > 0 {
			text += fmt.Sprintf(" %d %s", rest, u.names[1])
		}
		return text
	}
	return fmt.Sprintf("%d s", max(d, 0)/time.Second)
}

// latency is how long a probe took, with three digits.
func latency(seconds float64) string {
	switch {
	case seconds <= 0:
		return "0"
	case seconds < 1e-3:
		return strconv.FormatFloat(seconds*1e6, 'f', 0, 64) + " µs"
	case seconds < 1:
		return short(seconds*1e3) + " ms"
	}
	return short(seconds) + " s"
}

func short(f float64) string {
	switch {
	case f < 10:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 100:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}

// plain writes numbers that are names.
func plain[N uint32 | uint64](n N) string { return strconv.FormatUint(uint64(n), 10) }

// grouped writes large numbers so that they can be read.
func grouped[N int | uint32 | uint64](n N) string {
	s := strconv.FormatUint(uint64(max(n, 0)), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count is "1 backend" or "2 backends".
func count[N int | uint32 | uint64](n N, what string) string {
	if n != 1 {
		what += "s"
	}
	return grouped(n) + " " + what
}

// joined leaves out what is empty.
func joined(sep string, parts ...string) string {
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, sep)
}

// why leaves out of a reason what is said beside it: "withdrawn: 0 of 1 …".
func why(state, reason string) string { return strings.TrimPrefix(reason, state+": ") }

func spaced(word string) string { return strings.ReplaceAll(word, "_", " ") }
