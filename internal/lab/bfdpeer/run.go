package bfdpeer

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fiberlb/vipd/bfdengine/packet"
)

// A Report is one line of what a run prints. Only what its phase measures is set.
type Report struct {
	Phase string `json:"phase"` // "up", "measured", "muted"
	Up    int    `json:"up"`    // sessions that are Up on both sides
	// How long it took until all were, or since then, in seconds.
	Seconds float64 `json:"seconds"`

	Packets int     `json:"packets,omitempty"` // sent by the daemon
	Expired int     `json:"expired"`           // of those, the daemon gave us up
	GapP99  float64 `json:"gap_p99,omitempty"` // between two of its packets, in seconds
	GapMax  float64 `json:"gap_max,omitempty"` // likewise
	Downs   int     `json:"downs"`             // sessions that left Up, by either side
	CPU     float64 `json:"cpu,omitempty"`     // seconds, user and system, of the daemon's processes
	RSS     int64   `json:"rss,omitempty"`     // bytes
	Threads int     `json:"threads,omitempty"`

	// How much later than its detection time the daemon told that we are gone.
	Late []float64 `json:"late,omitempty"`
}

// Main runs the neighbors as the arguments say and prints reports. It returns
// an exit code.
func Main(args []string, out, problems io.Writer) int {
	if err := run(args, out); err != nil {
		fmt.Fprintf(problems, "bfdpeer: %v\n", err)
		return 1
	}
	return 0
}

func run(args []string, out io.Writer) error {
	var o Options
	flags := flag.NewFlagSet("bfdpeer", flag.ContinueOnError)
	daemon := flags.String("daemon", "", "address of the daemon")
	flags.IntVar(&o.Sessions, "sessions", 1, "neighbors")
	flags.DurationVar(&o.Interval, "interval", 100*time.Millisecond, "both ways")
	mult := flags.Uint("multiplier", 3, "")
	pids := flags.String("pids", "", "of the daemon, with commas")
	settle := flags.Duration("settle", 5*time.Second, "from up to measuring")
	span := flags.Duration("span", 20*time.Second, "of measuring")
	mute := flags.Bool("mute", false, "fall silent at the end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.Mult = uint8(*mult)
	var err error
	if o.Daemon, err = netip.ParseAddr(*daemon); err != nil {
		return err
	}
	p, err := newPeer(o)
	if err != nil {
		return err
	}
	print := json.NewEncoder(out)
	began := time.Now()
	p.runUntil(began.Add(time.Minute), p.allUp)
	if err := print.Encode(Report{Phase: "up", Up: p.up(), Seconds: time.Since(began).Seconds()}); err != nil {
		return err
	}
	p.play(*settle)
	r, err := p.measure(*span, *pids)
	if err != nil {
		return err
	}
	if err := print.Encode(r); err != nil || !*mute {
		return err
	}
	return print.Encode(p.mute())
}

func (p *peer) up() (n int) {
	for i := range p.neighbors {
		if one := &p.neighbors[i]; one.last.State == packet.Up && one.session.View().State == packet.Up {
			n++
		}
	}
	return n
}

func (p *peer) allUp() bool { return p.up() == len(p.neighbors) }

// measure counts for a while.
func (p *peer) measure(span time.Duration, pids string) (Report, error) {
	before, err := usageOf(pids)
	if err != nil {
		return Report{}, err
	}
	for i := range p.neighbors {
		n := &p.neighbors[i]
		n.counting, n.lastAt, n.gaps = true, time.Time{}, make([]float64, 0, int(1.4*span.Seconds()/p.Interval.Seconds())+16)
	}
	began := time.Now()
	p.downs = 0
	p.play(span)
	after, err := usageOf(pids)
	if err != nil {
		return Report{}, err
	}
	r := Report{Phase: "measured", Up: p.up(), Seconds: time.Since(began).Seconds(), Downs: p.downs,
		CPU: (after.cpu - before.cpu).Seconds(), RSS: after.rss, Threads: after.threads}
	var gaps []float64
	for i := range p.neighbors {
		n := &p.neighbors[i]
		n.counting = false
		r.Packets += n.packets
		r.Expired += n.downs
		gaps = append(gaps, n.gaps...)
	}
	if len(gaps) > 0 {
		slices.Sort(gaps)
		r.GapP99, r.GapMax = gaps[len(gaps)*99/100], gaps[len(gaps)-1]
	}
	return r, nil
}

// mute falls silent and waits for the daemon to notice.
func (p *peer) mute() Report {
	p.muted = true
	for i := range p.neighbors {
		p.neighbors[i].silent(p.Options)
	}
	began := time.Now()
	p.runUntil(began.Add(10*time.Second+2*time.Duration(p.Mult)*p.Interval), func() bool { return p.fallen() == len(p.neighbors) })
	r := Report{Phase: "muted", Up: p.up(), Seconds: time.Since(began).Seconds()}
	for i := range p.neighbors {
		n := &p.neighbors[i]
		if n.fellAt.After(began) {
			r.Late = append(r.Late, n.fellAt.Sub(n.deadline).Seconds())
		}
	}
	return r
}

func (p *peer) fallen() (n int) {
	for i := range p.neighbors {
		if p.neighbors[i].last.State == packet.Down {
			n++
		}
	}
	return n
}

func splitPIDs(pids string) (all []int, err error) {
	for text := range strings.SplitSeq(pids, ",") {
		if text == "" {
			continue
		}
		pid, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		all = append(all, pid)
	}
	return all, nil
}
