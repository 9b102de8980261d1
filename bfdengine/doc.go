// Package bfdengine runs BFD sessions (RFC 5880, 5881, 5883) on Linux. It decides
// nothing about what a session's end means: that is for who listens to it.
//
// Who owns what:
//
//	Engine ── 1 worker ── n sessions        the worker's goroutine is locked to a thread of its own,
//	             ├── receive sockets         and it alone touches what hangs on it. No session has
//	             ├── a send socket each      a goroutine, timer, channel or lock.
//	             ├── 1 timer wheel
//	             └── table of discriminators
//
//	callers ── calls ──▶ worker             a func to run there, and an answer
//	worker  ── hub ────▶ Subscriptions      transitions; a slow reader holds up nobody and loses none
//
// A turn of the worker: read all that has come, let sessions do what is due, send,
// do what callers ask, wait. A packet allocates, logs and locks nothing, unless it
// makes a session that the options allow (RFC 9468) or changes a state.
//
// Silence is judged only after the sockets were drained, by the time at which the
// kernel received each packet. So a worker that did not run for a while, because
// others had the CPU, takes nobody for dead who was not. Where the kernel itself
// may have lost packets meanwhile, a peer gets the time for one more, once.
//
// While there are few packets each wakes the worker. Above some thousands a
// second it sleeps for half a millisecond at a time instead and then takes all
// that came: see moderation. Below a hundred, and if it has not been late, it
// waits by way of Go's poller: see calm.
//
// An engine needs no capability; what Scheduling may ask for does, and so does
// echo: packets that are for their own sender pass by the kernel's IP, in and out.
//
// No echo packets are sent within sessions with a peer that does BFD, though its
// own are sent back (RFC 5880 §6.4); and there is no session within a VRF.
package bfdengine
