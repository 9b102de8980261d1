package config

// A Spec is a VIP as a client of the API wants it: the keys of one item of
// vips, and checks, those of this VIP's own.
type Spec = map[string]any

// Make tells what specs would be as VIPs of c, which stays as it is.
func (c *Config) Make(specs []Spec) ([]VIP, []Problem) {
	return make([]VIP, len(specs)), nil
}

// MakeSession tells what a BFD session with these settings would be in c.
func (c *Config) MakeSession(peer, local, iface string, multihop bool, profile string) (BFDSession, []Problem) {
	return BFDSession{}, nil
}
