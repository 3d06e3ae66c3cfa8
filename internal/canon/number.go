package canon

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

func (t Type) bits() int {
	switch t {
	case smallint:
		return 16
	case integer, float4:
		return 32
	}
	return 64
}

// parseInt reads an integer of t. strconv takes the sign and the zeros that PostgreSQL takes.
func (t Type) parseInt(s string) (int64, error) {
	n, err := strconv.ParseInt(trim(s), 10, t.bits())
	switch {
	case err == nil:
		return n, nil
	case isRange(err):
		return 0, errRange
	}
	return 0, errText
}

func isRange(err error) bool {
	e, ok := err.(*strconv.NumError)
	return ok && e.Err == strconv.ErrRange
}

func (t Type) appendInt(dst []byte, n int64) ([]byte, error) {
	switch t {
	case smallint, integer, bigint:
		if shift := 64 - t.bits(); n<<shift>>shift != n {
			return nil, errRange
		}
	case numeric:
	case float4:
		return t.appendFloat(dst, float64(float32(n)))
	case float8:
		return t.appendFloat(dst, float64(n))
	default:
		return nil, errType
	}
	return strconv.AppendInt(dst, n, 10), nil
}

func (t Type) appendUint(dst []byte, n uint64) ([]byte, error) {
	switch {
	case n <= math.MaxInt64:
		return t.appendInt(dst, int64(n))
	case t == numeric:
		return strconv.AppendUint(dst, n, 10), nil
	case t.isNumber():
		return nil, errRange
	}
	return nil, errType
}

func (t Type) isNumber() bool { return smallint <= t && t <= numeric }

// appendFloat writes a float as PostgreSQL does: the shortest digits that are read as the same number, with an exponent where 6
// (float4) or 15 (float8) digits do not reach.
func (t Type) appendFloat(dst []byte, f float64) ([]byte, error) {
	if !t.isNumber() {
		return nil, errType
	}
	if t < float4 {
		if f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 {
			return nil, errText
		}
		return t.appendInt(dst, int64(f))
	}
	digits := 15
	if t == float4 {
		digits = 6
		narrow := float64(float32(f))
		if math.IsInf(narrow, 0) && !math.IsInf(f, 0) || narrow == 0 && f != 0 {
			return nil, errRange
		}
		f = narrow
	}
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...), nil
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...), nil
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...), nil
	case t == numeric && f == 0:
		return append(dst, '0'), nil // it has no negative zero
	case t == numeric:
		return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
	}
	var buf [32]byte
	scientific := strconv.AppendFloat(buf[:0], f, 'e', -1, t.bits())
	_, exponent, _ := bytes.Cut(scientific, []byte{'e'})
	if e, err := strconv.Atoi(string(exponent)); err == nil && -4 <= e && e < digits {
		return strconv.AppendFloat(dst, f, 'f', -1, t.bits()), nil
	}
	return append(dst, scientific...), nil
}

// parseFloat reads a float of t. A number that is too small to be told from zero is out of range, as in PostgreSQL.
func (t Type) parseFloat(s string) (float64, error) {
	s = trim(s)
	if f, ok := parseSpecial(s); ok {
		return f, nil
	}
	if !isDecimal(s) {
		return 0, errText // strconv would also take hex digits and underscores
	}
	f, err := strconv.ParseFloat(s, t.bits())
	switch {
	case err != nil && !isRange(err):
		return 0, errText
	case err != nil, f == 0 && !isZero(s):
		return 0, errRange
	}
	return f, nil
}

// parseSpecial reads what is no number and yet a value of the types for numbers.
func parseSpecial(s string) (float64, bool) {
	if strings.EqualFold(s, "NaN") {
		return math.NaN(), true
	}
	sign := 1
	switch {
	case strings.HasPrefix(s, "-"):
		sign, s = -1, s[1:]
	case strings.HasPrefix(s, "+"):
		s = s[1:]
	}
	if strings.EqualFold(s, "inf") || strings.EqualFold(s, "Infinity") {
		return math.Inf(sign), true
	}
	return 0, false
}

func isDecimal(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c), c == '+', c == '-', c == '.', c == 'e', c == 'E':
		default:
			return false
		}
	}
	return true
}

// isZero says whether no digit before the exponent is other than 0.
func isZero(s string) bool {
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		s = s[:e]
	}
	return !strings.ContainsAny(s, "123456789")
}

// A numeric has at most so many digits before and after the point. No exponent of more than maxExponent is looked at.
const (
	maxWhole    = 131072
	maxFraction = 16383
	maxExponent = 1 << 20
)

// decimal is the number that whole, a point and fraction write, times ten to the power of exponent.
type decimal struct {
	negative        bool
	whole, fraction string
	exponent        int
}

