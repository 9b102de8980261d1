package check

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fiberlb/vipd/healthloop"
)

// serverEnv makes the test binary a server for the benchmarks: in another
// process, so that getrusage tells what the probes alone cost.
const serverEnv = "VIPD_CHECK_TEST_SERVER"

const benchAnswer = "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n" +
	"Content-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"

// serveBenchmarks answers on all of 127.0.0.0/8, tcp and http, until its
// standard input ends.
func serveBenchmarks() int {
	quiet := net.ListenConfig{KeepAlive: -1}
	l, err := quiet.Listen(context.Background(), "tcp4", "0.0.0.0:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	go func() { // ends with the process
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerOnce(c)
		}
	}()
	_, _ = os.Stdin.Read(make([]byte, 1))
	return 0
}

func answerOnce(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 1024)
	if n, err := c.Read(buf); err != nil || n == 0 {
		return
	}
	_, _ = c.Write([]byte(benchAnswer))
}

// startServer gives the port of such a process.
func startServer(b *testing.B) string {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serverEnv+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
		b.Logf("the server took %s of CPU", cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func benchmarkProbe(b *testing.B, p healthloop.Prober) {
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := p.Probe(ctx); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
}

func BenchmarkTCPProbe(b *testing.B) {
	benchmarkProbe(b, newProber(b, "tcp", Spec{Address: "127.0.0.1:" + startServer(b)}))
}

func BenchmarkHTTPProbe(b *testing.B) {
	benchmarkProbe(b, newProber(b, "http", Spec{Address: "127.0.0.1:" + startServer(b), Path: "/healthz"}))
}

// The server is in this process, and its half of the handshake is counted.
func BenchmarkHTTPSProbe(b *testing.B) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	config := s.Client().Transport.(*http.Transport).TLSClientConfig
	benchmarkProbe(b, newProber(b, "https", Spec{
		Address: s.Listener.Addr().String(), TLS: config, ExpectStatus: []StatusRange{{404, 404}},
	}))
}

// One op is one second of 10,000 backends that are each asked once per second.
func BenchmarkTenThousandTargets(b *testing.B) {
	for _, kind := range []string{"tcp", "http"} {
		b.Run(kind, func(b *testing.B) { benchmarkFleet(b, kind, 10_000) })
	}
}

func benchmarkFleet(b *testing.B, kind string, targets int) {
	port := startServer(b)
	pool := NewPool()
	fleet := make([]healthloop.Prober, targets)
	for i := range fleet {
		address := fmt.Sprintf("127.1.%d.%d:%s", i/250, i%250+1, port)
		fleet[i] = newProber(b, kind, Spec{Address: address, Pool: pool})
	}
	var failed atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	start, before := time.Now(), cpuTime()
	for i, p := range fleet {
		first := start.Add(time.Duration(i) * time.Second / time.Duration(targets))
		all.Go(func() { // ends after b.N probes
			for n := range b.N {
				<-time.After(time.Until(first.Add(time.Duration(n) * time.Second)))
				ctx, cancel := context.WithTimeout(context.Background(), 900*time.Millisecond)
				if err := p.Probe(ctx); err != nil && failed.Add(1)%5000 == 1 {
					b.Log(err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	cpu, elapsed := cpuTime()-before, time.Since(start)
	b.ReportMetric(cpu.Seconds()/elapsed.Seconds(), "cores")
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N*targets), "cpu-µs/probe")
	b.ReportMetric(float64(failed.Load()), "failed")
}
