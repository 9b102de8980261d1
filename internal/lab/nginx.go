package lab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Nginx starts a web server under a label that answers every request on the
// given addresses with the host's name.
func (h *Host) Nginx(label string, at ...netip.AddrPort) *Process {
	h.lab.Helper()
	dir := filepath.Join(h.dir, label)
	h.lab.must(os.MkdirAll(dir, 0o755))
	var listen strings.Builder
	for _, a := range at {
		fmt.Fprintf(&listen, "    listen %s backlog=1024;\n", a)
	}
	// One process, so that a signal to it is a signal to all of it.
	conf := h.write(filepath.Join(label, "nginx.conf"), fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path %[1]s;
  proxy_temp_path %[1]s;
  fastcgi_temp_path %[1]s;
  uwsgi_temp_path %[1]s;
  scgi_temp_path %[1]s;
  server {
%[2]s    location / { return 200 %[3]q; }
  }
}
`, dir, &listen, h.Name))
	p := h.Start(label, "nginx", "-p", dir, "-c", conf, "-e", "stderr")
	for _, a := range at {
		h.Listens(a.String())
	}
	return p
}
