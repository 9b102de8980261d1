package web

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	tabs "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	vipdv1 "github.com/fiberlb/vipd/api/vipd/v1"
)

const (
	live = `document.getElementById("link").textContent === "Live"`
	// names are the VIPs that are listed, and state is what is said of web.
	names = `[...document.querySelectorAll(".toggle")].map(a => a.textContent).join(" ")`
	state = `document.querySelector("#vip-web .mark").textContent`
)

// The page in Chromium. One is started for all, since that is what takes long.
func TestInABrowser(t *testing.T) {
	b := browser(t)
	for name, test := range map[string]func(*testing.T, context.Context){
		"a failover is seen as it happens":             failover,
		"focus, scroll position and details stay":      staysPut,
		"all works by keyboard":                        keyboard,
		"all can be read in light and dark":            contrast,
		"a page without JavaScript":                    noScript,
		"10,000 VIPs":                                  tenThousand,
		"hostile names do nothing":                     hostileNames,
		"a server that goes away and comes back":       comesBack,
		"a page that is paused does not move":          pauses,
		"nothing moves for who wants it still":         motion,
		"the address and the page are always the same": history,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

func failover(t *testing.T, b context.Context) {
	board := showcase()
	p := open(t, b, serveBoard(t, board), width(1280))
	p.until(live)
	p.run(chromedp.Evaluate(`window.notLoadedAnew = true`, nil))
	p.until(state + ` === "advertised"`)
	began := time.Now()
	board.PutVIP(vip("web", "192.0.2.10/32", "withdrawn", "0 of 4 backends healthy, 1 needed", 0, 4))
	board.Note(&vipdv1.Event{Kind: "vip", Subject: "web", From: "advertised", To: "withdrawn", Reason: "0 of 4 backends healthy, 1 needed"})
	p.until(state + ` === "withdrawn"`)
	t.Logf("seen after %s", time.Since(began).Round(time.Millisecond))
	p.until(`document.querySelector("#vip-web").innerText.includes("0 of 4 backends healthy, 1 needed")`)
	p.until(`document.querySelector(".events li").innerText.includes("advertised → withdrawn")`)
	p.until(`document.querySelector("[aria-live]").textContent.startsWith("2 of 7 VIPs advertised, 4 withdrawn")`)
	board.RemoveVIP("dns")
	board.PutVIP(vip("early", "192.0.2.50/32", "advertised", "", 1, 1))
	p.until(names + ` === "api early mail new shop web web-6"`)
	p.until(`document.title.startsWith("lb-1: 3 of 7")`)
	p.until(`window.notLoadedAnew`)
}

func staysPut(t *testing.T, b context.Context) {
	board := crowd(t, 90)
	p := open(t, b, serveBoard(t, board), width(1280))
	p.until(live)
	row := `document.getElementById("vip-vip-00050")`
	p.run(chromedp.Evaluate(row+`.scrollIntoView()`, nil), chromedp.Evaluate(row+`.querySelector("a").focus()`, nil))
	p.run(chromedp.KeyEvent(kb.Enter))
	p.until(`document.getElementById("vip-vip-00050-more") !== null`)
	p.until(row + `.querySelector("a").getAttribute("aria-expanded") === "true"`)
	p.run(chromedp.Evaluate(`window.top0 = `+row+`.getBoundingClientRect().top; window.row0 = `+row, nil))
	for i := range 40 { // above it, below it, and itself
		board.PutVIP(vip(fmt.Sprintf("vip-%05d", 30+i), "192.0.2.1/32", "withdrawn", "changed", 0, 4))
	}
	board.RemoveVIP("vip-00000")
	p.until(row + `.innerText.includes("changed") && document.getElementById("vip-vip-00000") === null`)
	p.until(`document.activeElement === ` + row + `.querySelector("a")`)
	p.until(`window.row0 === ` + row + ` && document.getElementById("vip-vip-00050-more") !== null`)
	p.until(`Math.abs(` + row + `.getBoundingClientRect().top - window.top0) < 5`)
	board.RemoveVIP("vip-00050") // then what had the focus is gone
	p.until(`document.activeElement.id === "vips"`)
}

func keyboard(t *testing.T, b context.Context) {
	p := open(t, b, serveBoard(t, showcase()), width(1280))
	p.until(live)
	p.run(chromedp.KeyEvent(kb.Tab))
	p.until(`document.activeElement.className === "skip" && document.activeElement.getBoundingClientRect().top > 0`)
	p.run(slash())
	p.until(`document.activeElement.id === "q"`)
	p.until(`getComputedStyle(document.activeElement).outlineStyle !== "none"`)
	p.run(chromedp.KeyEvent("mail"))
	p.until(names + ` === "mail" && location.search === "?q=mail"`)
	p.until(`document.querySelector(".found").textContent === "1 VIP." && document.activeElement.id === "q"`)
	for range 10 { // to the VIP
		p.run(chromedp.KeyEvent(kb.Tab))
		var there bool
		p.run(chromedp.Evaluate(`document.activeElement.className === "toggle"`, &there))
		if there {
			break
		}
	}
	p.until(`document.activeElement.className === "toggle" && getComputedStyle(document.activeElement).outlineStyle !== "none"`)
	p.run(chromedp.KeyEvent(kb.Enter))
	p.until(`document.querySelectorAll(".more .spark").length === 2`)
	p.run(chromedp.KeyEvent(kb.Enter))
	p.until(`document.querySelectorAll(".more").length === 0 && document.activeElement.className === "toggle"`)
}

// faint finds text whose contrast is below what WCAG 2.2 (1.4.3) asks for, and
// text that one would have to scroll sideways for (1.4.10).
const faint = `(() => {
	const rgb = (s) => s.match(/[\d.]+/g).map(Number);
	const light = (c) => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = (e) => {
		for (; e; e = e.parentElement) {
			const c = rgb(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] > 0) return c;
		}
		return [255, 255, 255];
	};
	const out = [];
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let seen = 0;
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest(".unseen, thead, svg")) continue;
		seen++;
		const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) out.push(ratio.toFixed(2) + ": " + walk.currentNode.data.trim());
		const box = e.getBoundingClientRect();
		if (box.right > innerWidth + 1) out.push("beyond the edge: " + walk.currentNode.data.trim());
	}
	if (document.documentElement.scrollWidth > innerWidth) out.push("the page is " + document.documentElement.scrollWidth + " wide");
	if (seen < 100) out.push("only " + seen + " texts seen");
	return out.join("\n");
})()`

func contrast(t *testing.T, b context.Context) {
	address := serveBoard(t, showcase())
	grounds := map[string]bool{}
	for _, theme := range []string{"light", "dark"} {
		p := open(t, b, address+"?open=mail&open=web", scheme(theme))
		p.until(live)
		for _, pixels := range []int64{1280, 360} {
			var found, ground string
			p.run(width(pixels), chromedp.Evaluate(faint, &found), chromedp.Evaluate(`getComputedStyle(document.body).backgroundColor`, &ground))
			if found != "" {
				t.Errorf("%s, %d pixels wide:\n%s", theme, pixels, found)
			}
			grounds[ground] = true
			p.shot(fmt.Sprintf("%s-%d", theme, pixels))
		}
	}
	if len(grounds) != 2 {
		t.Errorf("light and dark are %v", grounds)
	}
}

func noScript(t *testing.T, b context.Context) {
	p := open(t, b, serveBoard(t, showcase()), width(1280), emulation.SetScriptExecutionDisabled(true))
	text := func(want string) {
		t.Helper()
		var got string
		p.run(chromedp.Text("body", &got, chromedp.ByQuery))
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	text("This is how it was when the page was loaded.")
	p.run(chromedp.SetValue("#q", "mail", chromedp.ByQuery), chromedp.Submit("#find", chromedp.ByQuery))
	p.run(chromedp.WaitReady(`//p[@class="found" and text()="1 VIP."]`, chromedp.BySearch))
	p.run(chromedp.Click("#vip-mail a", chromedp.ByQuery), chromedp.WaitReady("#vip-mail-more", chromedp.ByQuery))
	text("Backends of mail")
	var at string
	p.run(chromedp.Location(&at))
	if !strings.HasSuffix(at, "/?open=mail&q=mail#vip-mail") {
		t.Errorf("the address is %s", at)
	}
}

func tenThousand(t *testing.T, b context.Context) {
	board := crowd(t, 10_000)
	p := open(t, b, serveBoard(t, board), width(1280))
	p.until(live)
	p.until(`document.querySelectorAll(".toggle").length === 100 && document.querySelectorAll(".troubled li").length === 8`)
	p.shot("crowd")
	p.run(chromedp.Click(`a[rel="next"]`, chromedp.ByQuery))
	p.until(names + `.startsWith("vip-00100 ")`)
	began := time.Now()
	p.run(slash(), chromedp.KeyEvent("9876"))
	p.until(names + ` === "vip-09876"`)
	t.Logf("found after %s", time.Since(began).Round(time.Millisecond))
	board.PutVIP(vip("vip-09876", "192.0.2.1/32", "withdrawn", "changed", 0, 4))
	p.until(`document.getElementById("vip-vip-09876").innerText.includes("withdrawn")`)
	p.run(chromedp.Evaluate(`document.querySelector(".tile a[href*=withdrawn]").click()`, nil))
	p.until(`document.querySelector(".found").textContent === "21 VIPs." && document.getElementById("state").value === "withdrawn" && document.getElementById("q").value === ""`)
}

func hostileNames(t *testing.T, b context.Context) {
	board := newBoard()
	board.PutNode(poisoned(node()))
	board.PutVIP(poisoned(vips()[4]))
	board.PutNeighbor(poisoned(neighbors()[1]))
	board.PutSession(poisoned(sessions()[1]))
	board.Note(poisoned(events()[3]))
	p := open(t, b, serveBoard(t, board)+"?"+url.Values{"open": {hostile}, "q": {"script"}}.Encode(), width(1280))
	p.until(live)
	p.until(`document.querySelectorAll(".more").length === 1 && document.body.innerText.includes("<script>alert(1)</script>")`)
	board.PutVIP(vip("<script>alert(4)</script>", "192.0.2.1/32", "advertised", "", 1, 1)) // by way of the script
	p.until(`document.querySelectorAll(".toggle").length === 2`)
	p.until(`document.querySelectorAll("main script, main img, [onerror]").length === 0`)
}

func comesBack(t *testing.T, b context.Context) {
	board := showcase()
	address, stop := start(t, shown(board))
	p := open(t, b, "http://"+address+"/", width(1280))
	p.until(live)
	p.stopped.Store(true)
	stop()
	p.until(`document.getElementById("link").textContent === "No connection to vipd, trying on"`)
	o := options(shown(board))
	o.Listen = address
	again := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- again.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	board.RemoveVIP("web")
	p.until(live + ` && document.getElementById("vip-web") === null`)
}

// observed keeps what a page would act on by itself.
const observed = `
	window.timers = new Set();
	window.streams = [];
	const set = window.setTimeout, clear = window.clearTimeout, Stream = window.EventSource;
	window.setTimeout = (f, ms) => {
		if (!new Error().stack.includes("page.js")) return set(f, ms); // the test's own
		const id = set(() => { timers.delete(id); f(); }, ms); timers.add(id);
		return id;
	};
	window.clearTimeout = (id) => { timers.delete(id); clear(id); };
	window.EventSource = class extends Stream { constructor(url) { super(url); streams.push(this); } };`

func pauses(t *testing.T, b context.Context) {
	board := showcase()
	before := chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := tabs.AddScriptToEvaluateOnNewDocument(observed).Do(ctx)
		return err
	})
	p := open(t, b, serveBoard(t, board), width(1280), before)
	p.until(live + ` && timers.size > 0`)
	p.run(chromedp.Click("#pause", chromedp.ByQuery))
	p.until(`document.getElementById("link").textContent === "Paused" && document.getElementById("pause").ariaPressed === "true"`)
	board.RemoveVIP("web")
	p.run(chromedp.Click("#vip-mail a", chromedp.ByQuery)) // who asks for something gets it
	p.until(`document.getElementById("vip-mail-more") !== null && document.getElementById("vip-web") === null`)
	board.RemoveVIP("dns")
	p.until(`timers.size === 0 && streams.length > 0 && streams.every(s => s.readyState === EventSource.CLOSED)`)
	p.until(`document.getElementById("vip-dns") !== null`)
	p.run(chromedp.Click("#pause", chromedp.ByQuery))
	p.until(live + ` && document.getElementById("vip-dns") === null`)
}

// A row that changes is lit up for a while, but not for who wants it still.
func motion(t *testing.T, b context.Context) {
	for want, before := range map[string]chromedp.Action{"false": still(), "true": scheme("light")} {
		board := showcase()
		p := open(t, b, serveBoard(t, board), width(1280), before)
		p.until(live)
		p.run(chromedp.Evaluate(`{
			const animate = Element.prototype.animate;
			window.moved = false;
			Element.prototype.animate = function (...how) { window.moved = this.id === "vip-web"; return animate.apply(this, how); };
		}`, nil))
		board.PutVIP(vip("web", "192.0.2.10/32", "withdrawn", "", 0, 4))
		p.until(state + ` === "withdrawn"`)
		p.until(`window.moved === ` + want)
	}
}

func history(t *testing.T, b context.Context) {
	p := open(t, b, serveBoard(t, showcase()), width(1280))
	p.until(live)
	p.run(chromedp.SetValue("#state", "withdrawn", chromedp.ByQuery), chromedp.Click("#find button", chromedp.ByQuery))
	p.until(names + ` === "api dns mail" && location.search === "?state=withdrawn"`)
	p.run(chromedp.NavigateBack())
	p.until(names + ` === "api dns mail new shop web web-6" && document.getElementById("state").value === ""`)
	p.run(chromedp.NavigateForward())
	p.until(names + ` === "api dns mail" && document.getElementById("state").value === "withdrawn"`)
	p.run(chromedp.Reload())
	p.until(names + ` === "api dns mail" && document.getElementById("state").value === "withdrawn"`)
}
