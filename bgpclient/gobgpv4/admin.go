package gobgpv4

import (
	"context"

	"github.com/osrg/gobgp/v4/api"
)

// EnablePeer asks for a neighbor to be up.
func (c client) EnablePeer(ctx context.Context, address string) error {
	_, err := c.GoBgpServiceClient.EnablePeer(ctx, &api.EnablePeerRequest{Address: address})
	return err
}

// DisablePeer asks for a neighbor to be down.
func (c client) DisablePeer(ctx context.Context, address, communication string) error {
	_, err := c.GoBgpServiceClient.DisablePeer(ctx, &api.DisablePeerRequest{Address: address, Communication: communication})
	return err
}

// adminDown tells whether a neighbor is kept down, whoever did it. Its
// configuration has a word about that too, which is about the start only.
func adminDown(p *api.Peer) bool {
	s := p.GetState().GetAdminState()
	return s == api.PeerState_ADMIN_STATE_DOWN || s == api.PeerState_ADMIN_STATE_PFX_CT
}
