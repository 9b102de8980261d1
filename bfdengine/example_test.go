package bfdengine_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"

	"github.com/fiberlb/vipd/bfdengine"
)

// A responder: it answers whoever asks from one network, and tells of it.
func Example() {
	engine, err := bfdengine.New(bfdengine.Options{Unsolicited: bfdengine.Unsolicited{
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}})
	if err == nil {
		err = engine.Listen()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	changes := engine.Subscribe()
	go engine.Run(ctx) // then Next gives what is left, and an error
	for {
		told, err := changes.Next(context.Background())
		if err != nil {
			return
		}
		for _, c := range told {
			fmt.Println(c.Key, "is", c.To, "because", c.Diag)
		}
	}
}
