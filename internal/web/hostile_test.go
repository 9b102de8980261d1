package web

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// Names and reasons come from backends, routers and whoever may use the API.
const hostile = `"'></td></table><script>alert(1)</script><img src=x onerror=alert(2)><a href="javascript:alert(3)">{{.}}` + "\x00\u202e`"

// poison sets every text of a message.
func poison(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap() && f.MapValue().Kind() == protoreflect.StringKind:
			m.Mutable(f).Map().Set(protoreflect.ValueOfString(hostile).MapKey(), protoreflect.ValueOfString(hostile))
		case f.IsMap():
		case f.IsList() && f.Kind() == protoreflect.StringKind:
			m.Mutable(f).List().Append(protoreflect.ValueOfString(hostile))
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			list := m.Mutable(f).List()
			for i := range list.Len() {
				poison(list.Get(i).Message())
			}
		case f.Kind() == protoreflect.StringKind && !f.IsList():
			m.Set(f, protoreflect.ValueOfString(hostile))
		case f.Kind() == protoreflect.MessageKind && m.Has(f):
			poison(m.Mutable(f).Message())
		}
	}
}

func poisoned[M proto.Message](m M) M {
	m = proto.CloneOf(m)
	poison(m.ProtoReflect())
	return m
}

func TestNoNameBecomesMarkup(t *testing.T) {
	b := newBoard()
	n := node()
	n.Speaker.Connected, n.LastReload.Ok = false, false
	n.Drain = &vipdv1.Drain{Since: before(time.Minute), Until: before(-time.Minute), Connections: 5, Stopping: true}
	b.PutNode(poisoned(n))
	shop := vips()[4]
	b.PutVIP(poisoned(shop))
	for i := range 20 { // so that there is a list of those in trouble, and one page more
		other := poisoned(shop)
		other.Name = fmt.Sprint(i) + hostile
		b.PutVIP(other)
	}
	b.PutNeighbor(poisoned(neighbors()[1]))
	b.PutSession(poisoned(sessions()[1]))
	b.Note(poisoned(events()[3]))
	h := handlerAt(shown(b))
	clean := structure(t, parsed(t, handlerAt(shown(showcase())), "/?open=mail&after=api"))
	q := url.Values{"open": {hostile}, "q": {hostile}, "after": {"!"}, "state": {hostile}}
	for _, path := range []string{"/?", "/fragment?"} {
		doc := parsed(t, h, path+q.Encode())
		for what := range structure(t, doc) {
			if !clean[what] && what != "title" {
				t.Errorf("%s: %s is there only with hostile names", path, what)
			}
		}
		// That the names are there at all: in the list, the trouble, and the details.
		if n := strings.Count(read(doc), "<script>alert(1)</script>"); n < 100 {
			t.Errorf("%s: %d hostile texts are seen", path, n)
		}
	}
}

// structure is all that a browser would act on: elements, and attributes with
// what loads or runs something.
func structure(t *testing.T, doc *html.Node) map[string]bool {
	out := map[string]bool{}
	for d := range doc.Descendants() {
		if d.Type != html.ElementNode {
			continue
		}
		out[d.Data] = true
		for _, a := range d.Attr {
			out[d.Data+" "+a.Key] = true
			switch a.Key {
			case "src":
				out[d.Data+" "+a.Key+"="+a.Val] = true
			case "href", "action":
				if u, err := url.Parse(a.Val); err != nil || u.Scheme != "" || u.Host != "" {
					t.Errorf("%s=%q leads away", a.Key, a.Val)
				}
			case "style":
				t.Errorf("the policy allows no style=%q", a.Val)
			}
		}
	}
	return out
}
