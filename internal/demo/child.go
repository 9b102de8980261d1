package demo

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// A child is a vipd process and what it logs.
type child struct {
	cmd  *exec.Cmd
	done chan error // its exit, once

	mu    sync.Mutex // guards lines and grown: the reader of the log writes, the story reads
	lines []logLine
	grown chan struct{} // closed and renewed with each line
}

// A logLine is what the story looks at in a line of vipd's log.
type logLine struct {
	Msg    string `json:"msg"`
	VIP    string `json:"vip"`
	Reason string `json:"reason"`
	text   string
}

// startChild runs exe with a configuration, and with nothing of the caller's
// environment that could change its meaning.
func startChild(ctx context.Context, exe, configFile string) (*child, error) {
	c := &child{
		cmd:  exec.CommandContext(ctx, exe, "run", "--config", configFile),
		done: make(chan error, 1), grown: make(chan struct{}),
	}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "VIPD_") && !strings.HasPrefix(e, "BGP_") && !strings.HasPrefix(e, "NOTIFY_") {
			c.cmd.Env = append(c.cmd.Env, e)
		}
	}
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start vipd: %w", cmp.Or(context.Cause(ctx), err))
	}
	go func() { // ends with the process
		c.read(stderr)
		c.done <- c.cmd.Wait()
	}()
	return c, nil
}

func (c *child) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		l := logLine{text: lines.Text()}
		_ = json.Unmarshal(lines.Bytes(), &l) // a line that is no JSON has its text
		c.mu.Lock()
		c.lines = append(c.lines, l)
		close(c.grown)
		c.grown = make(chan struct{})
		c.mu.Unlock()
	}
}

// await returns the first line from number from on that is wanted, and the
// number after it.
func (c *child) await(ctx context.Context, from int, wanted func(logLine) bool) (logLine, int, error) {
	for {
		c.mu.Lock()
		lines, grown := c.lines, c.grown
		c.mu.Unlock()
		for ; from < len(lines); from++ {
			if wanted(lines[from]) {
				return lines[from], from + 1, nil
			}
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return logLine{}, from, fmt.Errorf("vipd did not say it: %w", context.Cause(ctx))
		}
	}
}

// exit waits for the end of the process and returns its code.
func (c *child) exit(ctx context.Context) (int, error) {
	select {
	case err := <-c.done:
		c.done <- err
		if code, ok := errors.AsType[*exec.ExitError](err); ok {
			return code.ExitCode(), nil
		}
		return 0, err
	case <-ctx.Done():
		return 0, fmt.Errorf("vipd did not exit: %w", context.Cause(ctx))
	}
}

// tail is the end of the log, for when something went wrong.
func (c *child) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, l := range c.lines[max(0, len(c.lines)-20):] {
		b.WriteString("    " + l.text + "\n")
	}
	return b.String()
}
