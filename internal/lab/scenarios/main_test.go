// Package scenarios proves what vipd promises, in a network in a box with real
// routers and real faults. Each scenario is to be read as a page.
package scenarios

import (
	"os"
	"testing"
	"time"

	"github.com/fiberlb/vipd/internal/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// soon is long for what should take milliseconds: a busy machine is no error.
const soon = 30 * time.Second

// speakers are those that vipd supports.
func speakers() []string { return []string{"3.10", "3.37.0", "4.8.0", "embedded"} }
