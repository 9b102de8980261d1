package config

// API is where the control API is served, and to whom.
type API struct {
	Listen           []string // unix:///path or host:port; none: nowhere
	Group            string   // of the sockets; empty: vipd's own
	GID              int      // of Group; -1 without one, as os.Chown has it
	ReadWrite        Roles
	ReadOnly         Roles
	TLS              *ServerTLS // of host:port; nil: plain
	InsecureLoopback bool
}

// Roles is who has a role: by a socket's peer, or by the names in a client's
// certificate.
type Roles struct {
	Users, Groups, Names []string // as written
	UIDs, GIDs           []uint32 // of Users and Groups
}

// ServerTLS names the files of a TLS server that asks clients for certificates.
type ServerTLS struct {
	CertFile, KeyFile, ClientCAFile string
}
