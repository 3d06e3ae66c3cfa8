package canon

import (
	"database/sql/driver"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Options are those of a column's tag that change the plaintext of its values.
type Options struct {
	Deterministic bool // equal numerics get equal plaintexts: no zeros at the end of a fraction
	Fold          bool // letters of a text become lower-case
}

// AppendPlain appends the plaintext of v to dst. Where v is NULL it says so and appends nothing; with an error it returns dst as
// it was. Else plain is not nil, even if it is empty. Where dst has room, strings, bytes, numbers and times cost no allocation.
func (t Type) AppendPlain(dst []byte, v any, o Options) (plain []byte, null bool, err error) {
	plain, err = t.appendValue(dst, v, o, 0)
	switch {
	case err != nil:
		return dst, err == errNull, unlessNull(err)
	case plain == nil:
		plain = []byte{} // an empty text, which is no NULL
	}
	return plain, false, nil
}

func unlessNull(err error) error {
	if err == errNull {
		return nil
	}
	return err
}

// maxDepth is how many pointers and Value methods may stand between an argument and its value, as in pgx.
const maxDepth = 8

// appendValue goes from v to a value that it knows, by the steps that pgx takes and in their order.
func (t Type) appendValue(dst []byte, v any, o Options, depth int) ([]byte, error) {
	if v == nil {
		return nil, errNull
	}
	if plain, err := t.appendKnown(dst, v, o); err != errType {
		return plain, t.explain(err, v)
	}
	if depth > maxDepth {
		return nil, errTooDeep
	}
	rv := reflect.ValueOf(v)
	valuer, _ := v.(driver.Valuer)
	if isNil(rv) {
		if !calledOnNil(rv, valuer) {
			return nil, errNull
		}
	} else if plain, err := t.appendPgtype(dst, v, valuer != nil, o); err != errType {
		return plain, t.explain(err, v)
	}
	if valuer != nil {
		next, err := valuer.Value()
		if err != nil {
			return nil, callError(v, "Value", err)
		}
		return t.appendValue(dst, next, o, depth+1)
	}
	if texter, ok := v.(pgtype.TextValuer); ok {
		text, err := texter.TextValue()
		switch {
		case err != nil:
			return nil, callError(v, "TextValue", err)
		case !text.Valid:
			return nil, errNull
		}
		return t.appendValue(dst, text.String, o, depth+1)
	}
	if t.isJSON() && marshals(v) {
		return t.appendMarshalled(dst, v)
	}
	if rv.Kind() == reflect.Pointer {
		return t.appendValue(dst, rv.Elem().Interface(), o, depth+1)
	}
	if basic, ok := underlying(rv); ok && !t.wouldBeRaw(v) {
		return t.appendValue(dst, basic, o, depth+1)
	}
	if t.isJSON() {
		return t.appendMarshalled(dst, v)
	}
	return nil, t.explain(errType, v)
}

// calledOnNil says whether the Value method of something nil is to be called: not that of what a pointer would point to.
func calledOnNil(rv reflect.Value, valuer driver.Valuer) bool {
	return valuer != nil && (rv.Kind() != reflect.Pointer || !rv.Type().Elem().Implements(reflect.TypeFor[driver.Valuer]()))
}

func isNil(rv reflect.Value) bool {
	switch rv.Kind() {
	case reflect.Chan, reflect.Func, reflect.Map, reflect.Pointer, reflect.UnsafePointer, reflect.Slice:
		return rv.IsNil()
	}
	return false
}

var (
	bytesType  = reflect.TypeFor[[]byte]()
	byte16Type = reflect.TypeFor[[16]byte]()
	basicTypes = map[reflect.Kind]reflect.Type{
		reflect.Bool:    reflect.TypeFor[bool](),
		reflect.Int:     reflect.TypeFor[int](),
		reflect.Int8:    reflect.TypeFor[int8](),
		reflect.Int16:   reflect.TypeFor[int16](),
		reflect.Int32:   reflect.TypeFor[int32](),
		reflect.Int64:   reflect.TypeFor[int64](),
		reflect.Uint:    reflect.TypeFor[uint](),
		reflect.Uint8:   reflect.TypeFor[uint8](),
		reflect.Uint16:  reflect.TypeFor[uint16](),
		reflect.Uint32:  reflect.TypeFor[uint32](),
		reflect.Uint64:  reflect.TypeFor[uint64](),
		reflect.Float32: reflect.TypeFor[float32](),
		reflect.Float64: reflect.TypeFor[float64](),
		reflect.String:  reflect.TypeFor[string](),
	}
)

// underlying returns the value of a named type as one of the type of the language that it is made of.
func underlying(rv reflect.Value) (v any, ok bool) {
	to := basicTypes[rv.Kind()]
	switch {
	case rv.Type().AssignableTo(bytesType):
		to = bytesType
	case rv.Kind() == reflect.Array && rv.Type().ConvertibleTo(byte16Type):
		to = byte16Type
	}
	if to == nil || to == rv.Type() {
		return nil, false
	}
	return rv.Convert(to).Interface(), true
}

// wouldBeRaw says whether v's bytes are no text of it, though pgx sends them as such.
func (t Type) wouldBeRaw(v any) bool {
	switch v.(type) {
	case net.IP, net.HardwareAddr:
		return t != bytea
	}
	return false
}

// appendKnown takes the types of the language and of the standard library that are values of t by themselves.
func (t Type) appendKnown(dst []byte, v any, o Options) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return t.appendText(dst, v, o)
	case []byte:
		if v == nil {
			return nil, errNull
		}
		return t.appendBytes(dst, v, o)
	}
	if t.isJSON() {
		return nil, errType // marshalled, but later: methods go first
	}
	switch v := v.(type) {
	case bool:
		if t == boolean {
			return appendBool(dst, v), nil
		}
	case int:
		return t.appendInt(dst, int64(v))
	case int8:
		return t.appendInt(dst, int64(v))
	case int16:
		return t.appendInt(dst, int64(v))
	case int32:
		return t.appendInt(dst, int64(v))
	case int64:
		return t.appendInt(dst, v)
	case uint:
		return t.appendUint(dst, uint64(v))
	case uint8:
		return t.appendUint(dst, uint64(v))
	case uint16:
		return t.appendUint(dst, uint64(v))
	case uint32:
		return t.appendUint(dst, uint64(v))
	case uint64:
		return t.appendUint(dst, v)
	case float32:
		return t.appendFloat(dst, float64(v))
	case float64:
		return t.appendFloat(dst, v)
	case *big.Int:
		if v == nil {
			return nil, errNull
		}
		return t.appendBig(dst, v, 0, o)
	case time.Time:
		return t.appendTime(dst, v)
	case time.Duration:
		if t == interval {
			return appendSpan(dst, span{micros: v.Microseconds()}), nil
		}
	case [16]byte:
		if t == uuid {
			return appendUUID(dst, v), nil
		}
	case netip.Addr:
		return t.appendAddr(dst, v)
	case netip.Prefix:
		return t.appendPrefix(dst, v)
	case net.IP:
		return t.appendIP(dst, v)
	case net.IPNet:
		return t.appendIPNet(dst, v)
	case net.HardwareAddr:
		return t.appendMAC(dst, v)
	}
	return nil, errType
}