func appendDecimalText(dst []byte, s string, deterministic bool) ([]byte, error) {
	s = trim(s)
	if f, ok := parseSpecial(s); ok {
		return numeric.appendFloat(dst, f)
	}
	d, err := parseDecimal(s)
	if err != nil {
		return nil, err
	}
	return d.append(dst, deterministic)
}

// parseDecimal reads [+-] digits [. digits] [e [+-] digits].
func parseDecimal(s string) (d decimal, err error) {
	switch {
	case strings.HasPrefix(s, "-"):
		d.negative, s = true, s[1:]
	case strings.HasPrefix(s, "+"):
		s = s[1:]
	}
	d.whole, s = cutDigits(s)
	if strings.HasPrefix(s, ".") {
		d.fraction, s = cutDigits(s[1:])
	}
	switch {
	case d.whole == "" && d.fraction == "":
		return d, errText
	case s == "":
		return d, nil
	case s[0] != 'e' && s[0] != 'E':
		return d, errText
	}
	d.exponent, err = strconv.Atoi(s[1:])
	switch {
	case err != nil && !isRange(err):
		return d, errText
	case d.exponent < -maxExponent || d.exponent > maxExponent: // where Atoi has an error, too
		return d, errRange
	}
	return d, nil
}

// cutDigits cuts off the digits that s begins with.
func cutDigits(s string) (digits, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// append writes the number without exponent. Its fraction keeps the digits that PostgreSQL keeps; deterministic, it loses the zeros
// at its end.
func (d decimal) append(dst []byte, deterministic bool) ([]byte, error) {
	if d.exponent != 0 {
		var err error
		if d, err = d.shifted(); err != nil {
			return nil, err
		}
	}
	whole, fraction := strings.TrimLeft(d.whole, "0"), d.fraction
	if len(whole) > maxWhole || len(fraction) > maxFraction {
		return nil, errRange
	}
	significant := strings.TrimRight(fraction, "0")
	if deterministic {
		fraction = significant
	}
	if d.negative && (whole != "" || significant != "") {
		dst = append(dst, '-')
	}
	if whole == "" {
		whole = "0"
	}
	dst = append(dst, whole...)
	if fraction != "" {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst, nil
}

// shifted returns d with its point where the exponent moves it, as long as that makes no more digits than a numeric has.
func (d decimal) shifted() (decimal, error) {
	digits := d.whole + d.fraction
	scale := max(0, len(d.fraction)-d.exponent)
	zeros := len(digits) - len(strings.TrimLeft(digits, "0"))
	point := len(d.whole) + d.exponent
	switch {
	case scale > maxFraction:
		return d, errRange
	case zeros == len(digits):
		d.whole, d.fraction = "", strings.Repeat("0", scale)
	case point-zeros > maxWhole:
		return d, errRange
	case point <= 0:
		d.whole, d.fraction = "", strings.Repeat("0", -point)+digits
	case point >= len(digits):
		d.whole, d.fraction = digits+strings.Repeat("0", point-len(digits)), ""
	default:
		d.whole, d.fraction = digits[:point], digits[point:]
	}
	d.exponent = 0
	return d, nil
}

// maxBits is more than the bits of the longest integer that is an unscaled numeric: some 3.33 for a digit.
const maxBits = (maxWhole + maxFraction) * 10 / 3

// appendBig takes the number n times ten to the power of exponent.
func (t Type) appendBig(dst []byte, n *big.Int, exponent int, o Options) ([]byte, error) {
	if !t.isNumber() {
		return nil, errType
	}
	if n.BitLen() > maxBits || exponent < -maxExponent || exponent > maxExponent {
		return nil, errRange
	}
	d := decimal{negative: n.Sign() < 0, whole: new(big.Int).Abs(n).String(), exponent: exponent}
	if t == numeric {
		return d.append(dst, o.Deterministic)
	}
	if t == float4 || t == float8 {
		f, err := t.parseFloat(n.String() + "e" + strconv.Itoa(exponent))
		if err != nil {
			return nil, err
		}
		return t.appendFloat(dst, f)
	}
	plain, err := d.append(nil, true)
	if err != nil {
		return nil, err
	}
	i, err := t.parseInt(string(plain))
	if err != nil {
		return nil, err
	}
	return t.appendInt(dst, i)
}

func (t Type) appendPgNumeric(dst []byte, n pgtype.Numeric, o Options) ([]byte, error) {
	switch {
	case n.NaN:
		return t.appendFloat(dst, math.NaN())
	case n.InfinityModifier != pgtype.Finite:
		return t.appendFloat(dst, math.Inf(int(n.InfinityModifier)))
	case n.Int == nil:
		return t.appendInt(dst, 0)
	}
	return t.appendBig(dst, n.Int, int(n.Exp), o)
}
