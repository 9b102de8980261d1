package link

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/fiberlb/vipd/bgpclient"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestErrorsTellWhetherTheConnectionIsLost(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx         context.Context
		err         error
		lost, wrong bool
	}{
		"unavailable":          {t.Context(), status.Error(codes.Unavailable, "x"), true, false},
		"too late":             {t.Context(), status.Error(codes.DeadlineExceeded, "x"), true, false},
		"canceled there":       {t.Context(), status.Error(codes.Canceled, "x"), true, false},
		"our context ended":    {ended, status.Error(codes.Unknown, "x"), true, false},
		"not this API":         {t.Context(), status.Error(codes.Unimplemented, "x"), false, true},
		"refused in words":     {t.Context(), status.Error(codes.Unknown, "x"), false, false},
		"a message too big":    {t.Context(), status.Error(codes.ResourceExhausted, "x"), false, false},
		"not from gRPC at all": {t.Context(), errors.New("x"), false, false},
	} {
		err := Error(c.ctx, "do", c.err)
		if errors.Is(err, bgpclient.ErrLost) != c.lost || errors.Is(err, bgpclient.ErrWrongAPI) != c.wrong {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !errors.Is(Error(ended, "do", status.Error(codes.Unknown, "x")), context.Canceled) {
		t.Error("the end of the context is not told")
	}
	if Error(ended, "do", nil) != nil {
		t.Error("no error became one")
	}
}

// grpc dials again by itself when a connection is lost.
func TestConnectionIsHandedOutOnce(t *testing.T) {
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	dial := once(one)
	if c, err := dial(t.Context(), ""); c != one || err != nil {
		t.Fatalf("%v, %v", c, err)
	}
	if c, err := dial(t.Context(), ""); c != nil || !errors.Is(err, bgpclient.ErrLost) {
		t.Errorf("%v, %v: want a lost connection", c, err)
	}
}
