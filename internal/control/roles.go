package control

import (
	"fmt"
	"slices"
)

// A role is what a method needs.
type role bool

const (
	reading role = false
	writing role = true
)

// needs returns the role for a method of VipService. One that is not known here
// writes, so that it is forgotten in no dangerous way.
func needs(method string) role {
	switch method {
	case "GetStatus", "ListVips", "GetVip", "ListNeighbors", "ListBfdSessions", "ListEvents", "Explain", "Watch":
		return reading
	}
	return writing
}

func (r Roles) empty() bool { return len(r.UIDs) == 0 && len(r.GIDs) == 0 && len(r.Names) == 0 }

func (r Roles) list(c *caller) bool {
	in := func(gid uint32) bool { return slices.Contains(r.GIDs, gid) }
	named := func(name string) bool { return slices.Contains(r.Names, name) }
	return c.kind == user && (slices.Contains(r.UIDs, c.uid) || slices.ContainsFunc(c.gids, in)) ||
		c.kind == certificate && slices.ContainsFunc(c.names, named)
}

// grants is who may do what.
type grants struct {
	write, read Roles
	own         uint32 // vipd's user
}

func (g *grants) may(c *caller, what role) bool {
	switch {
	case g.write.empty() && g.read.empty(): // the socket's mode, or the CA, decides
		return true
	case c.kind == user && (c.uid == 0 || c.uid == g.own):
		return true
	case c.kind == loopback: // it could be anybody on this node
		return what == reading
	case g.write.list(c):
		return true
	case what == writing:
		return false
	}
	return g.read.empty() || g.read.list(c)
}

// denial says what to do for that c may call method.
func denial(c *caller, method string) string {
	name, key, remedy := "read-only", "api.read_only (or api.read_write)", ""
	if needs(method) == writing {
		name, key = "read-write", "api.read_write"
	}
	switch c.kind {
	case user:
		remedy = "list the user or a group of it in " + key
	case certificate:
		remedy = "list a name of it under names in " + key
	case loopback:
		remedy = "without TLS nobody has it once api.read_write or api.read_only is set: use the unix socket, or api.tls"
	}
	return fmt.Sprintf("%s may not call %s, which needs the %s role: %s", c.actor, method, name, remedy)
}
