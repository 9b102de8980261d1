package web

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// snapshotTimeout is how long a scrape waits for a Status. Prometheus gives up
// after 10 s by default, and then tells nothing at all.
const snapshotTimeout = 5 * time.Second

// A collector makes the metrics of a scrape from one snapshot. It has no state.
type collector struct {
	sources Sources
	table   []series
	descs   []*prometheus.Desc // of table, by index
	shapes  []*prometheus.Desc // of histograms, by index
}

func newCollector(s Sources) *collector {
	c := &collector{sources: s, table: table()}
	for _, row := range c.table {
		c.descs = append(c.descs, prometheus.NewDesc(row.name, row.help, row.labels, nil))
	}
	for _, row := range histograms {
		c.shapes = append(c.shapes, prometheus.NewDesc(row.name, row.help, nil, nil))
	}
	return c
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range slices.Concat(c.descs, c.shapes) {
		ch <- desc
	}
	c.sources.Timings.probes.Describe(ch)
}

// Collect is part of prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
	defer cancel()
	timings := c.sources.Timings
	probed := timings.known()
	status, err := c.sources.Status(ctx)
	if err != nil {
		err = fmt.Errorf("take a snapshot: %w", err)
		ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
	} else {
		c.send(&status, ch)
		timings.prune(probed, status.VIPs)
	}
	timings.probes.Collect(ch)
}

func (c *collector) send(status *Status, ch chan<- prometheus.Metric) {
	for i, row := range c.table {
		desc := c.descs[i]
		row.of(status, func(value float64, labels ...string) {
			m, err := prometheus.NewConstMetric(desc, row.kind, value, labels...)
			if err != nil { // a name that is not UTF-8
				m = prometheus.NewInvalidMetric(desc, err)
			}
			ch <- m
		})
	}
	if status.BFD == nil {
		return
	}
	for i, row := range histograms {
		ch <- row.of(status.BFD).metric(c.shapes[i])
	}
}

// registry holds all that vipd exports.
func registry(version string, s Sources) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "vipd_build_info", Help: "Always 1; the labels tell which vipd this is.",
	}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	r.MustRegister(build, newCollector(s), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(s.Timings.collectors()...)
	return r
}
