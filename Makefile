# Front door. Meson does the work; this file only installs what is missing and names the doors.
BUILD ?= build
MESON_FLAGS ?=

.PHONY: all demo check check-real nightly asan fuzz coverage bench lint deps-build deps-test deps-real clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@tools/deps build
	@meson setup $(BUILD) $(MESON_FLAGS)

deps-build:
	@tools/deps build

deps-test:
	@tools/deps build test

deps-real:
	@tools/deps build test real

# The loan example, end to end: builds, starts broker, engine and enclaves (development TEE), runs, verifies.
demo: deps-build $(BUILD)/build.ninja
	@ninja -C $(BUILD) programs
	@tools/demo $(BUILD)

# Fast, no network once installed.
check: deps-test $(BUILD)/build.ninja
	@meson configure $(BUILD) -Dtests=enabled  # `make demo` may have come first, without cmocka
	@$(MAKE) --no-print-directory all
	@tools/check $(BUILD) fast

# Servers, SDKs, browsers, emulators: fetches and caches what it needs.
check-real: deps-real $(BUILD)/build.ninja
	@meson configure $(BUILD) -Dtests=enabled
	@$(MAKE) --no-print-directory all
	@tools/check $(BUILD) real

# Hours: a million simulator seeds, fuzzing, soak.
nightly: deps-real $(BUILD)/build.ninja
	@meson configure $(BUILD) -Dtests=enabled
	@$(MAKE) --no-print-directory all
	@tools/check $(BUILD) nightly
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=1200

# Sanitizers; and mutants: with its one check taken away, each attack must succeed, or the check stops nothing.
asan: deps-test
	@[ -f $(BUILD)-asan/build.ninja ] || CC=clang meson setup $(BUILD)-asan -Db_sanitize=address,undefined -Db_lundef=false -Dmutants=true
	@ninja -C $(BUILD)-asan
	@tools/check $(BUILD)-asan units

fuzz: deps-test
	@[ -f $(BUILD)-fuzz/build.ninja ] || CC=clang meson setup $(BUILD)-fuzz -Dfuzz=true -Db_lundef=false
	@ninja -C $(BUILD)-fuzz
	@tools/fuzz $(BUILD)-fuzz $(FUZZ_SECONDS)

coverage: deps-test
	@[ -f $(BUILD)-cov/build.ninja ] || meson setup $(BUILD)-cov -Db_coverage=true
	@ninja -C $(BUILD)-cov
	@tools/check $(BUILD)-cov fast
	@tools/coverage $(BUILD)-cov

bench: deps-test
	@[ -f $(BUILD)-bench/build.ninja ] || meson setup $(BUILD)-bench -Dbench=true -Dbuildtype=release -Db_ndebug=true
	@ninja -C $(BUILD)-bench
	@bench/run $(BUILD)-bench

lint: deps-test
	@$(MAKE) --no-print-directory all
	@tools/lint $(BUILD)

clean:
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-fuzz $(BUILD)-cov $(BUILD)-bench
