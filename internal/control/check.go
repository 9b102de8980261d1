package control

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// Bounds of what is asked for.
const (
	mostVIPs     = 100_000
	longReason   = 200 // characters
	longWord     = 128
	longest      = 366 * 24 * time.Hour
	deepest      = 16 // sections in sections of a VipSpec
	mostProblems = 100
)

var (
	ownerName = regexp.MustCompile(`^[a-z0-9._-]{1,63}$`)
	overrides = []string{"advertise", "withdraw", "auto"}
	states    = []string{"advertised", "withdrawn", "undecided"}
	kinds     = []string{"vip", "backend", "override", "drain", "definition", "reload", "speaker", "neighbor", "bfd", "state", "hook"}
)

// check returns what any node would refuse of a request, all of it at once.
func check(req any) Invalid {
	var c checker
	switch r := req.(type) {
	case *vipdv1.ListVipsRequest:
		c.text("search", r.Search, longReason)
		c.oneOf("state", r.State, states)
		c.owner("owner", r.Owner)
		c.most("page_size", r.PageSize, largestPage)
		if _, err := pageAfter(r.PageToken); err != nil || len(r.PageToken) > 1024 {
			c.errorf("page_token", "is of no answer (send next_page_token as it was, or none for the first page)")
		}
	case *vipdv1.GetVipRequest:
		c.vip("vip", r.Vip)
	case *vipdv1.ExplainRequest:
		c.vip("vip", r.Vip)
	case *vipdv1.ListEventsRequest:
		c.text("subject", r.Subject, longWord)
		c.oneOf("kind", r.Kind, kinds)
		c.most("limit", r.Limit, mostEvents)
	case *vipdv1.WatchRequest:
		c.text("instance", r.Instance, longWord)
		if r.Instance == "" && r.AfterSequence != 0 {
			c.errorf("instance", "is missing, and after_sequence means nothing without it (send both of the last response, or neither)")
		}
	case *vipdv1.SetOverrideRequest:
		c.override(r)
	case *vipdv1.DrainRequest:
		c.text("reason", r.Reason, longReason)
		c.lasting("ttl", r.Ttl)
	case *vipdv1.UpsertVipRequest:
		c.owner("owner", r.Owner)
		if r.Vip == nil {
			c.errorf("vip", "is missing")
		} else {
			c.spec("vip", r.Vip)
		}
	case *vipdv1.DeleteVipRequest:
		c.vip("vip", r.Vip)
		c.owner("owner", r.Owner)
	case *vipdv1.ReplaceVipsRequest:
		c.replace(r)
	case *vipdv1.AddBfdSessionRequest:
		c.word("peer", r.Peer)
		c.text("local", r.Local, longWord)
		c.text("interface", r.Interface, longWord)
		c.text("profile", r.Profile, longWord)
		c.owner("owner", r.Owner)
	case *vipdv1.RemoveBfdSessionRequest:
		c.given("id", r.Id, "write the session's id, or its peer's address")
		c.text("id", r.Id, 2*longWord)
	case *vipdv1.CheckConfigRequest:
		c.given("file_name", r.FileName, "its ending tells the format: .yaml, .json or .toml")
		c.text("file_name", r.FileName, 4096)
	}
	return c.bad
}

// A checker gathers what is wrong.
type checker struct{ bad Invalid }

func (c *checker) errorf(field, format string, args ...any) {
	if len(c.bad) < mostProblems {
		c.bad = append(c.bad, Violation{field, fmt.Sprintf(format, args...)})
	}
}

func (c *checker) given(field, s, what string) {
	if s == "" {
		c.errorf(field, "is missing (%s)", what)
	}
}

// text is for people, on one line.
func (c *checker) text(field, s string, limit int) {
	if n := utf8.RuneCountInString(s); n > limit {
		c.errorf(field, "has %d characters (at most %d)", n, limit)
	} else if strings.ContainsFunc(s, unicode.IsControl) {
		c.errorf(field, "is %q, with control characters (write one line of plain text)", s)
	}
}

// word is one, as the configuration has it.
func (c *checker) word(field, s string) {
	bad := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }
	switch {
	case s == "":
		c.errorf(field, "is missing")
	case utf8.RuneCountInString(s) > longWord:
		c.errorf(field, "has %d characters (at most %d)", utf8.RuneCountInString(s), longWord)
	case strings.ContainsFunc(s, bad):
		c.errorf(field, "is %q (write it without spaces)", s)
	}
}

