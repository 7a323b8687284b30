"""What tools/lint allows. A new row is a decision: say in the commit why."""
import re

FUNCTION_LINES, COMPLEXITY, FILE_LINES, COLUMNS = 80, 15, 600, 130  # columns: aim 120, a tab is 4; longer ones are only noted
TEE_LINES, ATTEST_LINES = 12000, 15000  # doc/ARCHITECTURE.md section 9
# Not kept today; it must not get worse while that is so. One program an image: each links the driver of its TEE.
TEE_LINES_HELD = {'bulla-enclave': 14630, 'bulla-enclave-tsm': 14580, 'bulla-enclave-gramine': 14470, 'bulla-enclave-azure': 14790}

# Zone of each program (doc/ARCHITECTURE.md section 9).
ZONES = {
    'bulla': {'O', 'P', 'H', 'B', 'T'},  # the CLI: owner and auditor; talks to all, holds no one's keys but its owner's
    'bullad': {'H'},
    **{name: {'T'} for name in TEE_LINES_HELD},
    'bulla-kms': {'B'},
    'bulla-platform': {'P'},
}
# Symbols that a program may not contain.
NOT_IN_PROGRAM = {
    'bullad': [r'bulla_(seal|agent|zygote|tee|aead|cms|link|envelope|hpke)_', r'EVP_Decrypt'],
    **{name: [r'bulla_(store|engine|http2|broker|ledger)_', r'sqlite3_'] for name in TEE_LINES_HELD},
}

# Archives for others that hold several folders.
COLLECTIONS = 'libbulla'

# Folders (4: pure cores) that may use nothing of the system but plain functions.
PURE = ['wire', 'cose', 'flow', 'receipt', 'manifest', 'seal', 'attest', 'verify']

# Writable memory that lives as long as the program: log sink, key slab, allocation counter; trails are thread-local.
STATE = {
    'base': {'sink', 'slab', 'allocations', 'fail_in', 'trail', 'trail_count'},
    'cmd': {'interrupted'},  # set by a signal handler
    'crypto': {'kept'},  # contexts fetched once per thread: fetching costs more than the hash
}
THREADS = {'pthread_create': ['src/journal/thread.c', 'src/io/worker.c', 'src/engine/librarian.c']}

# --- 3: functions of the system. Plain ones are free; others only where their row says. ---

PLAIN = re.compile(r'^(_+)?(mem(cpy|move|set|cmp|chr|rchr)|str(len|nlen|cmp|ncmp|chr|rchr|spn|cspn|str)|abort|'
                   r'assert_fail|stack_chk_fail|explicit_bzero|(memcpy|memmove|memset|explicit_bzero|strlen)_chk|'
                   r'tls_get_addr|cpu_model|qsort_r|bsearch|asan\w*|ubsan\w*|sanitizer\w*|gcov\w*|llvm\w*)$')


def is_plain(name):
    return PLAIN.match(name) is not None or name in EXCEPTIONS.get('pure', ())


EXCEPTIONS = {
    'pure': {'__snprintf_chk', 'snprintf', 'strtod', 'strtol'},  # wire/jcs.c: decimal forms of doubles
}

