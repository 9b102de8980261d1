package config

import (
	"fmt"
	"strings"
)

// suggest ends the text on an unknown word: with the one that was probably
// meant, else with all that would do if they are few.
func suggest(word string, known []string) string {
	best, distance := "", 1+max(1, len(word)/4)
	for _, k := range known {
		if d := editDistance(word, k, distance); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf(" (did you mean %q?)", best)
	case len(known) == 1:
		return " (write " + known[0] + ")"
	case len(known) > 1 && len(known) <= 12:
		return " (one of " + strings.Join(known, ", ") + ")"
	}
	return ""
}

// editDistance counts the insertions, deletions, changes and swaps of
// neighbors that turn a into b; from limit on it only says that it's too far.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, above, here := rows[0], rows[1], rows[2]
		here[0] = i
		for j := 1; j <= len(b); j++ {
			change := above[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			here[j] = min(change, above[j]+1, here[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				here[j] = min(here[j], before[j-2]+1)
			}
		}
		rows = [3][]int{above, here, before}
	}
	return min(rows[1][len(b)], limit)
}
