package vipctl

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

const (
	// guessing bounds what is only a convenience.
	guessing = time.Second
	// mostGuesses is how many names are a help and not a list.
	mostGuesses = 3
)

// suggest adds the names that were probably meant to an error about an unknown
// VIP.
func (a *app) suggest(ctx context.Context, api vipdv1.VipServiceClient, vip string, err error) error {
	if status.Code(err) != codes.NotFound {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, guessing)
	defer cancel()
	all, listErr := pages(ctx, api, &vipdv1.ListVipsRequest{})
	if listErr != nil {
		return err // that one is not what the user asked about
	}
	near := nearest(vip, all)
	if len(near) == 0 {
		return err
	}
	refusal := cleanLines(status.Convert(err).Message())
	return failed("vipd refused: %s\n  did you mean %s?", refusal, strings.Join(near, ", "))
}

// nearest returns the names that are like word, best first.
func nearest(word string, all []*vipdv1.Vip) []string {
	type guess struct {
		text     string
		distance int
	}
	var guesses []guess
	for _, v := range all {
		name := clean(v.GetName())
		d := distance(strings.ToLower(word), strings.ToLower(name))
		if strings.HasPrefix(strings.ToLower(name), strings.ToLower(word)) {
			d = 1 // however long: it was typed in part
		}
		if p := v.GetPrefix(); distance(word, p) <= 1 || distance(word, beforeSlash(p)) <= 1 {
			name, d = fmt.Sprintf("%s (%s)", name, clean(p)), 1
		}
		if d <= 1+len(word)/4 {
			guesses = append(guesses, guess{name, d})
		}
	}
	slices.SortStableFunc(guesses, func(a, b guess) int { return a.distance - b.distance })
	var names []string
	for _, g := range guesses[:min(len(guesses), mostGuesses)] {
		names = append(names, g.text)
	}
	return names
}

func beforeSlash(s string) string {
	before, _, _ := strings.Cut(s, "/")
	return before
}

// distance counts the insertions, deletions, changes and swaps of neighbors that
// turn the bytes of a into those of b.
func distance(a, b string) int {
	var before []int
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		here := make([]int, len(b)+1)
		here[0] = i + 1
		for j := range len(b) {
			change := above[j]
			if a[i] != b[j] {
				change++
			}
			here[j+1] = min(change, above[j+1]+1, here[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				here[j+1] = min(here[j+1], before[j-1]+1)
			}
		}
		before, above = above, here
	}
	return above[len(b)]
}
