package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

const (
	attempts = 3
	// firstPause is doubled after each attempt.
	firstPause = time.Second
	maxAnswer  = 64 << 10 // of which more is not read: the connection is closed
	maxSaid    = 200      // of which so much is shown
)

// encode returns the event as receivers get it.
func encode(node string, e *vipdv1.Event) ([]byte, error) {
	event, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("event %d: %w", e.GetSequence(), err)
	}
	name, err := json.Marshal(node)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer // protojson's white space is random on purpose
	if err := json.Compact(&compact, event); err != nil {
		return nil, err
	}
	// An event has a sequence, so that something follows its brace.
	return fmt.Appendf(nil, `{"node":%s,%s`, name, compact.Bytes()[1:]), nil
}

// A webhook posts events to a URL.
type webhook struct {
	hook   Hook
	client *http.Client
	idle   func() // closes what is kept open between events
}

func newWebhook(h Hook) *webhook {
	t := &http.Transport{
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        1,
		IdleConnTimeout:     30 * time.Second,
		TLSHandshakeTimeout: h.Timeout,
	}
	return &webhook{hook: h, client: &http.Client{Transport: t, CheckRedirect: stay}, idle: t.CloseIdleConnections}
}

// stay follows no redirect: an event and its token go to nobody but who was
// configured.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// deliver tries again what may be better then.
func (w *webhook) deliver(ctx context.Context, m message) (said string, err error) {
	pause := firstPause
	for n := 1; ; n++ {
		again := false
		said, again, err = w.post(ctx, m.json)
		if err == nil || !again {
			return said, err
		}
		if n == attempts {
			return said, fmt.Errorf("%w (%d attempts)", err, attempts)
		}
		select {
		case <-ctx.Done():
			return said, err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

func (w *webhook) close() { w.idle() }

// post sends one request. again says that another one may do better.
func (w *webhook) post(ctx context.Context, body []byte) (said string, again bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.hook.Timeout, fmt.Errorf("no answer within %s", w.hook.Timeout))
	defer cancel()
	req, err := w.request(ctx, body)
	if err != nil {
		return "", false, bare(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return "", true, reason(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	good := resp.StatusCode >= 200 && resp.StatusCode < 300
	switch {
	case good && err != nil:
		return "", true, reason(ctx, err)
	case good:
		return "", false, nil
	}
	answer = answer[:min(len(answer), maxSaid)]
	// What the request lacks it will lack again.
	again = resp.StatusCode >= 500 || resp.StatusCode == http.StatusRequestTimeout || resp.StatusCode == http.StatusTooManyRequests
	return string(bytes.ToValidUTF8(answer, nil)), again, fmt.Errorf("status %d, wanted 2xx", resp.StatusCode)
}

func (w *webhook) request(ctx context.Context, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.hook.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "vipd")
	for _, h := range w.hook.Headers {
		if textproto.CanonicalMIMEHeaderKey(h.Name) == "Host" {
			req.Host = h.Value // net/http sends no other
			continue
		}
		req.Header.Set(h.Name, h.Value)
	}
	return req, nil
}

// reason prefers why ctx ended to what came of that.
func reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return bare(err)
}

// bare takes the URL off, for it may have a token in it.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
