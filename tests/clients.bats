#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Client libraries that nobody here wrote, as Debian has built them: their blocking
# calls, made by many coroutines of one thread, take the time of one request.

bats_require_minimum_version 1.5.0

MANY=60 SLOW=1000     # requests at a time, and the milliseconds that each takes
SERIAL=4 SERIAL_MS=300 # the same with the hooks off

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s lib
	# PostgreSQL's user must get there too, and a socket's path must be short.
	COSTEP_SERVERS=$(mktemp -d /tmp/costep-servers.XXXXXX)
	export COSTEP_SERVERS
	chmod 755 "$COSTEP_SERVERS"
	[ -n "$(lacking redis)" ] || start_redis
	[ -n "$(lacking curl)" ] || start_http
	[ -n "$(lacking postgres)" ] || start_postgres
}

# Also when setup_file or a test has failed. (What a killed bats leaves behind,
# ends by itself: see `serve`.)
teardown_file() {
	local pid
	[ -d "$COSTEP_SERVERS" ] || return 0
	for pid in $(cat "$COSTEP_SERVERS"/*.pid 2>/dev/null); do
		kill -INT "$pid" 2>/dev/null || continue
		while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
	done
	rm -rf "$COSTEP_SERVERS"
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	export REDIS HTTP PGHOST PGPORT PGUSER=postgres PGDATABASE=postgres
	REDIS=$(cat "$COSTEP_SERVERS/redis.port" 2>/dev/null)
	HTTP=$(cat "$COSTEP_SERVERS/http.port" 2>/dev/null)
	PGPORT=$(cat "$COSTEP_SERVERS/postgres.port" 2>/dev/null)
	PGHOST=localhost
}

# --- servers ------------------------------------------------------------------------

postgres_dir() {
	local dir found=
	for dir in /usr/lib/postgresql/*/bin; do [ ! -x "$dir/initdb" ] || found=$dir; done
	echo "$found"
}

# lacking CLIENT...: the packages that are missing for it.
lacking() {
	local client missing=
	command -v pkg-config >/dev/null || { echo pkg-config; return; }
	for client; do
		case $client in
		redis)
			pkg-config --exists hiredis || missing+=" libhiredis-dev"
			command -v redis-server >/dev/null || missing+=" redis-server"
			;;
		curl)
			pkg-config --exists libcurl || missing+=" libcurl4-gnutls-dev"
			command -v python3 >/dev/null || missing+=" python3"
			;;
		postgres)
			pkg-config --exists libpq || missing+=" libpq-dev"
			[ -n "$(postgres_dir)" ] || missing+=" postgresql"
			;;
		esac
	done
	echo "$missing"
}

need() {
	local missing
	missing=$(lacking "$@")
	[ -z "$missing" ] || skip "missing packages:$missing; 'make deps test' installs them"
}

