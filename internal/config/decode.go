package config

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A decoder fills the structs of the schema from plain values. Unlike
// mapstructure it converts nothing weakly, forgets no key, and knows the path
// of what is wrong.
type decoder struct {
	*report
	known map[reflect.Type][]field
}

func newDecoder(r *report) decoder { return decoder{r, map[reflect.Type][]field{}} }

// section fills the struct out from in, which is a map or nil.
func (d *decoder) section(path string, in any, out reflect.Value) {
	m, ok := in.(map[string]any)
	if !ok && in != nil {
		d.errorf(path, "is %s (write a section of keys)", shown(in))
		return
	}
	list := d.fields(out.Type())
	for key := range m {
		if !slices.ContainsFunc(list, func(f field) bool { return f.key == key && !f.reserved() }) {
			d.unknown(join(path, key), key, list)
		}
	}
	for _, f := range list {
		if f.reserved() {
			continue
		}
		v, there := m[f.key]
		d.field(f, join(path, f.key), v, there, out.FieldByIndex(f.index))
	}
}

func (d *decoder) fields(t reflect.Type) []field {
	list, ok := d.known[t]
	if !ok {
		list = fields(t)
		d.known[t] = list
	}
	return list
}

// isSection is the function of that name, without looking at a type twice.
func (d *decoder) isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && len(d.fields(t)) > 0
}

func (d *decoder) unknown(path, key string, list []field) {
	var keys []string
	for _, f := range list {
		switch {
		case !f.reserved():
			keys = append(keys, f.key)
		case f.key == key:
			d.keyErrorf(path, "unknown key: not supported by this version (remove it)")
			return
		}
	}
	d.keyErrorf(path, "unknown key%s", suggest(key, keys))
}

// field gives a key its value or its default.
func (d *decoder) field(f field, path string, v any, there bool, out reflect.Value) {
	text := f.tag.Get("default")
	there = there && !(v == nil && d.isContainer(f.typ))
	switch {
	case there && v == nil:
		d.errorf(path, "has no value (%s)", cmp.Or(f.tag.Get("need"), "leave the key out for the default"))
	case there:
		d.value(f, path, v, out)
	case f.tag.Get("need") != "":
		d.errorf(path, "is missing (%s)", f.tag.Get("need"))
	case text != "":
		d.value(f, path, fromText(text, f.typ), out)
	case d.isSection(f.typ):
		d.section(path, nil, out) // for the defaults within it
	}
}

// isContainer tells what may be written empty: the key of a section or list
// whose content is commented out.
func (d *decoder) isContainer(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Slice || t.Kind() == reflect.Map || d.isSection(t)
}

func (d *decoder) value(f field, path string, v any, out reflect.Value) {
	switch out.Kind() {
	case reflect.Pointer:
		d.pointer(f, path, v, out)
	case reflect.Slice:
		d.list(f, path, v, out)
	case reflect.Map:
		d.names(f, path, v, out)
	default:
		if d.isSection(out.Type()) {
			d.section(path, v, out)
		} else if wrong := scalar(f, v, out); wrong != "" {
			d.errorf(path, "%s", wrong)
		}
	}
}

func (d *decoder) pointer(f field, path string, v any, out reflect.Value) {
	_, isMap := v.(map[string]any)
	if switched := f.tag.Get("switch") != ""; switched && v == false {
		return
	} else if switched && v == true {
		v = nil
	} else if switched && !isMap {
		d.errorf(path, "is %s (write true, false or a section of keys)", shown(v))
		return
	}
	out.Set(reflect.New(out.Type().Elem()))
	d.value(f, path, v, out.Elem())
}

func (d *decoder) list(f field, path string, v any, out reflect.Value) {
	in, ok := v.([]any)
	if !ok && v != nil {
		d.errorf(path, "is %s (write a list)", f.shown(v))
		return
	}
	out.Set(reflect.MakeSlice(out.Type(), len(in), len(in)))
	for i := range in {
		d.value(f, item(path, i), in[i], out.Index(i))
	}
}

