// Package healthloop turns probes of backends into intents: what the network
// should see for each VIP now, and why. It does not know BGP, and asks no
// backend itself: package check does.
//
// Decide is the decision, with tally.go and health.go below it: pure, and in
// words in docs/decisions.md. Loop is when it is made: it gives every backend
// its turns, and tells a Sink what changed.
package healthloop
