package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var assets embed.FS

// templates parses what is embedded, which the tests have seen.
func templates() *template.Template {
	return template.Must(template.ParseFS(assets, "assets/*.html"))
}

// files serves the embedded files. Browsers ask each time whether theirs is the
// present one, so that a new vipd is not shown by an old one's script.
func files() http.HandlerFunc {
	types := map[string]string{
		"style.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	}
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("file")
		kind, ok := types[name]
		content, err := assets.ReadFile(path.Join("assets", name))
		if !ok || err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Etag", `"`+digest(content)+`"`)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	}
}

// build names the embedded files, all of them: a page that was made with others
// has to be loaded anew.
func build() string {
	var all []byte
	for _, name := range []string{"style.css", "page.js"} {
		content, err := assets.ReadFile(path.Join("assets", name))
		if err != nil { // it is embedded
			return ""
		}
		all = append(all, content...)
	}
	return digest(all)
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}
