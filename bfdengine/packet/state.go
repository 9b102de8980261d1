package packet

import "strconv"

// A State is a session's state as it is sent (RFC 5880 §4.1).
type State uint8

// The states, by their values on the wire.
const (
	AdminDown State = iota
	Down
	Init
	Up
)

var stateNames = [...]string{"AdminDown", "Down", "Init", "Up"}

// String gives the name as RFC 5880 writes it.
func (s State) String() string { return name(stateNames[:], uint8(s)) }

// A Diag is the sender's "reason for the last change in session state" (RFC 5880
// §4.1). On the wire it has five bits; those without a name are no error.
type Diag uint8

// The diagnostics, by their values on the wire.
const (
	NoDiagnostic Diag = iota
	ControlDetectionTimeExpired
	EchoFunctionFailed
	NeighborSignaledSessionDown
	ForwardingPlaneReset
	PathDown
	ConcatenatedPathDown
	AdministrativelyDown
	ReverseConcatenatedPathDown
	MisConnectivityDefect // RFC 6428 §5
)

var diagNames = [...]string{
	"No Diagnostic",
	"Control Detection Time Expired",
	"Echo Function Failed",
	"Neighbor Signaled Session Down",
	"Forwarding Plane Reset",
	"Path Down",
	"Concatenated Path Down",
	"Administratively Down",
	"Reverse Concatenated Path Down",
	"Mis-Connectivity Defect",
}

// String gives the name as RFC 5880 writes it.
func (d Diag) String() string { return name(diagNames[:], uint8(d)) }

func name(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return strconv.Itoa(int(i))
}
