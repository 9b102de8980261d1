// Package web serves what vipd knows to machines: metrics, liveness and
// readiness. It shows snapshots that others take, decides nothing and remembers
// nothing but durations.
package web
