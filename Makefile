# Forwarding targets only: the build is Meson's (meson.build), the checks are
# tools/check.py's. A fresh Debian 12 needs nothing but "make" and these.

BUILD = build

.PHONY: all deps build demo demo-debian check check-long lint bench format clean install

all: build

deps:
	@tools/deps.sh

build: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD)

# A VM to its shell on the console; "poweroff -f" in it ends the demo.
demo: build
	@tools/demo.sh $(BUILD)

# Debian with cloud-init, and a command in it by ssh.
demo-debian: build
	@tools/demo-debian.sh $(BUILD)

# All tests; ends with "N passed, N failed, N skipped".
check: deps
	@tools/check.py

check-long: deps
	@tools/check.py --long

lint: deps
	@tools/lint.sh

bench: build
	@tests/bench/run.py $(BUILD)

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: build
	@ninja -C $(BUILD) install

clean:
	@rm -rf build build-*
