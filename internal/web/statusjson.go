package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/board"
)

const (
	eventsInStatus = 100
	maxPage        = 1000 // VIPs
)

// statusHandler answers with all there is: one object of the API a line, so that
// the answer is written as it is made, however many VIPs there are.
func statusHandler(s Sources) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		sessions := s.Board.Sessions()
		if s.Sessions != nil {
			var err error
			if sessions, err = s.Sessions(r.Context()); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		vips, _, _ := s.Board.VIPs(board.Query{})
		events, _, _ := s.Board.Events(board.EventQuery{Limit: eventsInStatus})
		jsonHeaders(w)
		out := &printer{w: bufio.NewWriterSize(w, 32<<10)}
		out.text(`{"node":`).message(s.Board.Node()).text(",\n" + `"counts":`).message(s.Board.Counts())
		printList(out, "vips", vips)
		printList(out, "neighbors", s.Board.Neighbors())
		printList(out, "bfd_sessions", sessions)
		printList(out, "events", events)
		out.text("}\n")
		_ = out.w.Flush() // who asked has gone
	}
}

// vipsHandler answers with one page of the VIPs that are asked for, as ListVips
// of the control API does.
func vipsHandler(s Sources) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := vipQuery(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		vips, more, total := s.Board.VIPs(q)
		page := &vipdv1.ListVipsResponse{Vips: vips, Total: uint32(total)}
		if more {
			page.NextPageToken = vips[len(vips)-1].GetName()
		}
		jsonHeaders(w)
		out := &printer{w: bufio.NewWriterSize(w, 32<<10)}
		out.message(page).text("\n")
		_ = out.w.Flush() // who asked has gone
	}
}

// vipQuery takes the names of ListVipsRequest's fields, and no others: a filter
// that is misspelt must not select all.
func vipQuery(values url.Values) (board.Query, error) {
	q := board.Query{Limit: pageSize}
	for key, all := range values {
		value := all[len(all)-1]
		switch key {
		case "search":
			q.Search = value
		case "state":
			q.State = value
		case "owner":
			q.Owner = value
		case "page_token":
			q.After = value
		case "page_size":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxPage {
				return q, fmt.Errorf("page_size: %q is none (1 to %d)", value, maxPage)
			}
			q.Limit = n
		default:
			return q, fmt.Errorf("%q is no parameter (search, state, owner, page_size, page_token)", key)
		}
	}
	return q, nil
}

func jsonHeaders(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
}

// A printer writes messages as JSON, with the names of the .proto.
type printer struct {
	w   *bufio.Writer // keeps the first error
	raw []byte
	out bytes.Buffer
}

func (p *printer) text(s string) *printer {
	_, _ = io.WriteString(p.w, s)
	return p
}

// message writes m without white space: protojson puts some in at random, lest
// somebody rely on it.
func (p *printer) message(m proto.Message) *printer {
	var err error
	options := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}
	if p.raw, err = options.MarshalAppend(p.raw[:0], m); err == nil {
		p.out.Reset()
		err = json.Compact(&p.out, p.raw)
	}
	if err != nil { // text that is not UTF-8: the others must be seen all the same
		why, _ := json.Marshal(err.Error()) // a string never fails
		return p.text(`{"error":` + string(why) + `}`)
	}
	_, _ = p.w.Write(p.out.Bytes())
	return p
}

func printList[M proto.Message](p *printer, name string, list []M) {
	p.text(",\n\"" + name + `":[`)
	for i, m := range list {
		if i > 0 {
			p.text(",")
		}
		p.text("\n").message(m)
	}
	p.text("]")
}
