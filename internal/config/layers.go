package config

import (
	"reflect"
	"slices"
	"strings"
)

// fiberLB takes the variables that the FiberLB pod sets, without our prefix.
func (r *report) fiberLB(file map[string]any, env []string) layer {
	l := layer{}
	for _, s := range settings(reflect.TypeFor[document]()) {
		name := strings.TrimPrefix(s.variable(), "VIPD_")
		switch name {
		case "BGP_GOBGP_ADDRESS", "BGP_LOCAL_AS", "BGP_ROUTER_ID":
			if value, ok := lookup(env, name); ok {
				r.put(l, file, s, value, "environment: "+name)
			}
		}
	}
	return l
}

// environment takes the variables VIPD_…. Names are computed from the schema,
// never taken apart: keys have underscores of their own.
func (r *report) environment(file map[string]any, env []string) layer {
	l := layer{}
	known := map[string]setting{}
	var names []string
	for _, s := range settings(reflect.TypeFor[document]()) {
		known[s.variable()] = s
		names = append(names, s.variable())
	}
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		s, ok := known[name]
		switch {
		case ok:
			r.put(l, file, s, value, "environment: "+name)
		case strings.HasPrefix(name, "VIPD_") && !foreign(name, value):
			r.problems = append(r.problems, Problem{Pos: Pos{Source: "environment: " + name},
				Text: "unknown variable" + suggest(name, names)})
		}
	}
	return l
}

// foreign tells variables that are not the configuration's: the one that makes
// tests strict, and those that Kubernetes gives every pod in the namespace of
// a service called vipd or vipd-something.
func foreign(name, value string) bool {
	last := name[strings.LastIndexByte(name, '_')+1:]
	address := slices.ContainsFunc([]string{"tcp://", "udp://", "sctp://"}, func(scheme string) bool {
		return strings.HasPrefix(value, scheme)
	})
	return name == "VIPD_REQUIRE" || strings.HasSuffix(name, "_SERVICE_HOST") || strings.Contains(name+"_", "_SERVICE_PORT_") ||
		address || strings.Contains(name, "_PORT_") && slices.Contains([]string{"PROTO", "PORT", "ADDR"}, last)
}

// flags takes path=value.
func (r *report) flags(file map[string]any, set []string) layer {
	l := layer{}
	all := settings(reflect.TypeFor[document]())
	var paths []string
	for _, s := range all {
		paths = append(paths, s.path)
	}
	for _, arg := range set {
		path, value, ok := strings.Cut(arg, "=")
		i := slices.Index(paths, path)
		text := ""
		switch {
		case !ok:
			text = "no value (write path=value)"
		case i >= 0:
			r.put(l, file, all[i], value, "--set "+path)
		case inFileOnly(path):
			text = "can't be set here (vips, checks, hooks, bgp.neighbors, bfd.profiles and bfd.sessions belong into the file)"
		default:
			text = "unknown key" + suggest(path, paths)
		}
		if text != "" {
			r.problems = append(r.problems, Problem{Pos: Pos{Source: "--set " + path}, Path: path, Text: text})
		}
	}
	return l
}

func inFileOnly(path string) bool {
	return slices.ContainsFunc([]string{"vips", "checks", "hooks", "bgp.neighbors", "bfd.profiles", "bfd.sessions"}, func(list string) bool {
		rest, ok := strings.CutPrefix(path, list)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// put sets one value in l. Where the file has something else than a section on
// the way, that is left for the decoder to refuse: merging would hide it.
func (r *report) put(l layer, file map[string]any, s setting, text, source string) {
	at := map[string]any(l)
	for _, key := range s.keys[:len(s.keys)-1] {
		below, isMap := file[key].(map[string]any)
		if !isMap && file[key] != nil {
			return
		}
		file = below
		sub, _ := at[key].(map[string]any)
		if sub == nil {
			sub = map[string]any{}
			at[key] = sub
		}
		at = sub
	}
	value := fromText(text, s.typ)
	at[s.keys[len(s.keys)-1]] = value
	here := place{value: Pos{Source: source}}
	r.places[s.path] = here
	if list, ok := value.([]any); ok {
		for i := range list {
			r.places[item(s.path, i)] = here
		}
	}
}

func lookup(env []string, name string) (value string, ok bool) {
	for _, line := range env {
		if n, v, _ := strings.Cut(line, "="); n == name {
			value, ok = v, true
		}
	}
	return value, ok
}
