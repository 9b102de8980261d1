package web

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	tabs "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/fiberlb/vipd/internal/board"
)

// chromium is the browser's path. Without one the test is not done, loudly.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("VIPD_REQUIRE") == "1" {
		t.Fatal("no Chromium")
	}
	t.Skip("NOT TESTED: the page in a browser, for there is no Chromium (apt-get install chromium)")
	return ""
}

// browser starts Chromium, for all tabs of a test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := chromium(t)
	limited, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, // which root can't have
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(time.Minute),
	)
	allocator, stop := chromedp.NewExecAllocator(limited, options...)
	t.Cleanup(stop)
	ctx, closeAll := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("close the browser: %v", err)
		}
		closeAll()
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// A tab is a page in the browser. Whatever it writes to the console, and every
// breach of the policy, is a failure.
type tab struct {
	*testing.T
	ctx context.Context
	// stopped is set while no server is there: that much the browser may note.
	stopped *atomic.Bool
}

func open(t *testing.T, browser context.Context, address string, before ...chromedp.Action) tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	var mu sync.Mutex // guards said: events come from another goroutine
	var said []string
	var stopped atomic.Bool
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if stopped.Load() && e.Entry.Source == log.SourceNetwork {
				return
			}
			said = append(said, e.Entry.Text+" "+e.Entry.URL)
		case *runtime.EventConsoleAPICalled:
			said = append(said, "console."+e.Type.String())
		case *runtime.EventExceptionThrown:
			said = append(said, e.ExceptionDetails.Error())
		}
	})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, line := range said {
			t.Errorf("the browser complains: %s", line)
		}
	})
	out := tab{t, ctx, &stopped}
	out.run(append([]chromedp.Action{log.Enable(), runtime.Enable(), tabs.BringToFront()}, before...)...)
	out.run(chromedp.Navigate(address))
	return out
}

func (t tab) run(actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(t.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// until waits for a JavaScript expression to be true.
func (t tab) until(expression string) {
	t.Helper()
	err := chromedp.Run(t.ctx, chromedp.Poll(expression, nil, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(20*time.Second)))
	if err != nil {
		var body string
		_ = chromedp.Run(t.ctx, chromedp.Evaluate("document.body.innerText", &body))
		t.Fatalf("never true: %s: %v\n%s", expression, err, body)
	}
}

// shot writes what is seen to $VIPD_SCREENSHOTS, for people.
func (t tab) shot(name string) {
	t.Helper()
	dir := os.Getenv("VIPD_SCREENSHOTS")
	if dir == "" {
		return
	}
	var png []byte
	t.run(chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Error(err)
	}
}

func serveBoard(t *testing.T, b *board.Board) string {
	t.Helper()
	address, stop := start(t, shown(b))
	t.Cleanup(stop)
	return "http://" + address + "/"
}

// slash presses the key as a hand does: a page that takes it for itself has no
// character of it, which chromedp.KeyEvent would send all the same.
func slash() chromedp.Action {
	return chromedp.Tasks{
		input.DispatchKeyEvent(input.KeyDown).WithKey("/").WithCode("Slash").WithText("/"),
		input.DispatchKeyEvent(input.KeyUp).WithKey("/").WithCode("Slash"),
	}
}

func width(pixels int64) chromedp.Action {
	return emulation.SetDeviceMetricsOverride(pixels, 900, 1, false)
}

func scheme(name string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}})
}

func still() chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}})
}
