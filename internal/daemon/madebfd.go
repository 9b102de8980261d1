package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/state"
	"github.com/fiberlb/vipd/internal/view"
)

// fitSessions makes the BFD sessions of the API into what they are under cfg. A
// session that the file has by now is not needed twice.
func fitSessions(cfg *config.Config, sessions []madeSession) []madeSession {
	var fit []madeSession
	for _, s := range sessions {
		made, wrong := cfg.MakeSession(s.Peer, s.Local, s.Interface, s.Multihop, s.Profile)
		s.made, s.wrong = made, ""
		if len(wrong) > 0 {
			s.made, s.wrong = config.BFDSession{}, sessionText(s.Session, wrong[0].Path+": "+wrong[0].Text)
		}
		fit = append(fit, s)
	}
	return fit
}

func sessionText(s state.Session, why string) string {
	return fmt.Sprintf("bfd session with %s made over the API: %s", s.Peer, why)
}

// idOf is a session's name in the API.
func idOf(s config.BFDSession) string { return view.SessionID(sessionKey(s.BFDKey)) }

// addSession makes a BFD session.
func (d *daemon) addSession(ctx context.Context, by control.Actor, r *vipdv1.AddBfdSessionRequest) (id string, err error) {
	made, problems := d.cfg.MakeSession(r.GetPeer(), r.GetLocal(), r.GetInterface(), r.GetMultihop(), r.GetProfile())
	if len(problems) > 0 {
		return "", invalid(problems, nil, nil)
	}
	id = idOf(made)
	for _, s := range d.words.sessions {
		if s.made.Peer.IsValid() && idOf(s.made) == id {
			return "", control.Refuse(control.Precondition, "bfd session %s: is there already, made by owner %s", id, s.Owner)
		}
	}
	one := madeSession{made: made, Session: state.Session{
		Owner: ownerOf(r.GetOwner()), Peer: r.GetPeer(), Local: r.GetLocal(), Interface: r.GetInterface(), Profile: r.GetProfile(), Multihop: r.GetMultihop(),
	}}
	others := slices.DeleteFunc(slices.Clone(d.words.sessions), func(s madeSession) bool {
		return s.wrong != "" && s.Peer == one.Peer && s.Local == one.Local && s.Interface == one.Interface && s.Multihop == one.Multihop
	})
	if err := d.keepSessions(ctx, append(others, one)); err != nil {
		return "", err
	}
	d.Log.Info("bfd session made", zap.String("session", id), zap.String("by", string(by)))
	d.note(&vipdv1.Event{Kind: kindDefinition, Subject: id, To: "defined", By: string(by), Reason: "bfd session, profile " + r.GetProfile()})
	return id, nil
}

// removeSession ends one that was made over the API.
func (d *daemon) removeSession(ctx context.Context, by control.Actor, id string) error {
	i, err := d.findSession(id)
	if err != nil {
		return err
	}
	if i < 0 {
		if slices.ContainsFunc(d.cfg.BFD.Sessions, func(s config.BFDSession) bool { return idOf(s) == id || s.Peer.String() == id }) {
			return control.Refuse(control.Precondition, "bfd session %s: is of the configuration file (change it there and reload)", id)
		}
		return control.Refuse(control.NotFound, "no bfd session made over the API is called %q (vipctl bfd lists them)", id)
	}
	if err := d.keepSessions(ctx, slices.Delete(slices.Clone(d.words.sessions), i, i+1)); err != nil {
		return err
	}
	d.Log.Info("bfd session removed", zap.String("session", id), zap.String("by", string(by)))
	d.note(&vipdv1.Event{Kind: kindDefinition, Subject: id, To: "removed", By: string(by), Reason: "bfd session"})
	return nil
}

// findSession finds one that was made over the API by its id, or by its peer
// where there is one such; -1: none.
func (d *daemon) findSession(id string) (int, error) {
	at, ids := -1, []string{}
	for i, s := range d.words.sessions {
		switch {
		case s.wrong == "" && idOf(s.made) == id:
			return i, nil
		case s.wrong == "" && s.made.Peer.String() == id:
			at, ids = i, append(ids, idOf(s.made))
		case s.Peer == id && at < 0: // left out: it has no id
			at = i
		}
	}
	if len(ids) > 1 {
		return 0, control.Refuse(control.Precondition, "bfd sessions with %s made over the API are %s (write the id of one)", id, strings.Join(ids, " and "))
	}
	return at, nil
}

// keepSessions opens what the new list needs, keeps it and puts it in force.
func (d *daemon) keepSessions(ctx context.Context, next []madeSession) error {
	bfd := d.cfg.BFD
	bfd.Sessions = withMade(bfd.Sessions, next)
	if err := d.live.open(bfd); err != nil {
		return control.Refuse(control.Precondition, "%v", err)
	}
	if err := d.keep(ctx, func(s *state.State) { s.Sessions = kept(next) }); err != nil {
		return err
	}
	d.words.sessions = next
	d.sessionOwners.Store(ownersOf(next))
	whole := *d.cfg
	whole.BFD = bfd
	d.follow(&whole)
	d.publisher.Sessions()
	d.publisher.Neighbors()
	d.tellLeftOut()
	return nil
}

// ownersOf tells who made each session.
func ownersOf(sessions []madeSession) *map[string]string {
	out := make(map[string]string, len(sessions))
	for _, s := range sessions {
		if s.made.Peer.IsValid() {
			out[idOf(s.made)] = s.Owner
		}
	}
	return &out
}

// withMade is the sessions of the file with those of the API.
func withMade(file []config.BFDSession, made []madeSession) []config.BFDSession {
	out := slices.Clone(file)
	for _, s := range made {
		if s.made.Peer.IsValid() {
			out = append(out, s.made)
		}
	}
	return out
}
