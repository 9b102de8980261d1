// Package daemon assembles vipd: what runs, in which order it starts and stops,
// reload and drain. It decides nothing and announces nothing by itself: the
// rooms that it joins do.
package daemon
