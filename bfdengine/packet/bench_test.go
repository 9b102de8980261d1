package packet

import "testing"

// Attackers choose how many packets there are: none may cost an allocation,
// refused or not.
func TestNothingAllocates(t *testing.T) {
	c, buf, datagram := speaking(), make([]byte, 0, MaxLen), good()
	none := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	none("Parse", func() { _, _ = Parse(datagram) })
	none("Parse of nonsense", func() { _, _ = Parse(datagram[:20]) })
	none("Append", func() { buf = c.Append(buf[:0]) })
	for _, kind := range kinds() {
		theirs, ours := auth(t, kind, 7), auth(t, kind, 0)
		none(kind.String()+" Sign", func() { buf, _ = theirs.Sign(c.Append(buf[:0]), noon) })
		signed := signed(t, theirs, good())
		parsed, _ := Parse(signed)
		none(kind.String()+" Verify", func() {
			ours.Forget()
			if ours.Verify(signed, parsed, noon) != None {
				t.Error("refused")
			}
		})
		signed[len(signed)-1] ^= 1
		none(kind.String()+" Verify of a forgery", func() {
			ours.Forget()
			if ours.Verify(signed, parsed, noon) != AuthBadDigest {
				t.Error("not refused")
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	datagram := good()
	for b.Loop() {
		if _, reason := Parse(datagram); reason != None {
			b.Fatal(reason)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	c, buf := speaking(), make([]byte, 0, MaxLen)
	for b.Loop() {
		buf = c.Append(buf[:0])
	}
}

func BenchmarkSign(b *testing.B) {
	for _, kind := range kinds() {
		b.Run(kind.String(), func(b *testing.B) {
			a, c, buf := auth(b, kind, 7), speaking(), make([]byte, 0, MaxLen)
			for b.Loop() {
				buf, _ = a.Sign(c.Append(buf[:0]), noon)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, kind := range kinds() {
		b.Run(kind.String(), func(b *testing.B) {
			ours, datagram := auth(b, kind, 0), signed(b, auth(b, kind, 7), good())
			c, _ := Parse(datagram)
			for b.Loop() {
				ours.Forget()
				if reason := ours.Verify(datagram, c, noon); reason != None {
					b.Fatal(reason)
				}
			}
		})
	}
}
