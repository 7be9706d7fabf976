"""nginx: its configuration is done as written or refused by name, and never half."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from simkube.clock.clock import Task, spawn
from simkube.runtime.container import SimContainer
from simkube.runtime.cri import HTTPRequest, HTTPResponse, Mount, NetworkError
from tests.doubles.container_node import Bench
from tests.unit.simkube.certificates import Authority


def mounted(bench: Bench, site: str, **more: str) -> list[Mount]:
    """A volume over conf.d with one file, and others by path."""
    volume = bench.engine.volume()
    volume.write("site.conf", site.encode())
    pages = bench.engine.volume()
    for path, text in more.items():
        pages.write(path.replace("__", "/").replace("_", "."), text.encode())
    return [Mount(volume, "/etc/nginx/conf.d"), Mount(pages, "/srv")]


def started(bench: Bench, site: str, **pages: str) -> SimContainer:
    nginx = bench.started("nginx:1.27", mounts=mounted(bench, site, **pages))
    bench.clock.advance(1)
    return nginx


def ask(nginx: SimContainer, path: str = "/", *, port: int = 80, **more: object) -> Task[HTTPResponse]:
    headers = {"host": "localhost", **more.pop("headers", {})}  # type: ignore[dict-item]  # given as a dictionary
    method, body = str(more.pop("method", "GET")), more.pop("body", b"")
    assert isinstance(body, bytes)
    return spawn(nginx.sandbox.http(port, HTTPRequest(method, path, headers, body)))


def got(nginx: SimContainer, path: str = "/", **more: object) -> tuple[int, str]:
    asked = ask(nginx, path, **more)  # type: ignore[arg-type]  # passed through
    nginx.clock.advance(0.02)
    response = asked.result()
    return response.status, response.body.decode()


def emergency(site: str, main: str | None = None) -> str:
    """What ``nginx -t`` and a start say of a configuration; both must fail alike."""
    bench = Bench()
    mounts = mounted(bench, site)
    if main is not None:
        volume = bench.engine.volume()
        volume.write("nginx.conf", main.encode())
        mounts.append(Mount(volume, "/etc/nginx/nginx.conf", sub_path="nginx.conf"))
    nginx = bench.started("nginx:1.27", mounts=mounts)
    bench.clock.advance(2)
    assert nginx.exited.result() == 1
    (said,) = [line.text for line in nginx.log.lines() if "[emerg]" in line.text]
    test = bench.run("nginx -t", bench.idle("nginx:1.27", mounts=mounts))
    assert (test.code, test.err.splitlines()) == (
        1,
        [said, "nginx: configuration file /etc/nginx/nginx.conf test failed"],
    )
    return said.removeprefix("nginx: [emerg] ")


FILE = "/etc/nginx/conf.d/site.conf"


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ("server {\n  rewrite ^ /x;\n}", f'directive "rewrite" is not simulated here in {FILE}:2'),
        ("server { location ~ \\.php$ { } }", f'directive "location ~" is not simulated here in {FILE}:1'),
        ("server { listen 443 ssl http2; }", f'directive "listen http2" is not simulated here in {FILE}:1'),
        ("server { ssl_protocols TLSv2; }", f'invalid value "TLSv2" in {FILE}:1'),
        ("server { ssl_certificate a; ssl_certificate b; }", 'directive "ssl_certificate twice" is not simulated here'),
        (
            "server {\n location / { ssl_certificate a; } }",
            f'"ssl_certificate" directive is not allowed here in {FILE}:2',
        ),
        (
            "\nserver { listen 443 ssl; }",
            f'no "ssl_certificate" is defined for the "listen ... ssl" directive in {FILE}:2',
        ),
        ("server { ssl_certificate a.crt; }", 'no "ssl_certificate_key" is defined for certificate "/etc/nginx/a.crt"'),
        (
            "server { ssl_certificate a.crt; ssl_certificate_key a.key; }",
            'cannot load certificate "/etc/nginx/a.crt": BIO_new_file() failed (SSL: error:80000002:system library::'
            "No such file or directory:calling fopen(/etc/nginx/a.crt, r) error:10000080:BIO routines::no such file)",
        ),
        (
            "server { ssl_certificate nginx.conf; ssl_certificate_key nginx.conf; }",
            'cannot load certificate "/etc/nginx/nginx.conf": PEM_read_bio_X509_AUX() failed',
        ),
        ("upstream a { server b; }", f'directive "upstream" is not simulated here in {FILE}:1'),
        ("server { gzip on; }", f'directive "gzip on" is not simulated here in {FILE}:1'),
        ("server { return 200 $ssl_cipher; }", f'variable "ssl_cipher" is not simulated here in {FILE}:1'),
        ("server { if ($host) { return 200; } }", f'directive "if" is not simulated here in {FILE}:1'),
        ("server { location /a { location /a/b { } } }", 'directive "location in location" is not simulated here'),
        ("server { location / { proxy_pass https://a; } }", 'directive "proxy_pass https://" is not simulated here'),
        ("server { listen 80 }", f'unexpected "}}" in {FILE}:1'),
        ("server { listen 80;", f'unexpected end of file, expecting "}}" in {FILE}:1'),
        ("server\n{ listen 80;\n location / {\n", f'unexpected end of file, expecting "}}" in {FILE}:4'),
        ("listen 80;", f'"listen" directive is not allowed here in {FILE}:1'),
        ("server { root; }", f'invalid number of arguments in "root" directive in {FILE}:1'),
        ("server { root /a; root /b; }", f'"root" directive is duplicate in {FILE}:1'),
        ("server { location / {} location / {} }", f'duplicate location "/" in {FILE}:1'),
        ("server { listen 99999; }", 'invalid port in "99999" of the "listen" directive'),
        ("server { access_log /dev/stdout nice; }", f'unknown log format "nice" in {FILE}:1'),
        ("server { include nope.conf; }", 'open() "/etc/nginx/nope.conf" failed (2: No such file or directory) in'),
        ("server { access_log /nope/x.log; }", 'open() "/nope/x.log" failed (2: No such file or directory)'),
        ("server { location / { proxy_pass http://10.0.0.1:x; } }", "is not simulated here"),
        ("server { error_page 200 /x; }", f'invalid value "200" in {FILE}:1'),
        ("include /etc/nginx/conf.d/*.conf;", "more than 100 files of configuration are not simulated here"),
        ("a {" * 5000, "blocks nested deeper than 20 are not simulated here"),
    ],
)
def test_what_it_cannot_do_it_refuses_and_names(site: str, message: str) -> None:
    assert message in emergency(site)


def test_the_main_file_counts_too() -> None:
    assert emergency("", "http { }") == 'no "events" section in configuration'
    assert emergency("", "events { }\nload_module x;") == (
        'directive "load_module" is not simulated here in /etc/nginx/nginx.conf:2'
    )
    assert emergency("", "events { }\nstream { }").startswith('directive "stream" is not simulated here')


def test_as_a_user_that_may_not_write_it_ends_as_the_real_one() -> None:
    bench = Bench()
    for more, number in (({"run_as_user": 1000}, "13: Permission denied"), ({"read_only_root": True}, "30: Read-only")):
        nginx = bench.started("nginx:1.27", **more)
        bench.clock.advance(2)
        assert nginx.exited.result() == 1
        assert f'[emerg] mkdir() "/var/cache/nginx/client_temp" failed ({number}' in nginx.log.lines()[-1].text


def test_locations_return_and_files() -> None:
    site = """
    server {
        listen 8080; listen [::]:8080;
        root /srv; index main.html index.html;
        default_type text/plain;
        location = /exact { return 200 "exact $uri?$args\\n"; }
        location /old { return 301 /new$is_args$args; }
        location /gone { return 410; }
        location /api/ { return 200 'api'; }
        location ^~ /api/v1 { default_type application/json; return 201 '{"v":1}'; }
        location /away { return https://example.com$request_uri; }
        location /pics/ { alias /srv/images/; }
    }
    """
    nginx = started(Bench(), site, main_html="main\n", docs__index_html="docs\n", images__a_txt="picture\n")
    asked = {path: got(nginx, path, port=8080) for path in ("/", "/exact?a=b", "/docs/", "/pics/a.txt", "/api/x")}
    assert asked == {
        "/": (200, "main\n"),
        "/exact?a=b": (200, "exact /exact?a=b\n"),
        "/docs/": (200, "docs\n"),
        "/pics/a.txt": (200, "picture\n"),
        "/api/x": (200, "api"),
    }
    assert (got(nginx, "/gone", port=8080)[0], got(nginx, "/nope", port=8080)[0]) == (410, 404)
    v1 = ask(nginx, "/api/v1/x", port=8080).result()
    assert (v1.status, v1.headers["content-type"], v1.body) == (201, "application/json", b'{"v":1}')
    places = {path: ask(nginx, path, port=8080).result() for path in ("/old?x=1", "/away/b", "/docs")}
    assert [(each.status, each.headers["location"]) for each in places.values()] == [
        (301, "http://localhost:8080/new?x=1"),
        (302, "https://example.com/away/b"),
        (301, "http://localhost:8080/docs/"),
    ]
    assert got(nginx, "/%2e%2e/%2e%2e/etc/passwd", port=8080)[0] == 400
    assert got(nginx, "/", port=8080, method="POST")[0] == 405
    with pytest.raises(NetworkError, match="refused"):
        ask(nginx, "/").result()


def test_try_files_error_pages_and_headers() -> None:
    site = """
    server {
        root /srv;
        add_header X-Site one; add_header X-Always yes always;
        error_page 404 /missing.html;
        error_page 403 =200 /missing.html;
        location / { try_files $uri $uri/ /app.html; }
        location /strict/ { try_files $uri =404; }
        location /back/ { try_files $uri @fallback; }
        location @fallback { add_header X-Where fallback; return 203 "fell back from $uri"; }
        location /forbidden { return 403; }
    }
    """
    nginx = started(Bench(), site, app_html="app\n", missing_html="nothing here\n", a_css="a {}\n")
    assert got(nginx, "/some/route") == (200, "app\n")
    assert got(nginx, "/strict/x") == (404, "nothing here\n")
    assert got(nginx, "/back/x") == (203, "fell back from /back/x")
    assert got(nginx, "/forbidden") == (200, "nothing here\n")
    found, missing = ask(nginx, "/a.css").result(), ask(nginx, "/strict/x").result()
    assert (found.headers["content-type"], found.headers["x-site"]) == ("text/css", "one")
    assert "x-site" not in missing.headers
    assert missing.headers["x-always"] == "yes"
    assert got(nginx, "/a.css", headers={"if-none-match": found.headers["etag"]}) == (304, "")


def test_servers_by_name_and_default() -> None:
    site = """
    server { listen 80; server_name a.example *.wild.example; return 200 a; }
    server { listen 80 default_server; server_name _; return 200 default; }
    server { listen 80; server_name b.example; return 200 $server_name; }
    """
    nginx = started(Bench(), site)
    hosts = {"a.example": "a", "x.wild.example": "a", "b.example:80": "b.example", "other": "default"}
    assert {host: got(nginx, headers={"host": host})[1] for host in hosts} == hosts


SECURE = """server {
    listen 80 default_server;
    listen [::]:80 default_server ipv6only=on;
    listen 443 ssl;
    server_name web.shop;
    ssl_certificate /etc/nginx/tls/tls.crt;
    ssl_certificate_key /etc/nginx/tls/tls.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:SSL:1m;
    location / { return 200 "$scheme $server_port\\n"; }
    location /old { return 301 /new; }
    location /up { return 301 https://$host$request_uri; }
}"""


def secured(bench: Bench, site: str, certificate: bytes, key: bytes) -> SimContainer:
    """An nginx with a Secret of type ``kubernetes.io/tls`` mounted."""
    volume = bench.engine.volume()
    volume.write("tls.crt", certificate)
    volume.write("tls.key", key)
    nginx = bench.started("nginx:1.27", mounts=[*mounted(bench, site), Mount(volume, "/etc/nginx/tls")])
    bench.clock.advance(1)
    return nginx


def test_with_a_certificate_it_speaks_tls_on_the_ports_that_ask_for_it() -> None:
    bench = Bench()
    authority = Authority(datetime.fromtimestamp(bench.clock.now(), UTC))
    certificate, key = authority.server(("web.shop",))
    nginx = secured(bench, SECURE, certificate, key)
    client = bench.idle("curlimages/curl:8.14.1")
    ip = nginx.sandbox.ip
    bench.run(f"printf '{authority.pem.decode()}' >/tmp/ca.crt", client)
    secure = f"curl -s --cacert /tmp/ca.crt --resolve web.shop:443:{ip} https://web.shop"
    assert bench.run(f"{secure}/", client).out == "https 443\n"
    assert bench.run(f"curl -s http://{ip}/", client).out == "http 80\n"
    assert "https://web.shop/new" in bench.run(f"{secure}/old -I", client).out
    assert "https://web.shop/up?a=1" in bench.run(f"curl -sI -H 'Host: web.shop' 'http://{ip}/up?a=1'", client).out
    assert bench.run(f"curl -sk https://{ip}/", client).out == "https 443\n"
    assert bench.run(f"curl -s http://{ip}:443/", client).out != "http 443\n"


def test_a_certificate_without_other_names_goes_by_its_common_name() -> None:
    bench = Bench()
    authority = Authority(datetime.fromtimestamp(bench.clock.now(), UTC))
    certificate, key = authority.server((), called="my-nginx")
    nginx = secured(bench, SECURE, certificate, key)
    client = bench.idle("curlimages/curl:8.14.1")
    bench.run(f"printf '{authority.pem.decode()}' >/tmp/ca.crt", client)
    for name, code in (("my-nginx", 0), ("other", 60)):
        resolved = f"--resolve {name}:443:{nginx.sandbox.ip} https://{name}/"
        assert bench.run(f"curl -s --cacert /tmp/ca.crt {resolved}", client).code == code


def test_curl_says_why_it_does_not_believe_a_certificate() -> None:
    bench = Bench()
    now = datetime.fromtimestamp(bench.clock.now(), UTC)
    authority, other = Authority(now), Authority(now)
    good, key = authority.server(("localhost",))
    old, old_key = authority.server(("localhost",), timedelta(minutes=-1))
    elsewhere, its_key = authority.server(("elsewhere",))
    client = bench.idle("curlimages/curl:8.14.1")
    for name, each in (("ca", authority), ("other", other)):
        bench.run(f"printf '{each.pem.decode()}' >/tmp/{name}.crt", client)
    for shown, secret, option, said in (
        (good, key, "", "SSL certificate problem: unable to get local issuer certificate"),
        (good, key, "--cacert /tmp/other.crt", "SSL certificate problem: unable to get local issuer certificate"),
        (good + authority.pem, key, "", "SSL certificate problem: self-signed certificate in certificate chain"),
        (old, old_key, "--cacert /tmp/ca.crt", "SSL certificate problem: certificate has expired"),
        (elsewhere, its_key, "--cacert /tmp/ca.crt", "SSL: no alternative certificate subject name matches target"),
    ):
        ip = secured(bench, SECURE, shown, secret).sandbox.ip
        answer = bench.run(f"curl -sS {option} --resolve localhost:443:{ip} https://localhost/", client)
        assert (answer.code, answer.err.partition("\n")[0][:100].startswith(f"curl: (60) {said}"[:100])) == (60, True)


def test_a_certificate_needs_its_own_key() -> None:
    bench = Bench()
    authority = Authority(datetime.fromtimestamp(bench.clock.now(), UTC))
    certificate, key = authority.server(("web.shop",))
    _, other = authority.server(("web.shop",))
    for wrong, message in (
        (other, 'SSL_CTX_use_PrivateKey("/etc/nginx/tls/tls.key") failed'),
        (b"none", 'cannot load certificate key "/etc/nginx/tls/tls.key": PEM_read_bio_PrivateKey() failed'),
    ):
        nginx = secured(bench, SECURE, certificate, wrong)
        assert nginx.exited.result() == 1
        assert any(f"[emerg] {message}" in line.text for line in nginx.log.lines())
    assert secured(bench, SECURE, certificate, key).exited.done is False


def test_a_reload_can_turn_tls_on() -> None:
    bench = Bench()
    authority = Authority(datetime.fromtimestamp(bench.clock.now(), UTC))
    plain = "server { listen 8443; location / { return 200 $scheme; } }"
    nginx = secured(bench, plain, *authority.server(()))
    there = "http://127.0.0.1:8443/"
    assert bench.run(f"curl -s {there}", nginx).out == "http"
    files = "ssl_certificate /etc/nginx/tls/tls.crt; ssl_certificate_key /etc/nginx/tls/tls.key;"
    turned = plain.replace("8443;", f"8443 ssl; {files}")
    bench.run(f"echo '{turned}' >/etc/nginx/conf.d/site.conf; nginx -s reload", nginx)
    bench.clock.advance(1)
    assert bench.run(f"curl -sk {there.replace('http', 'https')}", nginx).out == "https"


def test_it_passes_requests_on() -> None:
    bench = Bench()
    web = bench.started("kindling/web:1.0", sandbox=bench.sandbox("web"))
    site = f"""
    server {{
        proxy_set_header Host $host;
        proxy_connect_timeout 2s; proxy_read_timeout 3s;
        error_page 502 504 /50x.html;
        location / {{ proxy_pass http://{web.sandbox.ip}:8080; }}
        location /app/ {{ proxy_pass http://{web.sandbox.ip}:8080/; }}
        location /closed {{ proxy_pass http://{web.sandbox.ip}:81; }}
        location /nobody {{ proxy_pass http://10.244.0.200; }}
        location = /50x.html {{ root /srv; }}
    }}
    """
    nginx = bench.started(
        "nginx:1.27", mounts=mounted(bench, site, **{"50x_html": "sorry\n"}), sandbox=bench.sandbox("n")
    )
    bench.clock.advance(1)
    assert got(nginx, "/healthz") == (200, "ok\n")
    assert got(nginx, "/app/readyz") == (200, "ready\n")
    assert got(nginx, "/app/nope") == (404, "not found\n")
    assert ask(nginx, "/").result().headers["server"] == "nginx/1.27.5"
    assert got(nginx, "/closed") == (502, "sorry\n")
    nobody = ask(nginx, "/nobody")
    bench.clock.advance(3)
    assert (nobody.result().status, nobody.result().body) == (504, b"sorry\n")
    ask(web, "/hang", port=8080, method="POST").result()
    hanging = ask(nginx, "/")
    bench.clock.advance(4)
    assert hanging.result().status == 504
    said = "\n".join(line.text for line in nginx.log.lines())
    assert "[error] 1#1: *1 connect() failed (111: Connection refused) while connecting to upstream, client: " in said
    assert "upstream timed out (110: Connection timed out) while reading response header from upstream" in said
    assert f'request: "GET /closed HTTP/1.1", upstream: "http://{web.sandbox.ip}:81/closed", host: "localhost"' in said
    web.signal(9)
    assert got(nginx, "/")[0] == 502


def test_an_upstream_that_no_name_leads_to_stops_it() -> None:
    bench = Bench()
    nginx = started(bench, "server {\n location / { proxy_pass http://backend:8080; }\n}")
    bench.clock.advance(20)
    assert nginx.exited.result() == 1
    assert nginx.log.lines()[-1].text == f'nginx: [emerg] host not found in upstream "backend:8080" in {FILE}:2'


def test_one_that_passes_on_to_itself_comes_to_an_end() -> None:
    bench = Bench()
    nginx = started(
        bench, "server { listen 80; location / { proxy_pass http://127.0.0.1:80; proxy_read_timeout 1s; } }"
    )
    asked = ask(nginx, "/")
    bench.clock.advance(120)
    assert asked.result().status in (502, 504)


def test_logs_go_where_they_are_told() -> None:
    bench = Bench()
    site = """
    log_format short '$remote_addr $status "$http_user_agent"';
    server { access_log /srv/access.log short; error_log /srv/error.log warn;
             location /quiet { access_log off; return 200; } location / { root /srv; } }
    """
    nginx = started(bench, site, index_html="x\n")
    for path, agent in (("/", 'a"b\nc'), ("/quiet", ""), ("/nope", "")):
        got(nginx, path, headers={"user-agent": agent})
    lines = bench.run("cat /srv/access.log", nginx).out.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ['200 "a\\x22b\\x0Ac"', '404 "-"']
    errors = bench.run("cat /srv/error.log", nginx).out
    assert re.search(
        r'\[error\] 1#1: \*1 open\(\) "/srv/nope" failed \(2: No such file or directory\), client: ', errors
    )
    assert not any("GET" in line.text for line in nginx.log.lines())


def test_it_reloads_what_is_right_and_keeps_what_it_had() -> None:
    bench = Bench()
    nginx = started(bench, "server { return 200 one; }")
    assert got(nginx) == (200, "one")
    bench.run("echo 'server { listen 80; listen 81; return 200 two; }' > /etc/nginx/conf.d/site.conf", nginx)
    assert bench.run("nginx -t && nginx -s reload", nginx).code == 0
    assert (got(nginx), got(nginx, port=81)) == ((200, "two"), (200, "two"))
    bench.run("echo 'server { nonsense; }' > /etc/nginx/conf.d/site.conf; kill -HUP 1", nginx)
    assert got(nginx) == (200, "two")
    assert '[emerg] 1#1: directive "nonsense" is not simulated here' in nginx.log.lines()[-2].text


def test_bodies_have_a_limit_and_tokens_can_be_hidden() -> None:
    nginx = started(Bench(), "server { server_tokens off; client_max_body_size 10; location / { root /srv; } }")
    large = ask(nginx, "/", method="POST", body=b"x" * 11).result()
    assert (large.status, large.headers["server"]) == (413, "nginx")
    assert b"<center>nginx</center>" in large.body


def test_a_daemon_is_refused() -> None:
    bench = Bench()
    result = bench.run("nginx", bench.idle("nginx:1.27"))
    assert (result.code, result.err) == (
        1,
        "nginx: running as a daemon is not simulated here; use nginx -g 'daemon off;'\n",
    )
