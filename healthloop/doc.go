// Package healthloop turns probes of backends into intents: what the network
// should see for each VIP now, and why. It does not know BGP, and asks no
// backend itself: package check does.
package healthloop
