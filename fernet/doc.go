// Package fernet makes and reads Fernet tokens: values encrypted with AES-128-CBC and signed with
// HMAC-SHA256, as text of A-Z, a-z, 0-9, - and _. The format is version 0x80 of the [Fernet spec]
// and nothing else, so every other Fernet library reads what this one writes, and the other way
// round.
//
// # Keys and rings
//
// [GenerateKey] makes a key, [Key.Encode] gives its text for a secret store. A [Keyring] holds one
// or more keys: the first encrypts, all decrypt.
//
//	ring, err := fernet.EnvKeyring("PGANON_KEYS") // newest first, separated by commas
//	token := ring.Encrypt([]byte("alice@example.org"))
//	plaintext, err := ring.Decrypt(token)
//
// Decryption has one error, [ErrInvalidToken], whatever is wrong. It sets no limit to a token's
// age; [Keyring.DecryptWithTTL] does. The append variants reuse the caller's memory and allocate
// nothing.
//
// To change keys: put a new one first in the ring of every process that reads, pass what is stored
// through [Keyring.Rotate], and take the old key away when nothing needs it. [KeyFile] reads its
// file again when that changes, so no restart is needed. Keys in a KMS or in Vault come in through
// the one method of [KeySource].
//
// # Columns
//
// A plain token says nothing about where it belongs: copied into another row or column, it still
// decrypts. [Keyring.Derive] gives a column keys of its own, and a token that is moved to another
// column no longer decrypts.
//
//	column, err := ring.Derive("app.users.email")
//	id := column.KeyIDs()[0]
//	token, err := column.Encrypt([]byte("alice@example.org"), fernet.Random, id)
//
// With [Deterministic] in place of [Random], equal values have equal tokens: a database can compare,
// join and hold them unique, and whoever sees them sees which are equal. There the key is chosen by
// its id, since equality holds under one key only: new values go under one recorded id in all
// processes, and a search asks for one token per id that can occur.
//
// In place of the time, which a column does not need, its tokens carry mode and key id. So they
// begin with gAAAAAAA (deterministic) or gAAAAAAB (random), followed by the id's four characters,
// and a CHECK in SQL can hold a column to them.
//
// The keys of a column are derived by HKDF-SHA256 ([RFC 5869]) from each key of the ring. With
// prk = Extract("pganon/v1", key) the key id is Expand(prk, "keyid", 3), and the column's keys are
// the 64 bytes of Expand(prk, "column" ‖ length of label as 32 bits ‖ label ‖ 0x00): 16 that sign,
// 16 that encrypt, 32 that make the IV of deterministic tokens, the first 16 bytes of
// HMAC-SHA256(key, plaintext). In the token's eight bytes of time stand four of zero, one of mode (0
// deterministic, 1 random) and the key id.
//
// # Coming from Django
//
// [DjangoFernetFields] and [DjangoFernetEncryptedFields] make the rings of the two libraries of these
// names from the application's settings. A column's [ColumnKeys.Decrypt] reads their tokens too, and
// [ColumnKeys.Rotate] makes the column's own of them.
//
// # What it does not do
//
// A token shows the length of its value, to 16 bytes, and a plain one shows when it was made.
// Deterministic tokens of few possible values can be guessed by counting. Keys stay in memory as
// long as their ring does; they print as [REDACTED] everywhere, but a dump of memory has them.
//
// [Fernet spec]: https://github.com/fernet/spec/blob/master/Spec.md
// [RFC 5869]: https://www.rfc-editor.org/rfc/rfc5869
package fernet
