package packet

import (
	"regexp"
	"testing"
)

// They are labels of one metric.
func TestEveryReasonHasItsOwnLabel(t *testing.T) {
	seen := map[string]Reason{}
	label := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for r := range NumReasons {
		if !label.MatchString(r.String()) {
			t.Errorf("reason %d is %q", uint8(r), r)
		}
		if other, twice := seen[r.String()]; twice {
			t.Errorf("reasons %d and %d are both %q", uint8(other), uint8(r), r)
		}
		seen[r.String()] = r
	}
}

// The values are those of RFC 5880 §4.1, the names too; a diagnostic of
// tomorrow is shown by its number.
func TestNamesAreThoseOfTheRFC(t *testing.T) {
	for i, want := range []string{"AdminDown", "Down", "Init", "Up", "4"} {
		if got := State(i).String(); got != want {
			t.Errorf("state %d is %q, want %q", i, got, want)
		}
	}
	for i, want := range []string{
		"No Diagnostic", "Control Detection Time Expired", "Echo Function Failed", "Neighbor Signaled Session Down",
		"Forwarding Plane Reset", "Path Down", "Concatenated Path Down", "Administratively Down",
		"Reverse Concatenated Path Down", "Mis-Connectivity Defect", "10",
	} {
		if got := Diag(i).String(); got != want {
			t.Errorf("diagnostic %d is %q, want %q", i, got, want)
		}
	}
}
