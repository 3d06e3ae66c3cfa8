package redact

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxText = 1 << 16 // bytes of a string that are looked at, and kept

// sensitive are the names that are starred, as their words.
var sensitive = func() []string {
	var all []string
	for _, name := range strings.Fields(`password passwd pwd passphrase passcode secret token authorization api_key apikey access_key
		private_key secret_key signing_key encryption_key credential credentials cookie set_cookie session_id sessionid csrf csrftoken
		xsrf jwt dsn database_url connection_string conn_string cvv cvc card_number creditcard credit_card ssn otp bearer`) {
		all = append(all, words(name))
	}
	return all
}()

// words returns the words of a name, "userPassword", "user-password" and "USER_PASSWORD" alike, each with a space before and behind it.
func words(name string) string {
	var b strings.Builder
	b.WriteByte(' ')
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			r = ' '
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1]) ||
			unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	b.WriteByte(' ')
	return strings.Join(strings.Fields(b.String()), " ")
}

// names finds sensitive names.
type names struct{ more []string }

func newNames(more []string) names {
	var n names
	for _, name := range more {
		if w := words(name); w != "" {
			n.more = append(n.more, w)
		}
	}
	return n
}

func (n names) match(name string) bool {
	if name == "" {
		return false
	}
	if len(name) > 1024 {
		return true
	}
	in := " " + words(name) + " "
	for _, list := range [2][]string{sensitive, n.more} {
		for _, w := range list {
			if strings.Contains(in, " "+w+" ") {
				return true
			}
		}
	}
	return false
}

var (
	pemForm    = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]{1,64}-----.*?(?:-----END [A-Z0-9 ]{1,64}-----|\z)`)
	urlForm    = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s:/@]*:)[^\s]*@`)
	pairForm   = regexp.MustCompile(`(?i)((?:password|passwd|pwd|passphrase|secret|token|api_?key)["']?\s*=\s*)(?:'(?:[^'\\]|\\.)*(?:'|\z)|"(?:[^"\\]|\\.)*(?:"|\z)|[^\s&;,]+)`)
	bearerForm = regexp.MustCompile(`(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9+/._~=-]{8,}`)
	jwtForm    = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){0,2}`)
	tokenForm  = regexp.MustCompile(`[A-Za-z0-9_-]{98,}={0,2}`)
)

// shapes returns text with the secrets that are known by their shape replaced by what star gives for them.
func shapes(text string, star func(string) string) string {
	if len(text) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + gone
	}
	if strings.Contains(text, "-----BEGIN ") {
		text = pemForm.ReplaceAllStringFunc(text, star)
	}
	if strings.Contains(text, "://") {
		text = urlForm.ReplaceAllString(text, "${1}"+stars+"@")
	}
	if strings.IndexByte(text, '=') >= 0 {
		text = pairForm.ReplaceAllString(text, "${1}"+stars)
	}
	if strings.Contains(text, "eyJ") {
		text = jwtForm.ReplaceAllStringFunc(text, star)
	}
	if len(text) >= 98 {
		text = tokenForm.ReplaceAllStringFunc(text, func(run string) string {
			if at := fernet(run); at >= 0 {
				return run[:at] + star(run[at:])
			}
			return run
		})
	}
	if len(text) > 12 {
		text = bearerForm.ReplaceAllString(text, "${1}"+stars)
		text = cards(text, star)
	}
	return text
}

// fernet returns where a Fernet token may begin in run and reach to its end, or -1: version 0x80, a time field, an IV, one or
// more blocks and an HMAC, in base64url. Not decoded: a damaged token is no less a secret.
func fernet(run string) int {
	n := len(strings.TrimRight(run, "="))
	for i := 0; i+98 <= n; i++ {
		if run[i] != 'g' || run[i+1] < 'A' || run[i+1] > 'P' {
			continue
		}
		size := n - i
		if decoded := size * 3 / 4; size%4 != 1 && decoded >= 73 && (decoded-57)%16 == 0 || strings.HasPrefix(run[i:], "gAAAAA") {
			return i
		}
	}
	return -1
}

// cards stars the numbers of payment cards, with spaces and dashes in them too.
func cards(text string, star func(string) string) string {
	isSeparator := func(c byte) bool { return c == ' ' || c == '-' }
	var b strings.Builder
	last := 0
	for i := 0; i < len(text); i++ {
		if text[i] < '0' || text[i] > '9' || i > 0 && text[i-1] >= '0' && text[i-1] <= '9' {
			continue
		}
		digits := make([]byte, 0, 19)
		end := 0
		for j := i; j < len(text) && len(digits) <= 19; j++ {
			c := text[j]
			switch {
			case c >= '0' && c <= '9':
				digits = append(digits, c)
				if wordEnd := j+1 == len(text) || text[j+1] < '0' || text[j+1] > '9'; wordEnd && isCard(digits) {
					end = j + 1
				}
				continue
			case isSeparator(c) && j+1 < len(text) && text[j+1] >= '0' && text[j+1] <= '9':
				continue
			}
			break
		}
		if end > 0 {
			b.WriteString(text[last:i])
			b.WriteString(star(text[i:end]))
			last, i = end, end-1
		}
	}
	if last == 0 {
		return text
	}
	return b.String() + text[last:]
}

// isCard says whether digits have an issuer's prefix, a card's length and Luhn's check digit (ISO/IEC 7812-1).
func isCard(digits []byte) bool {
	n := len(digits)
	if n < 13 || n > 19 || digits[0] < '2' || digits[0] > '6' {
		return false
	}
	sum := 0
	for i, c := range digits {
		d := int(c - '0')
		if (n-i)%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
