package pganontest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A conversation is written as it happens: the client's messages after ">", the server's after "<".
func TestTrips(t *testing.T) {
	for name, c := range map[string]struct {
		conversation string
		want         int
	}{
		"simple query":                       {">Q <TDDCZ", 1},
		"two simple queries":                 {">Q <TDCZ >Q <TDCZ", 2},
		"extended, described first":          {">PDS <1tTZ >BES <2DDCZ", 2},
		"extended in one":                    {">PBDES <12TDCZ", 1},
		"extended in pieces":                 {">P >B >D >E >S <12TDCZ", 1},
		"two syncs at once":                  {">PDSBES <1tTZ2DCZ", 1},
		"second sync before the first ready": {">BES >BES <2CZ2CZ", 1},
		"sync answered, then more":           {">BES <2CZ >BES <2CZ", 2},
		"query within a pipeline":            {">BESQ <2CZTDCZ", 1},
		"flush":                              {">PDH <1tT >BES <2DCZ", 2},
		"flush, answered in part":            {">PDH <1t >BES <T2DCZ", 1},
		"flush and sync at once":             {">PDHBES <1tT2DCZ", 1},
		"flush of nothing":                   {">H >BES <2CZ", 1},
		"sync, then flush":                   {">BESH <2CZ >BES <2CZ", 2},
		"suspended portal and flush":         {">BEH <2DDs >EH <DDC >S <Z", 3},
		"error":                              {">BES <EZ >BES <2CZ", 2},
		"error in the first of two":          {">BESBES <EZ2CZ", 1},
		"error, then the rest up to sync":    {">PBDEPBDES <1EZ >Q <CZ", 2},
		"error ends a flush":                 {">PH <E >BES <Z", 2},
		"error at sync":                      {">BES <2CEZ >BES <2CZ", 2},
		"error in a simple query":            {">Q <TDEZ >Q <CZ", 2},
		"unanswered without sync":            {">P <1 >B <2 >S <Z", 1},
		"copy in":                            {">Q <G >dddc <CZ", 1},
		"copy out":                           {">Q <HdddcCZ", 1},
		"function call":                      {">F <VZ >F <VZ", 2},
		"several results in a simple query":  {">Q <TDCTDCIZ", 1},
		"notices and notifications":          {">Q <NTDCZ <A <S >Q <CZ", 2},
		"terminate":                          {">Q <CZ >X", 1},
		"not ready yet":                      {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			trips := trips{}
			assert.False(t, trips.client('p', false), "a password is no round trip")
			assert.False(t, trips.server('R'))
			assert.False(t, trips.server('Z'))
			got := 0
			client := false
			for _, kind := range []byte(c.conversation) {
				switch {
				case kind == '>' || kind == '<':
					client = kind == '>'
				case kind == ' ':
				case client:
					if trips.client(kind, false) {
						got++
					}
				default:
					trips.server(kind)
				}
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestTripsEarly(t *testing.T) {
	ready := func() *trips { return &trips{ready: true} }
	early := ready()
	assert.False(t, early.client('B', true), "sent before the last answer came")
	assert.False(t, early.client('E', true))
	assert.False(t, early.client('S', true))
	assert.False(t, early.client('B', false), "the early Sync is owed an answer")
	assert.False(t, early.client('S', false))
	early.server('2')
	early.server('C')
	assert.False(t, early.server('Z'), "one more is owed")
	early.server('2')
	assert.True(t, early.server('Z'))
	assert.True(t, early.client('Q', false))

	unanswered := ready()
	assert.False(t, unanswered.client('P', true))
	assert.True(t, unanswered.client('B', false), "nothing was owed")
}