// appendText reads s as PostgreSQL's input for the type does, in its plain form.
func (t Type) appendText(dst []byte, s string, o Options) ([]byte, error) {
	switch t {
	case bytea:
		return appendEscaped(dst, s)
	case boolean:
		b, err := parseBool(s)
		if err != nil {
			return nil, err
		}
		return appendBool(dst, b), nil
	case smallint, integer, bigint:
		n, err := t.parseInt(s)
		if err != nil {
			return nil, err
		}
		return strconv.AppendInt(dst, n, 10), nil
	case float4, float8:
		f, err := t.parseFloat(s)
		if err != nil {
			return nil, err
		}
		return t.appendFloat(dst, f)
	case numeric:
		return appendDecimalText(dst, s, o.Deterministic)
	case date, timestamp, timestamptz:
		m, err := t.parseMoment(s)
		if err != nil {
			return nil, err
		}
		return t.appendMoment(dst, m), nil
	case timeOfDay, timetz:
		c, err := t.parseClock(s)
		if err != nil {
			return nil, err
		}
		return t.appendClock(dst, c), nil
	case interval:
		i, err := parseSpan(s)
		if err != nil {
			return nil, err
		}
		return appendSpan(dst, i), nil
	case uuid:
		id, err := parseUUID(s)
		if err != nil {
			return nil, err
		}
		return appendUUID(dst, id), nil
	case inet, cidr:
		p, err := parsePrefix(s)
		if err != nil {
			return nil, err
		}
		return t.appendPrefix(dst, p)
	case macaddr:
		mac, err := net.ParseMAC(s)
		if err != nil {
			return nil, errText
		}
		return t.appendMAC(dst, mac)
	case jsonType, jsonb:
		return t.appendJSON(dst, s)
	}
	return appendChars(dst, s, o.Fold)
}

// appendBytes takes b for a text, for bytea and uuid also for the bytes themselves.
func (t Type) appendBytes(dst, b []byte, o Options) ([]byte, error) {
	switch {
	case t.Folds():
		return appendChars(dst, b, o.Fold)
	case t == bytea:
		return append(dst, b...), nil
	case t == uuid && len(b) == 16:
		return appendUUID(dst, [16]byte(b)), nil
	}
	return t.appendText(dst, string(b), o)
}

