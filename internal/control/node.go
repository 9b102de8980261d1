package control

import (
	"context"
	"fmt"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// An Actor is who asks: for log, events and what is kept.
type Actor string

// A Node is the vipd that is served. Its methods may be called by many
// goroutines, keep to ctx, and return errors made by Refuse or Invalid where
// the caller is to learn more than that it failed. Requests come checked for
// what any node would refuse: empty names, unknown words, negative times.
type Node interface {
	// GetVip and Explain take a name, a prefix or an address.
	GetVip(ctx context.Context, vip string) (*vipdv1.Vip, error)
	Explain(ctx context.Context, vip string) (*vipdv1.Explanation, error)
	// Fresh returns these VIPs with the figures of their last probes; one that
	// is gone is left out.
	Fresh(ctx context.Context, names []string) ([]*vipdv1.Vip, error)
	// Session returns a BFD session with its transitions.
	Sessions(ctx context.Context) ([]*vipdv1.BfdSession, error)

	SetOverride(ctx context.Context, by Actor, r *vipdv1.SetOverrideRequest) (*vipdv1.Vip, error)
	// Drain tells of progress until it is confirmed, the request's wait is
	// unset, or tell returns an error.
	Drain(ctx context.Context, by Actor, r *vipdv1.DrainRequest, tell func(*vipdv1.DrainProgress) error) error
	Undrain(ctx context.Context, by Actor) (*vipdv1.Node, error)
	UpsertVip(ctx context.Context, by Actor, r *vipdv1.UpsertVipRequest) (*vipdv1.Vip, error)
	DeleteVip(ctx context.Context, by Actor, r *vipdv1.DeleteVipRequest) error
	ReplaceVips(ctx context.Context, by Actor, r *vipdv1.ReplaceVipsRequest) (*vipdv1.ReplaceVipsResponse, error)
	AddBfdSession(ctx context.Context, by Actor, r *vipdv1.AddBfdSessionRequest) (*vipdv1.BfdSession, error)
	RemoveBfdSession(ctx context.Context, by Actor, r *vipdv1.RemoveBfdSessionRequest) error
	Reload(ctx context.Context, by Actor) (warnings []string, err error)
	CheckConfig(ctx context.Context, fileName string, content []byte) (*vipdv1.CheckConfigResponse, error)
}

// A Kind is why a request is refused; each has one gRPC code.
type Kind uint8

// The kinds, with their codes.
const (
	NotFound     Kind = iota + 1 // NOT_FOUND
	Precondition                 // FAILED_PRECONDITION: the node's present state forbids it
	Conflict                     // ABORTED: the version was not the expected one
	Exhausted                    // RESOURCE_EXHAUSTED: the disk is full, too many of something
	Unavailable                  // UNAVAILABLE: vipd starts or stops
	Unconfirmed                  // DEADLINE_EXCEEDED: it is in force here, but the speaker did not show it in time
)

// A Refusal is an error that tells a client what to do.
type Refusal struct {
	Kind Kind
	Text string
}

func (r *Refusal) Error() string { return r.Text }

// Refuse makes a Refusal.
func Refuse(k Kind, format string, args ...any) error {
	return &Refusal{k, fmt.Sprintf(format, args...)}
}

// A Violation is one thing wrong in a request.
type Violation struct {
	Field string // vips[2].backends[0].address
	Text  string // what is wrong (what would be right)
}

// An Invalid is INVALID_ARGUMENT, with all that is wrong.
type Invalid []Violation

func (i Invalid) Error() string {
	switch len(i) {
	case 0:
		return "invalid request"
	case 1:
		return i[0].Field + ": " + i[0].Text
	}
	return fmt.Sprintf("%s: %s (and %d more)", i[0].Field, i[0].Text, len(i)-1)
}