WORLD = {'base', 'io', 'journal', 'store', 'agent', 'tee', 'platform', 'cmd'}  # folders that may touch the world at all
ROWS = [
    # functions, folders
    (r'(__)?snprintf(_chk)?|strtod|strtol', {'wire', 'base', 'agent', 'platform', 'cmd', 'tee'}),
    (r'(__)?v?f?printf(_chk)?|(__)?vsnprintf(_chk)?|f?puts?|fputc|putchar|puts|fwrite|fflush|std(out|err|in)|fopen(64)?|fclose|fseek|ftell|'
     r'getline|fgets|fread|strerror|realpath|getenv|argp_\w+|isatty|tcgetattr|tcsetattr|__ctype_\w+|strto\w+|nl_langinfo|'
     r'localtime_r|gmtime_r|strftime|getpwuid\w*|ferror|feof|getc|fgetc|str(n?dup|pbrk|tok_r|casecmp|error_\w)|getopt\w*|optarg|optind|rewind|fileno|'
     r'secure_getenv|environ|exit|free|realloc|malloc|calloc|memmem|strsep|stpcpy|scandir|alphasort|yaml_\w+|archive_\w+|z?deflate\w*|'
     r'inflate\w*|crc32|program_invocation\w*|qsort', {'cmd'}),
    (r'free|malloc|calloc|madvise|mlock2?|mmap(64)?|mprotect|munmap|sysconf', {'base'}),
    (r'__errno_location', {'base', 'io', 'journal', 'agent', 'tee', 'platform', 'cmd'}),
    (r'clock_gettime|eventfd|read|write|poll|close', WORLD),
    (r'epoll_\w+|signalfd|sigprocmask|sigaddset|sigemptyset|signal|accept4|bind|listen|inet_\w+|chmod|fchmod|umask|'
     r'getsockname|getsockopt|setsockopt|recv|send|recvmsg|sendmsg|socket|socketpair|connect|prctl|setrlimit(64)?|unlink|fcntl(64)?', {
         'io', 'agent', 'tee', 'platform', 'cmd'}),
    (r'open(64)?|__open64_2|openat(64)?|pread(64)?|pwrite(64)?|pwritev64v2|fsync|fdatasync|f?truncate(64)?|ftruncate64|rename|renameat|'
     r'unlinkat|fstat(64)?|fstatat(64)?|lstat(64)?|stat(64)?|f?opendir|fdopendir|readdir(64)?|closedir|mkdir|mkdirat|flock|access|'
     r'faccessat|symlink|readlink|f?statvfs(64)?|posix_fallocate(64)?|fallocate(64)?|posix_fadvise(64)?|rmdir|link|getcwd|chdir|dup|dup3|fchdir', {
         'io', 'journal', 'agent', 'tee', 'platform', 'cmd'}),
    (r'sched_getaffinity|__sched_cpucount', {'cmd'}),  # cmd/verify_pool.c: one helper for each further CPU
    (r'getrandom', {'io', 'cmd', 'agent'}),
    (r'getrlimit(64)?', {'io'}),  # how many connections there may be
    (r'geteuid', {'io', 'agent', 'cmd'}),  # io/addr.c: is the other end our own user
    (r'memfd_create|fexecve|environ|mmap(64)?|munmap', {'platform'}),  # platform/sealed.c: what was measured is what runs
    (r'(get|free)addrinfo', {'cmd'}),  # src/cmd/download.c: no daemon resolves names
    (r'pthread_(create|join|setname_np|sigmask|attr_\w+|self)|sigfillset', {'io', 'journal', 'store', 'engine'}),
    (r'fork|exec\w+|waitpid|wait4|waitid|kill|_exit|dup2|close_range|setsid|getpid|getppid|get(e?)[ug]id|usleep|nanosleep|sigaction|setpgid|execveat|pipe2|pidfd_\w+', {
        'agent', 'platform', 'tee', 'cmd'}),
    (r'mount|umount2|unshare|setns|sethostname|set(res)?[ug]id|setfsuid|setgroups|syscall|ioctl|getrusage|prlimit(64)?|reboot|'
     r'cap\w*_\w+|seccomp_\w+|clone|personality|chroot|pivot_root|chown|fchown|lchown|mknod|mknodat|sched_\w+', {'agent', 'tee', 'platform'}),
    (r'(EVP|BN|CRYPTO|ERR|OSSL|RAND|SHA\d+|X509|ASN1|OBJ|EC|ECDSA|RSA|PKCS\w*|HMAC|CMS|BIO|PEM|d2i|i2d|OPENSSL|AES|KDF|DH|'
     r'CONF|GENERAL_NAME\w*|NCONF|OCSP)_\w+', {'crypto'}),
    (r'(SSL|TLS|BIO|X509|ERR|CRYPTO|d2i|i2d|OPENSSL|OSSL|DTLS)_\w+', {'io'}),
    (r'sqlite3_\w+', {'store'}),
    (r'rename', {'store'}),  # a damaged catalogue is put aside
    (r'nghttp2_\w+', {'http2'}),
    (r'archive_\w+|z?deflate\w*|crc32', {'image'}),
]
COMPILED = [(re.compile('(' + pattern + ')$'), folders) for pattern, folders in ROWS]


