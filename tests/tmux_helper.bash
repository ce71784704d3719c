# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A terminal (tmux) for tests of what a person meets. Each test has a server of its own.

tm() {
	tmux -L "$(basename "$BATS_TEST_FILENAME" .bats)-$BATS_TEST_NUMBER-$$" -f /dev/null "$@"
}

keys() {
	tm send-keys "$@"
}

screen() {
	tm capture-pane -p
}

# A line of the screen matches, within SEES twentieths of a second (15 s); else the screen
# is shown.
sees() {
	local i
	for ((i = 0; i < ${SEES:-300}; i++)); do
		screen | grep -qE -- "$1" && return
		sleep 0.05
	done
	echo "not on the screen: $1"
	screen | grep -v '^$'
	return 1
}
