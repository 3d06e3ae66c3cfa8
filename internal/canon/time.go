package canon

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

const (
	microsPerSecond = 1_000_000
	microsPerMinute = 60 * microsPerSecond
	microsPerHour   = 60 * microsPerMinute
	microsPerDay    = 24 * microsPerHour

	secondsPerHour = 60 * 60
	maxZoneHours   = 15  // of an offset that PostgreSQL reads
	maxTimeText    = 128 // PostgreSQL's MAXDATELEN
)

// The first moment of PostgreSQL's calendar and the first ones after it, in seconds since 1970.
var (
	firstSecond  = time.Date(-4713, 11, 24, 0, 0, 0, 0, time.UTC).Unix()
	endTimestamp = time.Date(294277, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	endDate      = time.Date(5874898, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
)

// moment is a date, a timestamp or a timestamptz: a time in UTC, or after all others (1), or before (-1).
type moment struct {
	at       time.Time
	infinity pgtype.InfinityModifier
}

// parseMoment reads YYYY-MM-DD[ HH:MM[:SS[.f]][zone]][ BC], with the time that timestamp and timestamptz may have and the zone
// that timestamptz must have, or infinity.
func (t Type) parseMoment(s string) (m moment, err error) {
	s = trim(s)
	switch {
	case len(s) > maxTimeText:
		return m, errText
	case strings.EqualFold(s, "infinity"):
		return moment{infinity: pgtype.Infinity}, nil
	case strings.EqualFold(s, "-infinity"):
		return moment{infinity: pgtype.NegativeInfinity}, nil
	}
	s, bc := strings.CutSuffix(s, " BC")
	year, s, ok := cutNumber(s, 4, 7)
	month, s, ok2 := cutField(s, "-")
	day, s, ok3 := cutField(s, "-")
	if !ok || !ok2 || !ok3 || year == 0 {
		return m, errText
	}
	if bc {
		year = 1 - year
	}
	m.at = time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if m.at.Day() != day || m.at.Month() != time.Month(month) {
		return m, errText // no such day; time.Date went on counting
	}
	if t != date && (s != "" || t == timestamptz) {
		var c clock
		if s == "" || !strings.ContainsRune(" Tt", rune(s[0])) {
			return m, errText
		}
		if c, s, err = cutClock(s[1:], t == timestamptz); err != nil {
			return m, err
		}
		m.at = m.at.Add(time.Duration(c.micros)*time.Microsecond - time.Duration(c.offset)*time.Second)
	}
	if s != "" {
		return m, errText
	}
	return m, t.checkRange(m.at)
}

func (t Type) checkRange(at time.Time) error {
	end := endTimestamp
	if t == date {
		end = endDate
	}
	if second := at.Unix(); second < firstSecond || second >= end {
		return errRange
	}
	return nil
}

// cutNumber cuts off a number of as many digits as s begins with, if they are at least and at most so many.
func cutNumber(s string, least, most int) (n int, rest string, ok bool) {
	digits, rest := cutDigits(s)
	if len(digits) < least || len(digits) > most {
		return 0, s, false
	}
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n, rest, true
}

// cutField cuts off a separator and two digits.
func cutField(s, separator string) (n int, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, separator)
	if !ok || len(s) < 2 || !isDigit(s[0]) || !isDigit(s[1]) {
		return 0, s, false
	}
	return int(s[0]-'0')*10 + int(s[1]-'0'), s[2:], true
}

// clock is a time of day, 24:00:00 included, and seconds east of Greenwich.
type clock struct {
	micros int64
	offset int
}

// cutClock cuts off HH:MM[:SS[.f]] and, where it is asked for, the zone. A second 60 is the first of the next minute.
func cutClock(s string, zone bool) (c clock, rest string, err error) {
	hour, s, ok := cutField(s, "")
	minute, s, ok2 := cutField(s, ":")
	second, fraction := 0, int64(0)
	ok3 := true
	if strings.HasPrefix(s, ":") {
		if second, s, ok3 = cutField(s, ":"); ok3 && strings.HasPrefix(s, ".") {
			fraction, s, ok3 = cutFraction(s)
		}
	}
	if !ok || !ok2 || !ok3 || minute > 59 || second > 60 {
		return c, s, errText
	}
	c.micros = int64(hour)*microsPerHour + int64(minute)*microsPerMinute + int64(second)*microsPerSecond + fraction
	if c.micros > microsPerDay {
		return c, s, errText
	}
	if zone {
		if c.offset, s, ok = cutZone(s); !ok {
			return c, s, errText
		}
	}
	return c, s, nil
}

// cutFraction cuts off a point and digits and gives them in microseconds, rounded as PostgreSQL rounds: as a binary fraction.
func cutFraction(s string) (micros int64, rest string, ok bool) {
	digits, rest := cutDigits(s[1:])
	if digits == "" {
		return 0, s, false
	}
	if n, _, short := cutNumber(digits, 1, 6); short {
		for range 6 - len(digits) {
			n *= 10
		}
		return int64(n), rest, true
	}
	f, err := strconv.ParseFloat(s[:1+len(digits)], 64)
	return int64(math.RoundToEven(f * microsPerSecond)), rest, err == nil
}

// cutZone cuts off Z or an offset: [+-]HH, HHMM, HH:MM or HH:MM:SS, after at most one blank.
func cutZone(s string) (offset int, rest string, ok bool) {
	s = strings.TrimPrefix(s, " ")
	if s == "" {
		return 0, s, false
	}
	sign := 1
	switch s[0] {
	case 'Z', 'z':
		return 0, s[1:], true
	case '-':
		sign = -1
	case '+':
	default:
		return 0, s, false
	}
	hours, s, ok := cutField(s[1:], "")
	if !ok || hours > maxZoneHours {
		return 0, s, false
	}
	minutes, seconds := 0, 0
	if strings.HasPrefix(s, ":") {
		if minutes, s, ok = cutField(s, ":"); ok && strings.HasPrefix(s, ":") {
			seconds, s, ok = cutField(s, ":")
		}
	} else if s != "" && isDigit(s[0]) {
		minutes, s, ok = cutField(s, "")
	}
	if !ok || minutes > 59 || seconds > 59 {
		return 0, s, false
	}
	return sign * (hours*secondsPerHour + minutes*60 + seconds), s, true
}

// appendTime takes from a time what t keeps of it, on the clock of the time's own zone where t has none.
func (t Type) appendTime(dst []byte, at time.Time) ([]byte, error) {
	switch t {
	case timestamptz:
		at = at.UTC()
	case date, timestamp:
		if at.Location() != time.UTC {
			at = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
		}
	case timeOfDay:
		return t.appendClock(dst, clockOf(at)), nil
	case timetz:
		return t.appendClock(dst, clockOf(at.UTC())), nil // pgx sends it in UTC
	default:
		return nil, errType
	}
	if err := t.checkRange(at); err != nil {
		return nil, err
	}
	return t.appendMoment(dst, moment{at: at}), nil
}

func clockOf(at time.Time) clock {
	hour, minute, second := at.Clock()
	return clock{micros: int64(hour)*microsPerHour + int64(minute)*microsPerMinute + int64(second)*microsPerSecond + int64(at.Nanosecond()/1000)}
}

// appendPgTime takes what the date and time types of pgtype hold.
func (t Type) appendPgTime(dst []byte, at time.Time, infinity pgtype.InfinityModifier) ([]byte, error) {
	if infinity != pgtype.Finite {
		return t.appendMoment(dst, moment{infinity: infinity}), nil
	}
	return t.appendTime(dst, at)
}

func (t Type) appendMoment(dst []byte, m moment) []byte {
	switch {
	case m.infinity > 0:
		return append(dst, "infinity"...)
	case m.infinity < 0:
		return append(dst, "-infinity"...)
	}
	year, month, day := m.at.Date()
	bc := year <= 0
	if bc {
		year = 1 - year
	}
	dst = appendPadded(dst, year, 4)
	dst = appendPadded(append(dst, '-'), int(month), 2)
	dst = appendPadded(append(dst, '-'), day, 2)
	if t != date {
		dst = appendMicros(append(dst, ' '), clockOf(m.at).micros)
		if t == timestamptz {
			dst = append(dst, "+00"...)
		}
	}
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

// parseClock reads HH:MM[:SS[.f]], and for timetz the zone.
func (t Type) parseClock(s string) (clock, error) {
	s = trim(s)
	if len(s) > maxTimeText {
		return clock{}, errText
	}
	c, rest, err := cutClock(s, t == timetz)
	if err == nil && rest != "" {
		err = errText
	}
	return c, err
}

func (t Type) appendClock(dst []byte, c clock) []byte {
	dst = appendMicros(dst, c.micros)
	if t != timetz {
		return dst
	}
	sign, offset := byte('+'), c.offset
	if offset < 0 {
		sign, offset = '-', -offset
	}
	dst = appendPadded(append(dst, sign), offset/secondsPerHour, 2)
	if offset%secondsPerHour != 0 {
		dst = appendPadded(append(dst, ':'), offset/60%60, 2)
	}
	if offset%60 != 0 {
		dst = appendPadded(append(dst, ':'), offset%60, 2)
	}
	return dst
}

// appendMicros writes HH:MM:SS[.f] without zeros at the end of the fraction; n is not negative.
func appendMicros[N int64 | uint64](dst []byte, n N) []byte {
	dst = appendPadded(dst, int(n/microsPerHour), 2)
	dst = appendPadded(append(dst, ':'), int(n/microsPerMinute%60), 2)
	dst = appendPadded(append(dst, ':'), int(n/microsPerSecond%60), 2)
	fraction := int(n % microsPerSecond)
	if fraction == 0 {
		return dst
	}
	width := 6
	for ; fraction%10 == 0; width-- {
		fraction /= 10
	}
	return appendPadded(append(dst, '.'), fraction, width)
}

// appendPadded writes n with zeros before it up to width digits; n is not negative.
func appendPadded(dst []byte, n, width int) []byte {
	for limit := 10; width > 1; width-- {
		if n < limit {
			dst = append(dst, '0')
		}
		limit *= 10
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

// span is an interval, in the three units that PostgreSQL does not convert into each other.
type span struct {
	months, days int32
	micros       int64
}

// parseSpan reads an interval as PostgreSQL writes it: [n years] [n mons] [n days] [[+-]HH:MM:SS[.f]].
func parseSpan(s string) (i span, err error) {
	s = trim(s)
	if s == "" || len(s) > maxTimeText {
		return i, errText
	}
	const year, month, day = 1, 2, 3
	months, last := int64(0), 0
	for s != "" {
		var word, unit string
		word, s, _ = strings.Cut(s, " ")
		if strings.Contains(word, ":") {
			if i.micros, err = parseSpanClock(word); err == nil && s != "" {
				err = errText
			}
			break
		}
		n, wrong := strconv.ParseInt(word, 10, 32)
		if wrong != nil {
			return i, errText
		}
		at := 0
		switch unit, s, _ = strings.Cut(s, " "); unit {
		case "year", "years":
			at, months = year, n*12
		case "mon", "mons", "month", "months":
			at, months = month, months+n
		case "day", "days":
			at, i.days = day, int32(n)
		}
		if at <= last {
			return i, errText
		}
		last = at
	}
	if i.months = int32(months); int64(i.months) != months {
		return i, errRange
	}
	return i, err
}

func parseSpanClock(s string) (micros int64, err error) {
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	hours, s, ok := cutNumber(s, 2, 10)
	minutes, s, ok2 := cutField(s, ":")
	seconds, s, ok3 := cutField(s, ":")
	fraction := int64(0)
	if ok3 && strings.HasPrefix(s, ".") && len(s) <= len(".123456") { // PostgreSQL writes no more
		fraction, s, ok3 = cutFraction(s)
	}
	if !ok || !ok2 || !ok3 || s != "" || minutes > 59 || seconds > 59 {
		return 0, errText
	}
	if int64(hours) > math.MaxInt64/microsPerHour {
		return 0, errRange
	}
	n := uint64(hours)*microsPerHour + uint64(minutes)*microsPerMinute + uint64(seconds)*microsPerSecond + uint64(fraction)
	switch {
	case !negative && n <= math.MaxInt64:
		return int64(n), nil
	case negative && n <= 1<<63:
		return -int64(n), nil
	}
	return 0, errRange
}

// appendSpan writes an interval in PostgreSQL's own style: what follows a negative part has a sign.
func appendSpan(dst []byte, i span) []byte {
	empty, negative := true, false
	for _, part := range [...]struct {
		n    int64
		unit string
	}{{int64(i.months / 12), "year"}, {int64(i.months % 12), "mon"}, {int64(i.days), "day"}} {
		if part.n == 0 {
			continue
		}
		if !empty {
			dst = append(dst, ' ')
		}
		if negative && part.n > 0 {
			dst = append(dst, '+')
		}
		dst = strconv.AppendInt(dst, part.n, 10)
		dst = append(append(dst, ' '), part.unit...)
		if part.n != 1 {
			dst = append(dst, 's')
		}
		empty, negative = false, part.n < 0
	}
	if i.micros == 0 && !empty {
		return dst
	}
	if !empty {
		dst = append(dst, ' ')
	}
	micros := uint64(i.micros)
	switch {
	case i.micros < 0:
		dst, micros = append(dst, '-'), -micros
	case negative:
		dst = append(dst, '+')
	}
	return appendMicros(dst, micros)
}
