package view

import (
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bfdengine"
)

// SessionID names a session, for people and for RemoveBfdSession: by the word
// that log and metrics have for it.
func SessionID(k bfdengine.Key) string { return k.String() }

// Session shows a BFD session, with its last transitions if they are asked for.
func Session(s bfdengine.Snapshot, owner string, transitions bool) *vipdv1.BfdSession {
	out := &vipdv1.BfdSession{
		Id: SessionID(s.Key), Peer: s.Peer.String(), Interface: s.Interface, Multihop: s.Multihop, Echo: s.Echo,
		State: strings.ToLower(s.State.String()), Diag: s.Diag.String(), Since: stamp(s.Since), Problem: s.Problem,
		Discriminator: s.Discr, RemoteDiscriminator: s.RemoteDiscr,
		RemoteState: strings.ToLower(s.RemoteState.String()), RemoteDiag: s.RemoteDiag.String(),
		TxInterval: durationpb.New(s.TxInterval), RxInterval: durationpb.New(s.RxInterval), Detection: durationpb.New(s.Detection),
		Multiplier: uint32(s.DetectMult), MaxGap: durationpb.New(s.MaxGap),
		Sent: s.Out, Received: s.Received, Dropped: s.Dropped, Changes: s.Seq, Owner: owner,
	}
	switch {
	case s.Source.IsValid(): // the kernel's choice, too
		out.Local = s.Source.Addr().String()
	case s.Local.IsValid():
		out.Local = s.Local.String()
	}
	if !transitions {
		return out
	}
	for _, t := range s.Transitions {
		out.Transitions = append(out.Transitions, &vipdv1.BfdTransition{
			At: stamp(t.At), From: strings.ToLower(t.From.String()), To: strings.ToLower(t.To.String()), Diag: t.Diag.String(),
			RemoteState: strings.ToLower(t.RemoteState.String()), RemoteDiag: t.RemoteDiag.String(),
		})
	}
	return out
}
