package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

// unary is around every call of one answer: who, how fast, by which role and
// with what, in this order, so that nobody learns or costs more than he may.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	method, ours := strings.CutPrefix(info.FullMethod, "/"+vipdv1.VipService_ServiceDesc.ServiceName+"/")
	if !ours { // health and reflection, which tell nothing of this node
		return handle(ctx, req)
	}
	start := time.Now()
	who, err := s.admit(ctx, method)
	if err != nil {
		return nil, err
	}
	answer, err := s.carryOut(ctx, who, method, req, handle)
	s.tell(who, method, req, err, time.Since(start))
	return answer, err
}

func (s *Server) carryOut(ctx context.Context, who *caller, method string, req any, handle grpc.UnaryHandler) (any, error) {
	if err := s.allow(who, method); err != nil {
		return nil, err
	}
	if bad := check(req); len(bad) > 0 {
		return nil, answer(bad)
	}
	response, err := handle(ctx, req)
	if err != nil {
		return nil, answer(err)
	}
	return response, nil
}

// stream is unary for streams.
func (s *Server) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	method, ours := strings.CutPrefix(info.FullMethod, "/"+vipdv1.VipService_ServiceDesc.ServiceName+"/")
	if !ours {
		return handle(srv, stream)
	}
	start := time.Now()
	who, err := s.admit(stream.Context(), method)
	if err != nil {
		return err
	}
	checked := &checkedStream{ServerStream: stream}
	if err = s.allow(who, method); err == nil {
		err = answer(handle(srv, checked))
	}
	s.tell(who, method, checked.req, err, time.Since(start))
	return err
}

// A checkedStream refuses a bad request where it is received.
type checkedStream struct {
	grpc.ServerStream
	req any // nil until there is one
}

func (c *checkedStream) RecvMsg(m any) error {
	if err := c.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	c.req = m
	if bad := check(m); len(bad) > 0 {
		return answer(bad)
	}
	return nil
}

// admit returns who calls, if it is not too fast for him.
func (s *Server) admit(ctx context.Context, method string) (*caller, error) {
	who, ok := callerOf(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "nobody knows who calls")
	}
	if needs(method) == reading {
		return who, nil
	}
	if wait := s.pace.wait(who.key, time.Now()); wait > 0 {
		text := fmt.Sprintf("%s changes too much, more than %v a second: try again in %v, and use ReplaceVips for many VIPs",
			who.actor, s.limits.mutations, wait.Round(time.Millisecond))
		s.refused.Add(1)
		return nil, detailed(codes.ResourceExhausted, text, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	return who, nil
}

// allow tells whether who may, now.
func (s *Server) allow(who *caller, method string) error {
	if err := who.valid(s.keyring.Load(), time.Now()); err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	if !s.grants.Load().may(who, needs(method)) {
		s.refused.Add(1)
		return status.Error(codes.PermissionDenied, denial(who, method))
	}
	return nil
}

// tell logs what was changed or tried to, one line each. Its pace is the
// callers'. CheckConfig asks for the role and changes nothing.
func (s *Server) tell(who *caller, method string, req any, err error, took time.Duration) {
	if needs(method) == reading || method == "CheckConfig" {
		return
	}
	fields := []zap.Field{zap.String("method", method), zap.String("by", string(who.actor))}
	fields = append(fields, about(req)...)
	fields = append(fields, zap.Stringer("outcome", status.Code(err)), zap.Duration("took", took))
	if err != nil {
		fields = append(fields, zap.String("error", status.Convert(err).Message()))
	}
	s.opts.Log.Info("api call", fields...)
}

// about is what is asked, and why.
func about(req any) []zap.Field {
	var f []zap.Field
	text := func(key, value string) {
		if value != "" {
			f = append(f, zap.String(key, clip(value, 200)))
		}
	}
	switch r := req.(type) {
	case *vipdv1.SetOverrideRequest:
		text("vip", r.Vip)
		text("word", r.Word)
		text("reason", r.Reason)
		if r.Ttl != nil {
			f = append(f, zap.Duration("ttl", r.Ttl.AsDuration()))
		}
	case *vipdv1.DrainRequest:
		text("reason", r.Reason)
		if r.Ttl != nil {
			f = append(f, zap.Duration("ttl", r.Ttl.AsDuration()))
		}
	case *vipdv1.UpsertVipRequest:
		text("vip", r.GetVip().GetName())
		text("prefix", r.GetVip().GetPrefix())
		text("owner", r.Owner)
	case *vipdv1.DeleteVipRequest:
		text("vip", r.Vip)
		text("owner", r.Owner)
	case *vipdv1.ReplaceVipsRequest:
		text("owner", r.Owner)
		f = append(f, zap.Int("vips", len(r.Vips)))
	case *vipdv1.AddBfdSessionRequest:
		text("peer", r.Peer)
		text("owner", r.Owner)
	case *vipdv1.RemoveBfdSessionRequest:
		text("session", r.Id)
	}
	return f
}

// unread closes the connection of a client that asks and asks, and takes none of
// the answers: HTTP/2 lets it live for as long as it answers pings.
type unread struct{ s *Server }

// HandleRPC counts what gRPC was given to send; conn counts it back.
func (u unread) HandleRPC(ctx context.Context, e stats.RPCStats) {
	out, ok := e.(*stats.OutPayload)
	if !ok {
		return
	}
	who, ok := callerOf(ctx)
	if !ok {
		return
	}
	n := int64(out.CompressedLength)
	if who.conn.add(n) > u.s.limits.pending+n {
		u.s.opts.Log.Warn("connection closed: it does not read what it asks for", zap.String("by", string(who.actor)))
		who.conn.Close()
	}
}

// TagRPC, TagConn and HandleConn have nothing to do.
func (unread) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (unread) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (unread) HandleConn(context.Context, stats.ConnStats)                       {}
