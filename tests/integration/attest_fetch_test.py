"""`bulla attest fetch` against an HTTPS server of the test's own: good collateral is kept, everything else is refused and
nothing is written."""
import http.server
import os
import shutil
import ssl
import subprocess
import tempfile
import threading

from project import BUILD, Tap

tap = Tap()
work = tempfile.mkdtemp(prefix="bulla-fetch-")
world = work + "/world"
os.makedirs(world)
made = subprocess.run([os.path.join(BUILD, "tests/integration/dcap_world"), world], capture_output=True, text=True)
NOW = made.stdout.strip().splitlines()[-1] if made.returncode == 0 else None


def sh(*args):
    subprocess.run(args, check=True, capture_output=True, cwd=work)


def authority(name):
    sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
       "-out", f"{name}.pem", "-days", "30", "-subj", f"/CN={name}")


def server_certificate(name, issuer, names):
    with open(f"{work}/{name}.ext", "w", encoding="ascii") as file:
        file.write(f"subjectAltName={names}\n")
    sh("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
       f"{name}.csr", "-subj", f"/CN={name}")
    sh("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial",
       "-days", "30", "-out", f"{name}.pem", "-extfile", f"{name}.ext")


def content(name):
    with open(os.path.join(world, name), "rb") as file:
        return file.read()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        special = server.special(self) if server.special else None
        if special is True:
            return
        files = {"/tdx/certification/v4/qe/identity": ("qe.json", "SGX-Enclave-Identity-Issuer-Chain", "tcb.chain"),
                 "/sgx/certification/v4/rootcacrl": ("root.crl", None, None)}
        if self.path.startswith("/tdx/certification/v4/tcb?fmspc="):
            found = ("tcb.json", "SGX-TCB-Info-Issuer-Chain" if server.chunked else "TCB-Info-Issuer-Chain", "tcb.chain")
        elif self.path.startswith("/sgx/certification/v4/pckcrl?ca="):
            found = ("pck.crl", "SGX-PCK-CRL-Issuer-Chain", "pck.chain")
        else:
            found = files.get(self.path)
        if found is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = special if isinstance(special, bytes) else content(found[0])
        if found[0] == "root.crl":
            body = body.hex().upper().encode()  # as PCCS does
        self.send_response(200)
        if found[1]:
            self.send_header(found[1], content(found[2]).decode())
        if server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(body), 700):
                part = body[at:at + 700]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


class Server:
    def __init__(self, certificate="good", special=None, chunked=False):
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.asked, self.httpd.special, self.httpd.chunked = [], special, chunked
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{work}/{certificate}.pem", f"{work}/{certificate}.key")
        self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True)
        self.port = self.httpd.server_address[1]
        self.asked = self.httpd.asked

    def __enter__(self):
        self.httpd.handle_error = lambda *_: None
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.httpd.shutdown()
        self.httpd.server_close()


def fetch(port, *options, host="localhost", ca="ca.pem", scheme="https"):
    """(exit code, files kept, stderr)"""
    cache = tempfile.mkdtemp(dir=work)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "BULLA_"))}
    env.update(HOME=work, NO_COLOR="1")
    result = subprocess.run(
        [os.path.join(BUILD, "src/cmd/bulla"), "attest", "fetch", world + "/quote", "--anchor", world + "/root.der", "--at", NOW,
         "--from", f"{scheme}://{host}:{port}", "--ca", f"{work}/{ca}", "--cache", cache, *options],
        capture_output=True, text=True, env=env, timeout=60)
    return result.returncode, sorted(os.listdir(cache)), result.stderr, cache


def refused(code, error, server, **options):
    got, files, talk, _ = fetch(server.port, **options)
    assert got == code and f"error[{error}]" in talk, (got, talk)
    assert files == [], files  # nothing is kept
    return talk


@tap.case
def good_collateral_is_kept():
    authority("ca")
    authority("stranger")
    server_certificate("good", "ca", "DNS:localhost,IP:127.0.0.1")
    server_certificate("elsewhere", "ca", "DNS:kds.example")
    for chunked in (False, True):
        with Server(chunked=chunked) as server:
            code, files, talk, cache = fetch(server.port)
            assert code == 0, talk
            assert len(server.asked) == 4 and len(files) == 7, (server.asked, files)
            # and the verifier takes what was kept
            arguments = [word for name in files for word in ("--collateral", os.path.join(cache, name))]
            verdict = subprocess.run(
                [os.path.join(BUILD, "src/cmd/bulla"), "attest", "verify", world + "/quote", "--anchor", world + "/root.der", "--at",
                 NOW, "--any-code", "--any-nonce", "--max-age", "1d", *arguments], capture_output=True, text=True, timeout=60)
            assert verdict.returncode == 4, (verdict.returncode, verdict.stdout, verdict.stderr)