# A port that nobody listens at. Who is quicker with it, makes us try another.
free_port() {
	local port
	while port=$((20000 + RANDOM % 12000)); do
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

# serve NAME COMMAND...: in the background; bats must not wait for it (3).
serve() {
	local name=$1
	shift
	timeout 600 "$@" </dev/null >"$COSTEP_SERVERS/$name.log" 2>&1 3>&- &
	echo $! >"$COSTEP_SERVERS/$name.pid"
}

# answers NAME COMMAND...: wait until the command succeeds; fail when the server has ended.
answers() {
	local pid
	pid=$(cat "$COSTEP_SERVERS/$1.pid")
	until "${@:2}" >/dev/null 2>&1; do
		kill -0 "$pid" 2>/dev/null || { cat "$COSTEP_SERVERS/$1.log"; return 1; }
		sleep 0.05
	done
}

start_redis() {
	local port dir=$COSTEP_SERVERS try
	for try in 1 2 3; do
		port=$(free_port)
		serve redis redis-server --bind 127.0.0.1 --port "$port" --unixsocket "$dir/redis.sock" --dir "$dir" \
			--save '' --appendonly no --daemonize no
		answers redis redis-cli -s "$dir/redis.sock" ping || continue
		echo "$port" >"$dir/redis.port"
		return
	done
	return "$try"
}

start_http() {
	serve http python3 tests/fixtures/clients/slow_http.py "$COSTEP_SERVERS/http.port"
	answers http test -s "$COSTEP_SERVERS/http.port"
}

start_postgres() {
	local port bin dir=$COSTEP_SERVERS/postgres as=() try
	bin=$(postgres_dir)
	mkdir "$dir"
	if [ "$(id -u)" = 0 ]; then # it refuses to run as root
		chown postgres "$dir"
		as=(setpriv --reuid=postgres --regid=postgres --init-groups env HOME="$dir")
	fi
	"${as[@]}" "$bin/initdb" --username=postgres --auth=trust --no-sync --no-instructions -D "$dir/data" >"$dir.initdb.log" 2>&1 3>&- ||
		{ cat "$dir.initdb.log"; return 1; }
	for try in 1 2 3; do
		port=$(free_port)
		serve postgres "${as[@]}" "$bin/postgres" -D "$dir/data" -k "$dir" -p "$port" \
			-c listen_addresses=127.0.0.1 -c max_connections=120 -c fsync=off -c shared_buffers=16MB
		answers postgres "$bin/pg_isready" -q -h "$dir" -p "$port" || continue
		echo "$port" >"$dir.port"
		return
	done
	return "$try"
}

# --- programs -------------------------------------------------------------------------

# build PROGRAM CLIENT...: tests/fixtures/clients/CLIENT.c of each, and many.c.
build() {
	local client sources=() packages=()
	for client in "${@:2}"; do
		sources+=("tests/fixtures/clients/$client.c")
		packages+=("$(sed 's/redis/hiredis/; s/curl/libcurl/; s/postgres/libpq/' <<<"$client")")
	done
	# shellcheck disable=SC2046 # pkg-config says words
	"${CC:-gcc}" -g -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -Isrc $(pkg-config --cflags "${packages[@]}") \
		tests/fixtures/clients/many.c "${sources[@]}" build/costep_hooks.o build/libcostep.a \
		$(pkg-config --libs "${packages[@]}") -lpthread -ldl -o "$BATS_FILE_TMPDIR/$1"
}

value() { # NAME: in what the program has printed
	sed -nE "s/^(.* )?$1=([0-9]+)( .*)?$/\2/p" <<<"$output"
}

# many CLIENT THREADS: all at a time take less than 5 times as long as one; all are
# answered rightly; no more than THREADS threads are there.
many() {
	run -0 "$BATS_FILE_TMPDIR/$1" "$MANY" "$SLOW"
	echo "$output"
	echo "# $1, $2 threads at most: $(tr '\n' ' ' <<<"$output")" >&3
	[ "$(value one_good)" -eq 1 ]
	[ "$(value good)" -eq "$MANY" ]
	[ "$(value one_ms)" -ge $((SLOW - 50)) ] # the requests are slow (by the servers' clocks)
	[ "$(value all_ms)" -lt $((5 * $(value one_ms))) ]
	[ "$(value threads)" -ge 1 ]
	[ "$(value threads)" -le "$2" ]
}

# The library's own limit ends requests that are slower than it.
limited() {
	LIMIT_MS=300 run -0 "$BATS_FILE_TMPDIR/$1" "$MANY" 10000
	echo "$output"
	[ "$(value one_good)" -eq 1 ]
	[ "$(value good)" -eq "$MANY" ]
	[ "$(value one_ms)" -ge 295 ]
	[ "$(value one_ms)" -lt 10000 ] # before the answer
	[ "$(value all_ms)" -lt $((5 * $(value one_ms))) ]
}

# With the hooks off, the same program is one after the other.
serial() {
	run -0 "$BATS_FILE_TMPDIR/$1" -plain "$SERIAL" "$SERIAL_MS"
	echo "$output"
	[ "$(value good)" -eq "$SERIAL" ]
	[ "$(value all_ms)" -ge $((SERIAL * SERIAL_MS - 50)) ]
}

# --- hiredis ----------------------------------------------------------------------------

@test "hiredis over TCP: many slow commands take the time of one" {
	need redis
	build redis redis
	many redis 5 # it looks "127.0.0.1" up as a name: up to four helpers
}

@test "hiredis over a unix socket: the same, with no other thread" {
	need redis
	build redis redis
	REDIS=$COSTEP_SERVERS/redis.sock many redis 1
}

@test "hiredis' own time limit ends each of many commands" { # SO_RCVTIMEO
	need redis
	build redis redis
	REDIS=$COSTEP_SERVERS/redis.sock limited redis
}

@test "hiredis with the hooks off is serial" {
	need redis
	build redis redis
	serial redis
}

# Inside libc's lookup no hook reaches: helpers do it, four at a time.
@test "slow name lookups hold nobody up: eight at a time take the time of two" {
	need redis
	build redis redis
	"${CC:-gcc}" -shared -fPIC -D_GNU_SOURCE tests/fixtures/clients/slow_lookup.c -ldl -o "$BATS_TEST_TMPDIR/slow_lookup.so"
	# On one processor: so the lookups all begin before the first helper runs.
	cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
	LOOKUP_MS=400 LD_PRELOAD=$BATS_TEST_TMPDIR/slow_lookup.so run -0 taskset -c "$cpu" "$BATS_FILE_TMPDIR/redis" 8 10
	echo "$output"
	[ "$(value good)" -eq 8 ]
	[ "$(value one_ms)" -ge 400 ]
	[ "$(value all_ms)" -ge 800 ]
	[ "$(value all_ms)" -lt $((4 * $(value one_ms))) ]
	[ "$(value threads)" -eq 5 ]
}

# --- libcurl ----------------------------------------------------------------------------

# A number as address: for a name libcurl would start a thread of its own.
@test "libcurl: many slow transfers take the time of one, with no other thread" {
	need curl
	build curl curl
	many curl 1
}

@test "libcurl's own time limit ends each of many transfers" { # the time limit of poll
	need curl
	build curl curl
	limited curl
}

@test "libcurl with the hooks off is serial" {
	need curl
	build curl curl
	serial curl
}

# --- libpq ------------------------------------------------------------------------------

@test "libpq over TCP: many slow queries take the time of one" {
	need postgres
	build postgres postgres
	many postgres 5 # "localhost" is looked up: up to four helpers
}

@test "libpq over a unix socket: the same, with no other thread" {
	need postgres
	build postgres postgres
	PGHOST=$COSTEP_SERVERS/postgres many postgres 1
}

@test "libpq with the hooks off is serial" {
	need postgres
	build postgres postgres
	serial postgres
}

# --- all ---------------------------------------------------------------------------------

@test "the three libraries at a time in one thread take the time of one request" {
	need redis curl postgres
	build all redis curl postgres
	PGHOST=$COSTEP_SERVERS/postgres REDIS=$COSTEP_SERVERS/redis.sock many all 1
}
