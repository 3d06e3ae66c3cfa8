package judge

import (
	"strconv"
	"strings"
)

// A tree is printed as (name part part …), a list as [part part …], what is not there as _.

func node(name string, parts ...string) string {
	return "(" + name + " " + strings.Join(parts, " ") + ")"
}

func at(name string, position int, parts ...string) string {
	return node(name+"@"+strconv.Itoa(position), parts...)
}

func list[T any](items []T, print func(T) string) string {
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = print(item)
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func yes(name string, is bool) string {
	if is {
		return name
	}
	return "_"
}

// number prints a constant as both parsers can know it: integers of 32 bits by value, all else as written.
func number(text string) string {
	digits := strings.ReplaceAll(text, "_", "")
	base := 10
	if len(digits) > 2 && digits[0] == '0' {
		switch digits[1] {
		case 'x', 'X':
			base = 16
		case 'o', 'O':
			base = 8
		case 'b', 'B':
			base = 2
		}
		if base != 10 {
			digits = digits[2:]
		}
	}
	if n, err := strconv.ParseInt(digits, base, 32); err == nil {
		return strconv.FormatInt(n, 10)
	}
	return text
}

// negated is the constant that a sign makes of a constant.
func negated(text string) string {
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		return rest
	}
	if text == "0" {
		return text
	}
	return "-" + text
}