@tap.case
def certificates_of_others_are_refused():
    with Server() as server:
        refused(5, "signature", server, ca="stranger.pem")
        code, files, _, _ = fetch(server.port, host="127.0.0.1")  # an address that the certificate names
        assert code == 0 and files
        refused(2, "usage", server, scheme="http")
    with Server("elsewhere") as server:
        refused(5, "signature", server)
    with Server("stranger") as server:  # signed by itself
        refused(5, "signature", server)


@tap.case
def nobody_there():
    with Server() as server:
        port = server.port
    code, files, talk, _ = fetch(port)
    assert code == 75 and "error[unreachable]" in talk and not files, (code, talk)
    code, _, talk, _ = fetch(port, host="no-such-name.invalid")
    assert code == 75 and "error[unreachable]" in talk, (code, talk)


def cut(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b"x" * 100)
    handler.close_connection = True
    return True


def too_large(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "262145")
    handler.end_headers()
    handler.close_connection = True
    return True


def too_large_in_chunks(handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for _ in range(80):
        handler.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    handler.close_connection = True
    return True


def endless_head(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for i in range(60):
        handler.wfile.write(b"x-%d: " % i + b"y" * 400 + b"\r\n")
    handler.close_connection = True
    return True


def changed(handler):
    """One digit inside the signed part."""
    if "tcb?" not in handler.path:
        return None
    return content("tcb.json").replace(b'"pcesvn":', b'"pcesvn":1', 1)


def other_list(handler):
    """The root's list where the PCK CA's should be."""
    return content("root.crl") if "pckcrl" in handler.path else None


@tap.case
def bad_answers_leave_nothing():
    for special, code, error in ((cut, 5, "truncated"), (too_large, 5, "limit"), (too_large_in_chunks, 5, "limit"),
                                 (endless_head, 5, "limit"), (lambda h: b"hello", 5, "evidence-format"),
                                 (lambda h: b"{}", 5, "evidence-format")):
        with Server(special=special) as server:
            refused(code, error, server)
    for special in (changed, other_list):
        with Server(special=special) as server:
            code, files, talk, _ = fetch(server.port)
            assert code == 5 and not files and "nothing is kept" in talk, (special.__name__, code, talk)


def status(number, **headers):
    def answer(handler):
        handler.send_response(number)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True
    return answer


@tap.case
def other_statuses():
    with Server(special=status(404)) as server:
        refused(3, "not-found", server)
    with Server(special=status(500)) as server:
        refused(75, "unreachable", server)
    with Server(special=status(429)) as server:
        refused(75, "busy", server)
        assert len(server.asked) == 1  # it does not say when
    with Server(special=status(429, Retry_After="86000")) as server:
        refused(75, "busy", server)
        assert len(server.asked) == 1  # nobody waits a day
    patience = []

    def once(handler):
        if patience:
            return None
        patience.append(handler.path)
        return status(429, Retry_After="1")(handler)

    with Server(special=once) as server:
        code, files, talk, _ = fetch(server.port)
        assert code == 0 and len(files) == 7, talk


@tap.case
def one_redirect():
    with Server() as target:
        def away(handler):
            return status(302, Location=f"https://localhost:{target.port}{handler.path}")(handler)

        with Server(special=away) as server:
            code, files, talk, _ = fetch(server.port)
            assert code == 0 and len(files) == 7, talk
        with Server(special=away) as second:
            def twice(handler):
                return status(307, Location=f"https://localhost:{second.port}{handler.path}")(handler)

            with Server(special=twice) as server:
                refused(5, "denied", server)
        with Server(special=status(301, Location="http://localhost/")) as server:
            refused(5, "denied", server)


if NOW is None:
    print("1..0 # SKIP no TDX world:", made.stderr.strip()[-200:])
else:
    try:
        tap.main()
    finally:
        shutil.rmtree(work, ignore_errors=True)