// appendPgtype takes what has the interface of pgtype that belongs to t. For numbers pgx has several, and a Valuer's own value
// goes before those that would lose something.
func (t Type) appendPgtype(dst []byte, v any, valuer bool, o Options) ([]byte, error) {
	switch t {
	case bytea:
		if p, ok := v.(pgtype.BytesValuer); ok {
			b, err := p.BytesValue()
			switch {
			case err != nil:
				return nil, callError(v, "BytesValue", err)
			case b == nil:
				return nil, errNull
			}
			return append(dst, b...), nil
		}
	case boolean:
		if p, ok := v.(pgtype.BoolValuer); ok {
			b, err := p.BoolValue()
			if err := pgtypeError(v, "BoolValue", b.Valid, err); err != nil {
				return nil, err
			}
			return appendBool(dst, b.Bool), nil
		}
	case smallint, integer, bigint, float4, float8, numeric:
		return t.appendPgNumber(dst, v, valuer, o)
	case date:
		if p, ok := v.(pgtype.DateValuer); ok {
			d, err := p.DateValue()
			if err := pgtypeError(v, "DateValue", d.Valid, err); err != nil {
				return nil, err
			}
			return t.appendPgTime(dst, d.Time, d.InfinityModifier)
		}
	case timestamp:
		if p, ok := v.(pgtype.TimestampValuer); ok {
			ts, err := p.TimestampValue()
			if err := pgtypeError(v, "TimestampValue", ts.Valid, err); err != nil {
				return nil, err
			}
			return t.appendPgTime(dst, ts.Time, ts.InfinityModifier)
		}
	case timestamptz:
		if p, ok := v.(pgtype.TimestamptzValuer); ok {
			ts, err := p.TimestamptzValue()
			if err := pgtypeError(v, "TimestamptzValue", ts.Valid, err); err != nil {
				return nil, err
			}
			return t.appendPgTime(dst, ts.Time, ts.InfinityModifier)
		}
	case timeOfDay:
		if p, ok := v.(pgtype.TimeValuer); ok {
			c, err := p.TimeValue()
			if err := pgtypeError(v, "TimeValue", c.Valid, err); err != nil {
				return nil, err
			}
			if c.Microseconds < 0 || c.Microseconds > microsPerDay {
				return nil, errRange
			}
			return t.appendClock(dst, clock{micros: c.Microseconds}), nil
		}
	case interval:
		if p, ok := v.(pgtype.IntervalValuer); ok {
			i, err := p.IntervalValue()
			if err := pgtypeError(v, "IntervalValue", i.Valid, err); err != nil {
				return nil, err
			}
			return appendSpan(dst, span{i.Months, i.Days, i.Microseconds}), nil
		}
	case uuid:
		if p, ok := v.(pgtype.UUIDValuer); ok {
			id, err := p.UUIDValue()
			if err := pgtypeError(v, "UUIDValue", id.Valid, err); err != nil {
				return nil, err
			}
			return appendUUID(dst, id.Bytes), nil
		}
	case inet, cidr:
		if p, ok := v.(pgtype.NetipPrefixValuer); ok {
			prefix, err := p.NetipPrefixValue()
			if err != nil {
				return nil, callError(v, "NetipPrefixValue", err)
			}
			return t.appendPrefix(dst, prefix)
		}
	}
	return nil, errType
}

func (t Type) appendPgNumber(dst []byte, v any, valuer bool, o Options) ([]byte, error) {
	if p, ok := v.(pgtype.NumericValuer); ok {
		n, err := p.NumericValue()
		if err := pgtypeError(v, "NumericValue", n.Valid, err); err != nil {
			return nil, err
		}
		return t.appendPgNumeric(dst, n, o)
	}
	if valuer {
		return nil, errType
	}
	if p, ok := v.(pgtype.Float64Valuer); ok {
		f, err := p.Float64Value()
		if err := pgtypeError(v, "Float64Value", f.Valid, err); err != nil {
			return nil, err
		}
		return t.appendFloat(dst, f.Float64)
	}
	if p, ok := v.(pgtype.Int64Valuer); ok {
		n, err := p.Int64Value()
		if err := pgtypeError(v, "Int64Value", n.Valid, err); err != nil {
			return nil, err
		}
		return t.appendInt(dst, n.Int64)
	}
	return nil, errType
}

// pgtypeError is why there is no value: an error of the method's, or NULL.
func pgtypeError(v any, method string, valid bool, err error) error {
	switch {
	case err != nil:
		return callError(v, method, err)
	case !valid:
		return errNull
	}
	return nil
}
