package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
	"github.com/fiberlb/vipd/bgpclient"
	"github.com/fiberlb/vipd/bgpclient/embedded"
	"github.com/fiberlb/vipd/healthloop"
	"github.com/fiberlb/vipd/healthloop/check"
	"github.com/fiberlb/vipd/internal/board"
	"github.com/fiberlb/vipd/internal/config"
	"github.com/fiberlb/vipd/internal/control"
	"github.com/fiberlb/vipd/internal/drain"
	"github.com/fiberlb/vipd/internal/publish"
	"github.com/fiberlb/vipd/internal/web"
)

// Options is what a daemon is made of.
type Options struct {
	Config *config.Config
	// Load loads the configuration anew, for a reload. The problems of a bad
	// one come with a nil Config.
	Load func() (*config.Config, []config.Problem, error)
	// Parse does so for a file that a client sends, to be checked only.
	Parse func(name string, content []byte) (*config.Config, []config.Problem, error)
	// IgnoreState begins without what is remembered when that can't be read.
	IgnoreState bool
	Signals     <-chan os.Signal // SIGHUP, SIGTERM and SIGINT
	Log         *zap.Logger
	Level       zap.AtomicLevel // of Log, for a reload
	Version     string
	// Notify tells the service manager of the daemon's state; nil: nobody.
	Notify func(state string)
	// Watchdog is how often the service manager wants a sign of life; 0: never.
	Watchdog time.Duration
	// dial connects to the speaker; nil: as the configuration says.
	dial func(context.Context) (bgpclient.Conn, error)
}

// A daemon is vipd, running. Its own goroutine, in Run, owns cfg and words; the
// rooms own what is theirs.
type daemon struct {
	Options
	cfg     *config.Config
	pool    *check.Pool
	speaker *embedded.Speaker     // nil: gobgpd beside us, or none
	rec     *bgpclient.Reconciler // nil: bgp is off
	sink    *sink
	loop    *healthloop.Loop
	timings *web.Timings
	live    *liveness
	uplinks *uplinks
	memory  *memory

	words     words
	calls     chan func()   // to be run by the daemon's goroutine
	gone      chan struct{} // closed when it takes no more
	expiry    *time.Timer   // of the override that ends first
	hangups   chan struct{} // SIGHUP came
	reloading chan struct{} // holds one while a reload is under way
	fitting   chan struct{} // holds one for each request that reads files

	board     *board.Board
	publisher *publish.Publisher
	drainer   *drain.Runner
	out       atomic.Bool     // a drain has withdrawn all
	api       *control.Server // nil: api.listen is empty
	hooks     *hooks
	// disabled are the neighbors that a former life disabled, and failed those
	// of them that it did so for a failure.
	disabled, failed []netip.Addr
	web              *web.Server // nil: http.listen is empty

	// What others read, as it was last: of the configuration's file, and of this
	// life.
	config        atomic.Pointer[config.Config]
	sessionOwners atomic.Pointer[map[string]string]
	left          atomic.Pointer[leftOut] // nil: the first configuration is not in force yet
	leaving       atomic.Pointer[string]
	stopping      atomic.Pointer[vipdv1.Drain]
	reload        atomic.Pointer[web.Reload]
	wasLinked     atomic.Bool
	begun         atomic.Bool // the service manager was told READY
	started       time.Time
}

// Run runs vipd until ctx ends or a signal asks it to leave, and returns when
// all is withdrawn and stopped. An error means that it could not start, that
// it could not go on, or that routes may still be announced.
//
// Its goroutines: one for each task below, those that the rooms start, one for
// each thing that reads or writes files, and the caller's, which handles signals
// and owns what operators said.
func Run(ctx context.Context, o Options) error {
	d, err := assemble(o)
	if err != nil {
		return err
	}
	// The rooms outlive ctx: a drain is their work.
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended, wait := d.begin(life)
	cause := d.serve(ctx, ended)
	err = errors.Join(cause.err, d.leave(cause))
	stop()
	wait()
	return err
}

// turned is what an operator would tell a colleague about a backend.
func (d *daemon) turned(vip, backend string, to healthloop.Health, why error) {
	fields := []zap.Field{zap.String("vip", vip), zap.String("backend", backend)}
	e := &vipdv1.Event{Kind: kindBackend, Subject: vip, To: to.String(), Reason: "backend " + backend, Inputs: map[string]string{"backend": backend}}
	if why != nil {
		fields = append(fields, zap.NamedError("reason", why))
		e.Reason += ": " + why.Error()
	}
	d.note(e)
	d.Log.Info("backend "+to.String(), fields...)
}

// A task is something that runs as long as the daemon does.
type task struct {
	name string
	run  func(context.Context) error
}

func (d *daemon) tasks() []task {
	tasks := []task{
		{"health loop", d.loop.Run}, {"notify", d.notify}, {"bfd", d.live.Run}, {"uplinks", d.uplinks.Run}, {"memory", d.memory.Run},
		{"publisher", d.publisher.Run}, {"drain", d.drainer.Run}, {"hooks", d.hooks.Run}, {"reload", d.reloads},
	}
	if d.speaker != nil {
		tasks = append(tasks, task{"embedded speaker", d.speaker.Run})
	}
	if d.rec != nil {
		tasks = append(tasks, task{"reconciler", d.rec.Run})
	}
	if d.web != nil {
		tasks = append(tasks, task{"web", d.web.Run})
	}
	if d.api != nil {
		tasks = append(tasks, task{"api", d.serveAPI})
	}
	return tasks
}

// begin starts all tasks. ended tells of those that end by themselves; wait
// returns when all have ended.
func (d *daemon) begin(ctx context.Context) (ended <-chan error, wait func()) {
	tasks := d.tasks()
	failures := make(chan error, len(tasks))
	var wg sync.WaitGroup
	for _, t := range tasks {
		wg.Go(func() {
			err := t.run(ctx)
			if ctx.Err() == nil {
				failures <- fmt.Errorf("%s: %w", t.name, cmpErr(err, errors.New("ended")))
			}
		})
	}
	return failures, wg.Wait
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// A cause is why the daemon leaves: err is nil for an orderly stop.
type cause struct {
	reason string
	err    error
}

// serve handles signals and what is asked over the API until there is a reason
// to leave.
func (d *daemon) serve(ctx context.Context, ended <-chan error) cause {
	for {
		select {
		case <-ctx.Done():
			return cause{reason: "stopped"}
		case err := <-ended:
			d.Log.Error("can't go on", zap.Error(err))
			return cause{reason: err.Error(), err: err}
		case sig := <-d.Signals:
			if sig == syscall.SIGHUP {
				wake(d.hangups)
				continue
			}
			d.Log.Info("leaving", zap.Stringer("signal", sig))
			return cause{reason: sig.String()}
		case call := <-d.calls:
			call()
		case <-d.expiry.C:
			d.expire(ctx)
		}
	}
}
