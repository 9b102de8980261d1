package control

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the program that a test runs as another user.
func TestMain(m *testing.M) {
	if target := os.Getenv("VIPD_TEST_STRANGER"); target != "" {
		stranger(target)
		return
	}
	goleak.VerifyTestMain(m)
}