func (d *decoder) names(f field, path string, v any, out reflect.Value) {
	in, ok := v.(map[string]any)
	if !ok && v != nil {
		d.errorf(path, "is %s (write a section of keys)", f.shown(v))
		return
	}
	out.Set(reflect.MakeMap(out.Type()))
	for _, key := range slices.Sorted(maps.Keys(in)) {
		one := reflect.New(out.Type().Elem()).Elem()
		d.value(f, join(path, key), in[key], one)
		out.SetMapIndex(reflect.ValueOf(key), one)
	}
}

// A reader is a scalar of the schema that reads itself; what it returns is
// what is wrong and what would be right.
type reader interface{ read(v any) (wrong string) }

// scalar sets out, or tells what is wrong.
func scalar(f field, v any, out reflect.Value) string {
	switch p := out.Addr().Interface().(type) {
	case reader:
		return p.read(v)
	case *netip.Addr:
		return readAddr(f, v, p)
	case *netip.Prefix:
		return readPrefix(v, p)
	case *time.Duration:
		return readDuration(f, v, p)
	}
	switch out.Kind() {
	case reflect.Bool:
		b, ok := v.(bool)
		if !ok {
			return fmt.Sprintf("is %s (write true or false)", shown(v))
		}
		out.SetBool(b)
	case reflect.String:
		return readString(f, v, out)
	default:
		return readInt(f, v, out)
	}
	return ""
}

func readString(f field, v any, out reflect.Value) string {
	s, ok := v.(string)
	words := strings.Fields(f.tag.Get("oneof"))
	switch {
	case !ok && len(words) == 0:
		return fmt.Sprintf("is %s (write text, in quotes)", f.shown(v))
	case len(words) > 0 && !slices.Contains(words, s):
		return fmt.Sprintf("is %s (write %s)", shown(v), oneOf(words))
	}
	out.SetString(s)
	return ""
}

func readInt(f field, v any, out reflect.Value) string {
	low, high, _ := strings.Cut(f.tag.Get("range"), "..")
	least, _ := strconv.ParseInt(low, 10, 64) // the schema's tests read each range
	most, _ := strconv.ParseInt(high, 10, 64)
	n, ok := v.(int64)
	if !ok || n < least || n > most {
		return fmt.Sprintf("is %s (write a whole number in %d..%d)", shown(v), least, most)
	}
	if out.CanInt() {
		out.SetInt(n)
	} else {
		out.SetUint(uint64(n)) // ranges of unsigned fields begin at 0 or above
	}
	return ""
}

func readDuration(f field, v any, out *time.Duration) string {
	low, high, _ := strings.Cut(f.tag.Get("range"), "..")
	least, _ := time.ParseDuration(low)
	most, _ := time.ParseDuration(high)
	switch n := v.(type) {
	case int64:
		return fmt.Sprintf("is %d, without a unit (write %dms or %ds)", n, n, n)
	case string:
		got, err := time.ParseDuration(n)
		if err == nil && got >= least && got <= most {
			*out = got
			return ""
		}
	}
	return fmt.Sprintf("is %s (write a duration in %s..%s%s)", shown(v), low, high, f.tag.Get("note"))
}

// fromText is for defaults, environment and flags, where all values are text:
// it gives text the type that a file's syntax would. What can't have it stays
// text, for the decoder to refuse.
func fromText(text string, t reflect.Type) any {
	if t.Kind() == reflect.Slice {
		list := []any{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, fromText(part, t.Elem()))
			}
		}
		return list
	}
	switch t.Kind() {
	case reflect.String:
		return text
	case reflect.Bool:
		if text == "true" || text == "false" {
			return text == "true"
		}
	default:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	}
	return text
}

// shown is the function of that name, for a setting that may hold a secret.
func (f field) shown(v any) string {
	if f.tag.Get("hidden") == "" {
		return shown(v)
	}
	switch v.(type) {
	case string:
		return "text"
	case int64, float64:
		return "a number"
	}
	return shown(v)
}

// shown names a value of a file in a message.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "empty"
	case string:
		if runes := []rune(v); len(runes) > 60 {
			return strconv.Quote(string(runes[:60])) + "…"
		}
		return strconv.Quote(v)
	case bool, int64:
		return fmt.Sprint(v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', 1, 64)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case map[string]any:
		return "a section of keys"
	case []any:
		return "a list"
	}
	return "a date or time"
}

// oneOf lists words for a message: a, b or c.
func oneOf(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
