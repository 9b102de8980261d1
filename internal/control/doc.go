// Package control serves the control API: who may ask, what any node would
// refuse, how much at a time, and streams. What a request does is the Node's.
package control
