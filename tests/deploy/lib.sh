# Functions of the script that makes the card of the tier deploy, after image/lib.sh.
# shellcheck shell=bash

# edit FILE OLD NEW: changes the board file; OLD must exist.
edit() {
    grep -qF "$2" "$1" || die "$1 has no '$2'"
    sed -i "s|$2|$3|" "$1"
}

# The emulator runs four CPUs in turns, a millisecond or more each: the loop has a longer
# period, and the axis parameters that suit it.
slow_board() {
    edit "$1" 'period_us = 1000' 'period_us = 10_000'
    edit "$1" 'max_hold_ms = 20' 'max_hold_ms = 200'
    edit "$1" 'plausible_velocity_rad_s = 400.0' 'plausible_velocity_rad_s = 300.0'
    edit "$1" 'velocity_cutoff_hz = 200.0' 'velocity_cutoff_hz = 20.0'
    edit "$1" 'derivative_cutoff_hz = 250.0' 'derivative_cutoff_hz = 20.0'
    edit "$1" 'kp = 40.0' 'kp = 4.0'
    edit "$1" 'ki = 200.0' 'ki = 0.0'
    edit "$1" 'kd = 0.8' 'kd = 0.0'
    edit "$1" 'following_error_window_rad = 0.5' 'following_error_window_rad = 10.0'
    edit "$1" 'following_error_timeout_ms = 20' 'following_error_timeout_ms = 500'
    grep -q '^\[black_box\]' "$1" || printf '\n[black_box]\ndirectory = "/data/steadfast/black-box"\nsize_limit_kb = 4096\n' >>"$1"
}

# tests_of_target ROOT GUEST BOARD CONSOLE: the files of the tests in a root file system, with a board
# file that suits the emulator. GUEST/examples/virtual_servo replaces the hardware.
tests_of_target() {
    local root=$1 ours=tests/deploy/target
    local file=$root/etc/steadfast/board.toml
    install -D -m 0644 "board/$3/board.toml" "$file"
    slow_board "$file"
    if [ "$3" = raspberrypi4-64 ]; then
        # The servo has other nodes than the kernel's.
        edit "$file" /dev/spidev0 /dev/spidev9
        # The emulator resets as soon as the watchdog is started.
        sed -i '/^\[watchdog\]$/,/^$/d' "$file"
    fi
    # Instead of a minute, and of two for its begin, in guest time.
    printf 'STEADFAST_HEALTH_SECONDS=2\nSTEADFAST_HEALTH_PATIENCE=4\n' >"$root/etc/steadfast/health"
    install -D -m 0755 -t "$root/usr/libexec/deploy" $ours/agent $ours/virtual-servo "$2/examples/virtual_servo"
    install -D -m 0644 -t "$root/usr/lib/systemd/system" $ours/*.service
    install -D -m 0644 $ours/virtual-servo.conf "$root/usr/lib/systemd/system/steadfast.service.d/20-virtual-servo.conf"
    install -D -m 0644 $ours/61-virtual-servo.rules "$root/usr/lib/udev/rules.d/61-virtual-servo.rules"
    edit "$root/usr/lib/systemd/system/agent.service" /dev/ttyAMA0 "/dev/$4"
    systemctl --quiet --root="$root" enable agent.service
    # Each worker of udev is a copy of its memory, which the emulator makes slowly.
    install -d "$root/etc/udev"
    printf 'children_max=1\n' >"$root/etc/udev/udev.conf"
    # The lines of systemd would mix with those of the tests' shell.
    install -d "$root/etc/systemd/system.conf.d"
    printf '[Manager]\nShowStatus=no\n' >"$root/etc/systemd/system.conf.d/tests.conf"
}

# broken_slot IMAGE COPY: a copy of a slot whose controller cannot keep its contract: no process is
# that small.
broken_slot() {
    local folder
    folder=$(mktemp -d)
    cp --sparse=always "$1" "$2"
    debugfs -R "dump /etc/steadfast/board.toml $folder/board.toml" "$1" 2>/dev/null
    edit "$folder/board.toml" 'max_locked_kb = 2048' 'max_locked_kb = 64'
    debugfs -w -f - "$2" >/dev/null 2>"$folder/log" <<COMMANDS || die "$(cat "$folder/log")"
rm /etc/steadfast/board.toml
write $folder/board.toml /etc/steadfast/board.toml
COMMANDS
    rm -r "$folder"
}