func (c *checker) vip(field, s string) {
	c.given(field, s, "write the VIP's name, prefix or address")
	if s != "" {
		c.word(field, s)
	}
}

func (c *checker) oneOf(field, s string, words []string) {
	if s != "" && !slices.Contains(words, s) {
		c.errorf(field, "is %q (write one of: %s)", clip(s, longWord), strings.Join(words, ", "))
	}
}

func (c *checker) owner(field, s string) {
	if s != "" && !ownerName.MatchString(s) {
		c.errorf(field, "is %q (write 1 to 63 of a-z, 0-9, dot, dash and underscore)", clip(s, longWord))
	}
}

func (c *checker) most(field string, n, limit uint32) {
	if n > limit {
		c.errorf(field, "is %d (at most %d)", n, limit)
	}
}

// lasting is a time after which something ends.
func (c *checker) lasting(field string, d *durationpb.Duration) {
	if d != nil && c.span(field, d) && d.AsDuration() == 0 {
		c.errorf(field, "is 0 (write how long, or leave it out for no end)")
	}
}

func (c *checker) span(field string, d *durationpb.Duration) bool {
	switch {
	case d == nil:
	case d.CheckValid() != nil || d.AsDuration() > longest:
		c.errorf(field, "is longer than %d days, or no duration", longest/(24*time.Hour))
	case d.AsDuration() < 0:
		c.errorf(field, "is %v, which is negative", d.AsDuration())
	default:
		return true
	}
	return false
}

func (c *checker) override(r *vipdv1.SetOverrideRequest) {
	c.vip("vip", r.Vip)
	c.given("word", r.Word, "write one of: "+strings.Join(overrides, ", "))
	c.oneOf("word", r.Word, overrides)
	c.text("reason", r.Reason, longReason)
	if r.Word == "auto" && r.Ttl != nil {
		c.errorf("ttl", "has no meaning with auto, which ends an override (leave it out)")
		return
	}
	c.lasting("ttl", r.Ttl)
}

func (c *checker) replace(r *vipdv1.ReplaceVipsRequest) {
	c.given("owner", r.Owner, "all VIPs of this owner are replaced")
	c.owner("owner", r.Owner)
	if len(r.Vips) > mostVIPs {
		c.errorf("vips", "are %d (at most %d)", len(r.Vips), mostVIPs)
		return
	}
	for i, vip := range r.Vips {
		c.spec(fmt.Sprintf("vips[%d]", i), vip)
	}
}

// spec checks what no configuration could make right; the rest is the node's.
func (c *checker) spec(at string, v *vipdv1.VipSpec) {
	c.word(at+".name", v.Name)
	c.word(at+".prefix", v.Prefix)
	c.text(at+".min_healthy", v.MinHealthy, longWord)
	c.text(at+".check", v.Check, longWord)
	c.span(at+".hold_down", v.HoldDown)
	c.section(at+".announce", v.Announce, 0)
	for i, d := range v.Degraded {
		c.section(fmt.Sprintf("%s.degraded[%d]", at, i), d, 0)
	}
	c.value(at+".link_bandwidth", v.LinkBandwidth, 0)
	for i, b := range v.Backends {
		if b.Address == "" {
			c.errorf(fmt.Sprintf("%s.backends[%d].address", at, i), "is missing (write host:port)")
		}
	}
	for name, check := range v.Checks {
		c.word(at+".checks", name)
		c.section(at+".checks."+clip(name, longWord), check, 0)
	}
}

func (c *checker) section(at string, s *structpb.Struct, depth int) {
	for _, v := range s.GetFields() {
		c.value(at, v, depth+1)
	}
}

// value refuses what is nested so deep that who reads it could run out of stack.
func (c *checker) value(at string, v *structpb.Value, depth int) {
	if depth > deepest {
		c.errorf(at, "has sections in sections (at most %d deep)", deepest)
		return
	}
	c.section(at, v.GetStructValue(), depth)
	for _, item := range v.GetListValue().GetValues() {
		c.value(at, item, depth+1)
	}
}
