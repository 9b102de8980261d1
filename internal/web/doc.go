// Package web serves what vipd knows by HTTP: to machines metrics, liveness,
// readiness and JSON, to people the status page. It shows the board and snapshots
// that others take, decides and changes nothing, and remembers nothing but
// durations.
//
// Pages and what a page's script puts in are made by the same templates from the
// same address (view.go, page.go). A stream tells only that something changed
// (watch.go); what it is now is asked.
package web
