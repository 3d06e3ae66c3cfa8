// Package canon turns the values that programs give to database/sql into the one plaintext that is encrypted for them, and a
// plaintext back into what database/sql gets.
//
// # The one form
//
// The plaintext of v under type T is the text that PostgreSQL, with DateStyle ISO and TimeZone UTC, gives for v in a column of
// type T after plain pgx has stored it there; the bytes themselves where T is bytea, true and false where it is bool. So a plaintext
// is what a cast to T takes, what pgtype scans as T in text format, and what a program sees does not change when a column
// becomes an encrypted one. It does not depend on locale, DateStyle, TimeZone or the machine's zone. Floats have the fewest digits
// that are read as the same number, where PostgreSQL now and then writes one more.
//
// For a [Type] that [Type.Deterministic] allows, values that PostgreSQL calls equal have the same plaintext, given
// [Options].Deterministic: it takes a numeric's trailing zeros away.
//
// # From Go
//
// NULL is nil, every typed nil that pgx takes for NULL, a driver.Valuer that gives nil, and pgtype's and netip's values that are
// not valid. The empty string, 0 and false are values.
//
// A value is taken as pgx takes it: by the interface of pgtype that belongs to the type, by driver.Valuer, through pointers, by
// its own type, by its underlying type. pgtype is imported for those interfaces and for its arrays: there is no other way to see
// them. Nanoseconds are cut to microseconds, a date and a timestamp are read from the clock of the time's own zone.
//
// A string is what PostgreSQL's input would make of it, as long as it has the plain form: dates and times in ISO 8601 as PostgreSQL
// or RFC 3339 write them, UUIDs with or without dashes and braces, numbers with or without exponent, bytea as \x and hex digits or in
// the escape format. A []byte is the same text, for bytea the bytes, for uuid also the 16 bytes; it is never written as hex.
//
// What pgx and PostgreSQL take and this package refuses, since something would be lost or guessed:
//
//   - a type that only has a String method;
//   - a timestamptz text without a zone, or with a zone's name; a timestamp, time or date text with one; a date text with a time;
//   - words like now and today, dates in other orders, intervals in other words than PostgreSQL's own;
//   - a float with a fraction for an integer, a float out of float4's range;
//   - a net.IPNet whose mask does not fit its address.
//
// # Errors
//
// Errors say what is wanted and which Go type came; never a value. What a Value method itself says may hold one: see [CallError].
package canon
