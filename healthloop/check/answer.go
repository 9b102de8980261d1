package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/fiberlb/vipd/healthloop"
)

const (
	maxHead    = 64 << 10 // of the status line and all headers, interim answers included
	maxBody    = 1 << 20  // of the body; what is longer is judged by its beginning
	maxInterim = 5        // 1xx answers before the final one, as net/http's client allows
)

var (
	errInterim = errors.New("too many 1xx answers")
	errVersion = errors.New("HTTP version is not 1.x")
)

// A want is what a good answer looks like.
type want struct {
	status []StatusRange
	text   []byte         // empty: any body
	match  *regexp.Regexp // nil: any body
}

func newWant(spec Spec) want {
	w := want{status: spec.ExpectStatus, text: []byte(spec.ExpectBody), match: spec.ExpectBodyRE}
	if len(w.status) == 0 {
		w.status = []StatusRange{{From: 200, To: 299}}
	}
	return w
}

func (w want) hasStatus(code int) bool {
	for _, r := range w.status {
		if r.From <= code && code <= r.To {
			return true
		}
	}
	return false
}

func (w want) statusText() string {
	var all []string
	for _, r := range w.status {
		text := strconv.Itoa(r.From)
		if r.To != r.From {
			text += "-" + strconv.Itoa(r.To)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func (w want) wantsBody() bool { return len(w.text) > 0 || w.match != nil }

// readHead reads the status and headers of the final answer to a request of that
// method.
func (s *scratch) readHead(method string) (*http.Response, error) {
	var r *http.Request // nil stands for GET
	if method != http.MethodGet {
		r = &http.Request{Method: method}
	}
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(s.reader, r)
		if err != nil {
			return nil, err
		}
		if resp.ProtoMajor != 1 {
			return nil, errVersion
		}
		// "A client MUST be able to parse one or more 1xx responses received
		// prior to a final response, even if the client does not expect one."
		// (RFC 9110 §15.2) After 101 another protocol follows, so it is final.
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, errInterim
}

// readBody reads the body to its end or to maxBody, into data if it is wanted.
// The body is not closed: closing would read all the rest of it.
func (s *scratch) readBody(body io.Reader, wanted bool) error {
	s.left = math.MaxInt // the limit is on the content, without its chunks
	limited := io.LimitReader(body, maxBody)
	if !wanted {
		_, err := io.Copy(io.Discard, limited)
		return err
	}
	data := bytes.NewBuffer(s.data)
	_, err := data.ReadFrom(limited)
	s.data = data.Bytes()
	return err
}

// unreadable is the Failure of an answer that could not be read to its end.
func (s *scratch) unreadable(ctx context.Context, a *attempt, err error) error {
	// Of a header line that stops halfway, net/http says that it is malformed,
	// not that it stopped.
	if s.ended != nil && s.ended != io.EOF {
		err = s.ended
	}
	switch {
	case errors.Is(err, errTooLong):
		return a.failf(healthloop.ReasonProtocol, "header longer than %d bytes", maxHead)
	case isTLS(err):
		return a.failf(healthloop.ReasonTLS, "%w", err)
	case reasonOf(err) != healthloop.ReasonOther || ctx.Err() == context.Canceled:
		return a.broken(ctx, err, healthloop.ReasonOther)
	}
	// net/http's texts quote what came, as much as there was of it.
	return a.failf(healthloop.ReasonProtocol, "not an HTTP answer: %s", excerpt([]byte(err.Error())))
}

func (p *httpProber) judgeBody(a *attempt, body []byte) error {
	var missing string
	switch {
	case len(p.want.text) > 0 && !bytes.Contains(body, p.want.text):
		missing = fmt.Sprintf("%q", p.want.text)
	case p.want.match != nil && !p.want.match.Match(body):
		missing = fmt.Sprintf("match of %q", p.want.match)
	default:
		return nil
	}
	where := "body"
	if len(body) == maxBody {
		where = fmt.Sprintf("first %d bytes of the body", maxBody)
	}
	return a.failf(healthloop.ReasonBody, "no %s in the %s %s", missing, where, excerpt(body))
}