def may_use(folder, name):
    return is_plain(name) and not (name in EXCEPTIONS['pure'] and folder != 'wire') or any(
        folder in folders and pattern.match(name) for pattern, folders in COMPILED)


# --- 6: words in code: (pattern, folders or files where it may stand, what to do) ---

ERRNO = {'base', 'io', 'journal', 'agent', 'tee', 'platform', 'cmd'}
WORDS = [
    (r'\b(strcpy|strcat|sprintf|vsprintf|strncpy|strncat|strtok|atoi|atol|atof|gets|alloca|rand|srand|system|popen)\s*\(', (),
     'banned function (doc/STYLE.md line 49)'),
    (r'\bmemcmp\s*\(', {'base'}, 'memcmp outside base/: bulla_bytes_eq, or _ct for secrets'),
    (r'\bmem(cpy|move)\s*\(', {'base'}, 'memcpy outside base/: bulla_copy'),
    (r'\b(malloc|calloc|realloc|free)\s*\(', {'base', 'src/cmd/context.c'},  # realpath's memory
     'heap outside base/: bulla_alloc, bulla_buf'),
    (r'\b(printf|fprintf|vprintf|puts|putchar|vfprintf|dprintf)\s*\(', {'cmd'}, 'printf outside cmd/'),
    (r'\bv?snprintf\s*\(', {'cmd', 'base', 'agent', 'platform', 'tee', 'src/wire/jcs.c'}, 'snprintf outside cmd/'),
    (r'\berrno\b', ERRNO, 'errno outside base, io, journal, agent, tee, platform, cmd'),
    (r'\bgetenv\s*\(', {'cmd'}, 'environment outside cmd/'),
    (r'^\s*#\s*(if|ifdef|ifndef)\b', {'base', 'tee'}, '#if outside base and tee'),
    (r'\bpthread_(mutex|rwlock|cond|spin)_\w+|\bmtx_\w+', (), 'no locks: threads exchange messages over rings'),
    (r'__attribute__\s*\(\(\s*packed', (), 'packed structs: read with bulla_rd'),
    (r'^\s*(register|inline)\b|\bgoto\s+\w+_retry', (), 'old-fashioned'),
]

# --- 7: parsers and their fuzz targets ---

PARSERS = [
    ('wire/cbor.h', 'cbor'), ('wire/json.h', 'json'), ('wire/messages.h', 'messages'), ('wire/der.h', 'der'),
    ('wire/text.h', 'text'), ('cose/sign1.h', 'cose'), ('cose/cmw.h', 'cose'), ('crypto/x509.h', 'x509'),
    ('crypto/cms.h', 'cms'), ('flow/flow.h', 'flow'), ('receipt/receipt.h', 'receipt'), ('receipt/recipient.h', 'receipt'), ('receipt/bundle.h', 'bundle'),
    ('manifest/manifest.h', 'manifest'), ('io/http.h', 'http'), ('io/frame.h', 'frame'), ('journal/recover.h', 'journal'),
    ('attest/attest.h', 'attest'), ('seal/envelope.h', 'seal'),
    ('kms/policy.h', 'policy'), ('kms/api.h', 'kms'),
]

# Folders whose files are tested by whole programs (tests/integration) instead.
NO_UNIT_TESTS = {'cmd', 'platform', 'tee'}

# Files whose test is of what stands on them.
TESTED_THROUGH = {
    'io/loop.h': 'tests/unit/io/pipe_test.c',
    'judge/judge.h': 'tests/unit/verify/attacks_test.c',
    'judge/birth.h': 'tests/unit/tee/enclave_test.c',
}

GENERATORS = ['tools/proto_gen.py', 'tools/limits_doc.py', 'tools/messages_doc.py']

MACHINE_PATH = re.compile(rb'/(?:root|home/\w+|Users/\w+)/')  # somebody's home folder, in any tracked file
