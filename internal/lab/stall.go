package lab

import "fmt"

// Stall drops what comes to the host from or for a TCP port, so that connections
// stay and say nothing, and new ones are not refused but wait.
func (h *Host) Stall(port int) {
	h.lab.Helper()
	h.NFT(fmt.Sprintf(`table inet stall_%[1]d {
	chain in {
		type filter hook input priority filter
		tcp dport %[1]d drop
		tcp sport %[1]d drop
	}
}
`, port))
}

// Resume ends a Stall.
func (h *Host) Resume(port int) {
	h.lab.Helper()
	h.NFT(fmt.Sprintf("delete table inet stall_%d\n", port))
}
