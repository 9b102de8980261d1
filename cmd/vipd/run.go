package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"github.com/fiberlb/vipd/internal/daemon"
)

// runDaemon is the verb run.
func (a *app) runDaemon(ctx context.Context) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	log, level, err := daemon.NewLogger(cfg.Log, a.stderr)
	if err != nil {
		return failure{exitUsage, err}
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	watchdog, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog of the service manager", zap.Error(err))
		watchdog = 0
	}
	log.Info("vipd starts", zap.String("version", version), zap.String("config", a.path), zap.Int("vips", len(cfg.VIPs)))
	began := time.Now()
	err = daemon.Run(ctx, daemon.Options{
		Config: cfg, Load: a.read, Parse: a.parse, IgnoreState: a.ignoreState, Signals: signals, Log: log, Level: level, Version: version, Watchdog: watchdog,
		Notify: func(state string) {
			if _, err := sd.SdNotify(false, state); err != nil {
				log.Debug("service manager not told", zap.Error(err))
			}
		},
	})
	if err != nil {
		return failure{exitFailure, err}
	}
	log.Info("vipd stopped", zap.Duration("after", time.Since(began).Round(time.Millisecond)))
	return nil
}

// flush is the verb flush.
func (a *app) flush(ctx context.Context) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	log, _, err := daemon.NewLogger(cfg.Log, a.stderr)
	if err != nil {
		return failure{exitUsage, err}
	}
	n, err := daemon.Flush(ctx, cfg, log)
	if err != nil {
		return failure{exitFailure, fmt.Errorf("flush: %w", err)}
	}
	fmt.Fprintf(a.stdout, "%d routes withdrawn\n", n)
	return nil
}
