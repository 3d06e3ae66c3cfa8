// Package nearest finds the known name that a mistyped one was meant to be.
package nearest

import "math"

// Of returns the one of known with the fewest edits to name, the alphabetically first of several.
func Of(name string, known ...string) string {
	best, least := "", math.MaxInt
	for _, k := range known {
		if d := Distance(name, k); d < least || d == least && k < best {
			best, least = k, d
		}
	}
	return best
}

// Distance is the Levenshtein distance of two names, in bytes of their beginnings.
func Distance(a, b string) int {
	const most = 64
	a, b = a[:min(len(a), most)], b[:min(len(b), most)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
